#pragma once
/// SHA-256, as hexadecimal text.

#include <array>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace vmette {

/// Hashes a stream piece by piece. Move-only; one use.
class Sha256 {
public:
    static constexpr std::size_t kBytes = 32;
    Sha256();
    Sha256(Sha256&&) noexcept;
    Sha256& operator=(Sha256&&) noexcept;
    ~Sha256();
    void update(std::span<const std::byte> data);
    void update(std::string_view text) { update(std::as_bytes(std::span(text))); }
    /// Ends the hash, as hex() does.
    std::array<unsigned char, kBytes> bytes();
    /// 64 lower-case hexadecimal digits. Ends the hash.
    std::string hex();

private:
    struct State;
    std::unique_ptr<State> state_;
};

std::string sha256_hex(std::string_view text);
/// HMAC-SHA-256 (RFC 2104) as 64 lower-case hexadecimal digits: tells equal texts to who has the key, and nothing else.
std::string hmac_sha256_hex(std::string_view key, std::string_view text);
/// So many random bytes of the kernel's, as twice as many hexadecimal digits.
std::string random_hex(std::size_t bytes);
Result<std::string> sha256_file(const std::filesystem::path& path);
/// From the descriptor's start to its end, by pread: its position stays.
Result<std::string> sha256_fd(int fd, std::string_view name);

/// A time-sortable identifier (ULID: 48 bits of milliseconds, 80 random bits) as 26 lower-case Crockford base32
/// digits. Source of the format: github.com/ulid/spec.
std::string make_ulid(std::int64_t unix_ms);

}  // namespace vmette
