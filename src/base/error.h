#pragma once
/// Errors as values. A function that can be expected to fail returns Result<T>; exceptions of libraries stop in the
/// adapter around them, and only a broken invariant of our own aborts.

#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace vmette {

/// What kind of thing went wrong; the caller decides by it, the user reads the message.
enum class ErrorCode {
    bad_input,    ///< what the user gave is wrong: a manifest, a flag, a source's spelling
    not_found,    ///< a thing that was named does not exist
    io,           ///< the host's files, processes or memory refused
    network,      ///< a transfer failed, or the far side answered with an error
    offline,      ///< it would need the network, and the network was ruled out
    bad_image,    ///< an image is not what it says it is: truncated, hostile, wrong digest
    no_space,     ///< a filesystem or a cap is full
    vm,           ///< QEMU or a helper could not be started, or died
    guest,        ///< the guest reported a failure of its own while it set itself up
    protocol,     ///< the peer broke the wire format
    timeout,      ///< a limit of time ended it
    busy,         ///< another process holds it
    unsupported,  ///< vmette or this host cannot do it (yet)
    cancelled,    ///< the caller asked for an end
    internal,     ///< a broken assumption of ours
};

/// The stable lower-case name of a code, as `--json` prints it.
std::string_view to_string(ErrorCode code);

/// A failure: what kind, which object (named in the message), and what lay behind it.
struct Error {
    ErrorCode code = ErrorCode::internal;
    std::string message;
    std::shared_ptr<const Error> cause;

    /// The message followed by those of its causes, each after ": ".
    std::string text() const;
    /// A new error with `message` in front and this one as its cause; the code stays.
    Error because(std::string message) const;
};

template <typename T = void>
using Result = std::expected<T, Error>;

using Failure = std::unexpected<Error>;

/// Makes the unexpected value of a Result: `return fail(ErrorCode::io, "cannot open {}", path);`
template <typename... Args>
Failure fail(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
    return Failure(Error{code, fmt::format(format, std::forward<Args>(args)...), nullptr});
}

/// The error of a failed system call. `what` says what was tried and names the object ("open /x/y").
/// ENOSPC and EDQUOT become `no_space`, ENOENT `not_found`, all others `io`.
Error errno_error(int number, std::string_view what);

/// errno_error as a Failure, of the current errno.
Failure fail_errno(std::string_view what);

}  // namespace vmette

#define VMETTE_JOIN_(a, b) a##b
#define VMETTE_JOIN(a, b) VMETTE_JOIN_(a, b)

/// `VMETTE_TRY(auto fd, open_file(path));` binds the value, or returns the error from the enclosing function.
#define VMETTE_TRY(declaration, ...) VMETTE_TRY_(VMETTE_JOIN(result_, __LINE__), declaration, return, __VA_ARGS__)
/// The same inside a coroutine.
#define VMETTE_CO_TRY(declaration, ...) VMETTE_TRY_(VMETTE_JOIN(result_, __LINE__), declaration, co_return, __VA_ARGS__)
#define VMETTE_TRY_(name, declaration, leave, ...)               \
    auto name = (__VA_ARGS__);                                   \
    if (!name) leave ::vmette::Failure(std::move(name).error()); \
    declaration = *std::move(name)

/// `VMETTE_CHECK_OK(sync(fd));` for results without a value.
#define VMETTE_CHECK_OK(...)                                                          \
    do {                                                                              \
        auto check_result = (__VA_ARGS__);                                            \
        if (!check_result) return ::vmette::Failure(std::move(check_result).error()); \
    } while (false)
#define VMETTE_CO_CHECK_OK(...)                                                          \
    do {                                                                                 \
        auto check_result = (__VA_ARGS__);                                               \
        if (!check_result) co_return ::vmette::Failure(std::move(check_result).error()); \
    } while (false)
