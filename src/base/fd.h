#pragma once
/// Owned file descriptors. Every descriptor made here is close-on-exec from birth.

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace vmette {

/// Owns one descriptor; closed on destruction. Move-only.
class Fd {
public:
    Fd() = default;
    explicit Fd(int fd) : fd_(fd) {}
    Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd& operator=(Fd&& other) noexcept;
    ~Fd() { reset(); }

    int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }
    /// Gives the descriptor up; the caller owns it.
    [[nodiscard]] int release() { return std::exchange(fd_, -1); }
    void reset();

private:
    int fd_ = -1;
};

/// open(2) with O_CLOEXEC added. `mode` matters only with O_CREAT or O_TMPFILE.
Result<Fd> open_file(const std::filesystem::path& path, int flags, mode_t mode = 0600);
/// openat2(2) with O_CLOEXEC and O_NOFOLLOW added, of what really lies below the folder: a link anywhere in the name,
/// or a way out of the folder, is an error.
Result<Fd> open_beneath(const Fd& folder, const std::string& name, int flags, mode_t mode = 0);
/// A second descriptor of the same open file.
Result<Fd> duplicate(int fd);

/// Lets this process, and what it starts, have as many descriptors open as its hard limit allows, 65,536 at most, and
/// returns how many that is.
std::uint64_t raise_descriptor_limit();

/// Both ends of a stream socket pair (non-blocking when asked).
Result<std::array<Fd, 2>> make_socketpair(bool non_blocking = false);
/// A pipe: [0] reads, [1] writes.
Result<std::array<Fd, 2>> make_pipe(bool non_blocking = false);
Result<> set_non_blocking(int fd, bool on);
/// There is something to read, an end, or an error. Who acts on the news that a descriptor is readable (a process has
/// ended, a stop is asked for) asks once more: Asio's wait also completes for what was ready on a closed descriptor
/// whose place in its reactor this one has got.
bool is_readable(int fd);

/// Reads a whole file of at most `limit` bytes; a larger one is `bad_input`.
Result<std::string> read_file(const std::filesystem::path& path, std::size_t limit);
/// Reads until end of file, or fails with `bad_input` past `limit` bytes.
Result<std::string> read_all(int fd, std::size_t limit, std::string_view name);
Result<> write_all(int fd, std::span<const std::byte> data);
Result<> write_all(int fd, std::string_view text);

/// Sends one byte and one descriptor over a Unix socket / takes one that was sent (blocking).
Result<> send_fd(int socket, int fd);
Result<Fd> receive_fd(int socket);

}  // namespace vmette
