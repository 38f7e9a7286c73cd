#pragma once
/// What the benchmarks have in common. One that cannot measure says why, and ends with exit code 1.

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include "base/error.h"

namespace vmette::bench {

[[noreturn]] inline void die(const std::string& message) {
    std::fprintf(stderr, "%s: %s\n", program_invocation_short_name, message.c_str());
    std::exit(1);
}

template <typename T>
T value_of(Result<T> result) {
    if (!result) die(result.error().text());
    return *std::move(result);
}

inline void require(const Result<>& result) {
    if (!result) die(result.error().text());
}

}  // namespace vmette::bench
