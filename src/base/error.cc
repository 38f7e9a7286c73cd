#include "base/error.h"

#include <cerrno>
#include <system_error>

namespace vmette {

std::string_view to_string(ErrorCode code) {
    switch (code) {
        case ErrorCode::bad_input:
            return "bad-input";
        case ErrorCode::not_found:
            return "not-found";
        case ErrorCode::io:
            return "io";
        case ErrorCode::network:
            return "network";
        case ErrorCode::offline:
            return "offline";
        case ErrorCode::bad_image:
            return "bad-image";
        case ErrorCode::no_space:
            return "no-space";
        case ErrorCode::vm:
            return "vm";
        case ErrorCode::guest:
            return "guest";
        case ErrorCode::protocol:
            return "protocol";
        case ErrorCode::timeout:
            return "timeout";
        case ErrorCode::busy:
            return "busy";
        case ErrorCode::unsupported:
            return "unsupported";
        case ErrorCode::cancelled:
            return "cancelled";
        case ErrorCode::internal:
            return "internal";
    }
    return "internal";
}

std::string Error::text() const {
    std::string out = message;
    for (auto* next = cause.get(); next != nullptr; next = next->cause.get()) {
        out += ": ";
        out += next->message;
    }
    return out;
}

Error Error::because(std::string outer) const {
    return Error{code, std::move(outer), std::make_shared<const Error>(*this)};
}

Error errno_error(int number, std::string_view what) {
    ErrorCode code = ErrorCode::io;
    if (number == ENOSPC || number == EDQUOT) code = ErrorCode::no_space;
    if (number == ENOENT) code = ErrorCode::not_found;
    return Error{code, fmt::format("{}: {}", what, std::generic_category().message(number)), nullptr};
}

Failure fail_errno(std::string_view what) { return Failure(errno_error(errno, what)); }

}  // namespace vmette
