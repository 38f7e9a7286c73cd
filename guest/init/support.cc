#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

namespace vmette::guest {

void detail::append(std::string& out, std::uint64_t value) {
    char digits[20];
    std::size_t at = sizeof digits;
    do {
        digits[--at] = static_cast<char>('0' + value % 10);
        value /= 10;
    } while (value != 0);
    out.append(digits + at, sizeof digits - at);
}

std::string_view describe_errno(int number) {
    const char* description = strerrordesc_np(number);
    return description != nullptr ? description : "unknown error";
}

void Fd::reset() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
}

std::string read_file(int directory, const char* path, std::size_t limit) {
    Fd fd(openat(directory, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    struct stat status{};
    if (!fd || fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) return {};
    std::string out;
    char buffer[4096];
    while (out.size() < limit) {
        ssize_t n = read(fd.get(), buffer, std::min(sizeof buffer, limit - out.size()));
        if (n <= 0) break;
        out.append(buffer, static_cast<std::size_t>(n));
    }
    return out;
}

std::string read_file(const char* path, std::size_t limit) { return read_file(AT_FDCWD, path, limit); }

std::uint64_t read_number(int directory, const char* path) {
    std::string content = read_file(directory, path, 64);
    std::uint64_t value = 0;
    std::string_view rest = content;
    parse_number(take_field(rest, '\n'), UINT64_MAX, value);
    return value;
}

std::uint64_t number_after(std::string_view content, std::string_view key) {
    while (!content.empty()) {
        std::string_view line = take_field(content, '\n');
        std::uint64_t value = 0;
        if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == ' ' &&
            parse_number(line.substr(key.size() + 1), UINT64_MAX, value))
            return value;
    }
    return 0;
}

Outcome<> write_file(int directory, const char* path, std::string_view value) {
    Fd fd(openat(directory, path, O_WRONLY | O_CLOEXEC));
    if (!fd) return fail_errno("open ", path);
    if (write(fd.get(), value.data(), value.size()) < 0) return fail_errno("write ", value, " to ", path);
    return {};
}

Outcome<> write_file(const char* path, std::string_view value) { return write_file(AT_FDCWD, path, value); }

bool write_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        ssize_t n = write(fd, bytes.data(), bytes.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
}

std::uint64_t uptime_us() {
    timespec now{};
    clock_gettime(CLOCK_BOOTTIME, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1000000 + static_cast<std::uint64_t>(now.tv_nsec) / 1000;
}

bool parse_number(std::string_view digits, std::uint64_t limit, std::uint64_t& value) {
    if (digits.empty()) return false;
    std::uint64_t sum = 0;
    for (char c : digits) {
        if (c < '0' || c > '9') return false;
        std::uint64_t digit = static_cast<std::uint64_t>(c - '0');
        if (sum > limit / 10 || sum * 10 > limit - digit) return false;
        sum = sum * 10 + digit;
    }
    value = sum;
    return true;
}

std::string_view take_field(std::string_view& rest, char separator) {
    std::size_t end = std::min(rest.find(separator), rest.size());
    std::string_view field = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return field;
}

}  // namespace vmette::guest
