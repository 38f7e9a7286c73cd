#pragma once
/// A layer on its way to disk: `HEX.part` in the folder of layers, and `HEX` once it is whole. Shared between
/// processes: who writes a part holds an exclusive flock(2) on it.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/digest.h"
#include "base/error.h"
#include "base/fd.h"

namespace vmette::rootfs {

/// A part that this process holds. Move-only; dropping it leaves the part for a later process to go on with.
class PartFile {
public:
    enum class State { mine, busy, whole };
    struct Opened;
    /// Takes the part of the layer with this SHA-256 and size, without waiting: `busy` while another process writes it,
    /// `whole` when the layer itself is there. `folder` is borrowed.
    static Result<Opened> open(int folder, const std::string& hex, std::uint64_t size);

    /// Hashes a piece of what an earlier process left: true once that is done, before any append().
    Result<bool> rehash_some();
    /// Bytes so far.
    std::uint64_t bytes() const { return bytes_; }
    Result<> append(std::string_view piece);
    /// Starts anew with nothing.
    Result<> clear();
    /// Checks the digest, which ends the hash: false when it is another. Then clear() is all that helps.
    bool matches();
    /// Puts it on disk and gives it its name. After matches().
    Result<> publish();

private:
    PartFile(int folder, std::string hex, Fd fd) : folder_(folder), hex_(std::move(hex)), fd_(std::move(fd)) {}

    int folder_;
    std::string hex_;
    Fd fd_;
    Sha256 hash_;
    std::uint64_t bytes_ = 0;  ///< hashed
    std::uint64_t found_ = 0;  ///< left to be hashed: up to here
};

struct PartFile::Opened {
    State state = State::busy;
    std::optional<PartFile> part;  ///< when it is mine
};

}  // namespace vmette::rootfs
