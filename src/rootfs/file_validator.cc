#include "rootfs/file_validator.h"

#include <time.h>

#include <cstdint>

#include <fmt/format.h>

namespace vmette::rootfs {
namespace {

constexpr std::int64_t kNanoseconds = 1'000'000'000;
/// Two writes so close together may leave the same time on a file (the kernel's clock tick is 1 to 10 ms).
constexpr std::int64_t kSettled = 50'000'000;

std::int64_t nanoseconds(const timespec& time) { return time.tv_sec * kNanoseconds + time.tv_nsec; }

}  // namespace

std::string file_validator(const struct stat& info) {
    return fmt::format("file:{}:{}:{}:{}:{}", info.st_dev, info.st_ino, info.st_size, nanoseconds(info.st_mtim),
                       nanoseconds(info.st_ctim));
}

bool is_settled(const struct stat& info) {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return nanoseconds(now) - nanoseconds(info.st_ctim) > kSettled;
}

}  // namespace vmette::rootfs
