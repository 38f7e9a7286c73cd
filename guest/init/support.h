#pragma once
/// What every part of init needs: outcomes, owned descriptors, text without iostreams.

#include <concepts>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace vmette::guest {

/// A value, or one line that says what could not be done and names the object.
template <typename T = void>
using Outcome = std::expected<T, std::string>;

namespace detail {
inline void append(std::string& out, std::string_view part) { out.append(part); }
void append(std::string& out, std::uint64_t value);
}  // namespace detail

/// The parts one after the other; integers in decimal.
template <typename... Parts>
std::string text(const Parts&... parts) {
    std::string out;
    auto add = [&out](const auto& part) {
        if constexpr (std::integral<std::decay_t<decltype(part)>>)
            detail::append(out, static_cast<std::uint64_t>(part));
        else
            detail::append(out, std::string_view(part));
    };
    (add(parts), ...);
    return out;
}

/// "No such file or directory": without the locale's translations.
std::string_view describe_errno(int number);

template <typename... Parts>
std::unexpected<std::string> fail(const Parts&... parts) {
    return std::unexpected<std::string>(text(parts...));
}

/// The parts, ": " and what errno means.
template <typename... Parts>
std::unexpected<std::string> fail_errno(const Parts&... parts);

/// Owns one descriptor. Move-only.
class Fd {
public:
    Fd() = default;
    explicit Fd(int fd) : fd_(fd) {}
    Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd& operator=(Fd&& other) noexcept {
        if (this != &other) {
            reset();
            fd_ = std::exchange(other.fd_, -1);
        }
        return *this;
    }
    ~Fd() { reset(); }
    int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }
    void reset();

private:
    int fd_ = -1;
};

/// At most `limit` bytes of a regular file; empty when it cannot be read. Never blocks on a FIFO.
std::string read_file(int directory, const char* path, std::size_t limit);
std::string read_file(const char* path, std::size_t limit);
/// The unsigned number at the start of such a file; 0 when there is none.
std::uint64_t read_number(int directory, const char* path);
/// The number after `key` and a blank, at the start of a line of `content` ("usage_usec 123"); 0 when missing.
std::uint64_t number_after(std::string_view content, std::string_view key);
/// Writes `value` to an existing file, in one write (what proc, sys and cgroup files need).
Outcome<> write_file(int directory, const char* path, std::string_view value);
Outcome<> write_file(const char* path, std::string_view value);
/// Writes everything; false, with errno, when the descriptor refuses.
bool write_all(int fd, std::string_view bytes);

/// Microseconds since the machine started.
std::uint64_t uptime_us();

/// Reads a decimal number that fills the whole text and fits `limit`.
bool parse_number(std::string_view digits, std::uint64_t limit, std::uint64_t& value);

/// The first field of `rest` up to `separator`; `rest` keeps what follows it.
std::string_view take_field(std::string_view& rest, char separator);

// ---- implementation ----

template <typename... Parts>
std::unexpected<std::string> fail_errno(const Parts&... parts) {
    int number = *__errno_location();
    return std::unexpected<std::string>(text(parts..., ": ", describe_errno(number)));
}

}  // namespace vmette::guest

/// `GUEST_CHECK(mount_it());` returns the failure from the enclosing function.
#define GUEST_CHECK(...)                                                                \
    do {                                                                                \
        auto check_outcome = (__VA_ARGS__);                                             \
        if (!check_outcome) return std::unexpected<std::string>(check_outcome.error()); \
    } while (false)
/// `GUEST_TRY(Fd fd, open_it());` binds the value, or returns the failure.
#define GUEST_TRY(declaration, ...) GUEST_TRY_(GUEST_JOIN(outcome_, __LINE__), declaration, __VA_ARGS__)
#define GUEST_TRY_(name, declaration, ...)                        \
    auto name = (__VA_ARGS__);                                    \
    if (!name) return std::unexpected<std::string>(name.error()); \
    declaration = std::move(*name)
#define GUEST_JOIN(a, b) GUEST_JOIN_(a, b)
#define GUEST_JOIN_(a, b) a##b
