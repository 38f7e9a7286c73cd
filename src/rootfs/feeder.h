#pragma once
/// Bytes for a worker's standard input, as fast as it takes them.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "base/error.h"
#include "base/fd.h"

namespace vmette::rootfs {

/// Hands pieces over a socket and never waits. Move-only; one thread.
class Feeder {
public:
    /// The next piece, valid until the next call; empty at the end, again and again. Nothing: it has not come yet.
    using Next = std::function<Result<std::optional<std::span<const std::byte>>>()>;
    Feeder(Fd socket, Next next) : socket_(std::move(socket)), next_(std::move(next)) {}

    /// One step for Worker::run. Ends the worker's input after the last piece, or once the worker does not take more.
    Result<int> step();
    /// Asks for all pieces that are left and drops them: for the sake of who looks at them as they pass. `protocol`
    /// when one has not come yet: who has read them all cannot be ready.
    Result<> drain();

private:
    Fd socket_;
    Next next_;
    std::span<const std::byte> piece_;
};

/// read(2) and pread(2) without interruptions; `what` is for the error ("read the archive").
Result<std::span<const std::byte>> read_piece(int fd, std::span<std::byte> buffer, const char* what);
Result<std::span<const std::byte>> read_piece_at(int fd, std::uint64_t offset, std::span<std::byte> buffer,
                                                 const char* what);

}  // namespace vmette::rootfs
