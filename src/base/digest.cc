#include "base/digest.h"

// The digest alone: what OpenSSL 3 would have in its place brings all its algorithms, and 0.5 ms to every start.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <fcntl.h>
#include <openssl/sha.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "base/fd.h"
#include "base/units.h"

namespace vmette {
namespace {

std::string hex_of(std::span<const unsigned char> bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string out;
    for (unsigned char byte : bytes) {
        out += kDigits[byte >> 4];
        out += kDigits[byte & 15];
    }
    return out;
}

}  // namespace

struct Sha256::State {
    SHA256_CTX context{};
};

Sha256::Sha256() : state_(std::make_unique<State>()) { ::SHA256_Init(&state_->context); }
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;
Sha256::~Sha256() = default;

void Sha256::update(std::span<const std::byte> data) { ::SHA256_Update(&state_->context, data.data(), data.size()); }

std::array<unsigned char, Sha256::kBytes> Sha256::bytes() {
    std::array<unsigned char, kBytes> digest{};
    ::SHA256_Final(digest.data(), &state_->context);
    return digest;
}

std::string Sha256::hex() { return hex_of(bytes()); }

std::string sha256_hex(std::string_view text) {
    Sha256 hash;
    hash.update(text);
    return hash.hex();
}

// RFC 2104, with SHA-256's block of 64 bytes.
std::string hmac_sha256_hex(std::string_view key, std::string_view text) {
    constexpr std::size_t kBlock = 64;
    std::array<unsigned char, kBlock> padded{};
    if (key.size() > kBlock) {
        Sha256 of_key;
        of_key.update(key);
        std::ranges::copy(of_key.bytes(), padded.begin());
    } else {
        std::ranges::copy(key, padded.begin());
    }
    auto keyed = [&](unsigned char pad) {
        std::array<unsigned char, kBlock> block{};
        std::ranges::transform(padded, block.begin(), [&](unsigned char byte) { return byte ^ pad; });
        Sha256 hash;
        hash.update(std::as_bytes(std::span(block)));
        return hash;
    };
    constexpr unsigned char kInner = 0x36, kOuter = 0x5c;
    Sha256 inner = keyed(kInner);
    inner.update(text);
    Sha256 outer = keyed(kOuter);
    auto of_inner = inner.bytes();
    outer.update(std::as_bytes(std::span(of_inner)));
    return outer.hex();
}

std::string random_hex(std::size_t bytes) {
    std::vector<unsigned char> random(bytes);
    if (::getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size())) std::abort();
    return hex_of(random);
}

Result<std::string> sha256_file(const std::filesystem::path& path) {
    VMETTE_TRY(Fd fd, open_file(path, O_RDONLY));
    return sha256_fd(fd.get(), path.string());
}

Result<std::string> sha256_fd(int fd, std::string_view name) {
    Sha256 hash;
    std::vector<std::byte> buffer(256 * kKiB);
    off_t at = 0;
    while (true) {
        ssize_t n = ::pread(fd, buffer.data(), buffer.size(), at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno(fmt::format("read {}", name));
        if (n == 0) return hash.hex();
        hash.update(std::span(buffer).first(static_cast<std::size_t>(n)));
        at += n;
    }
}

std::string make_ulid(std::int64_t unix_ms) {
    constexpr std::string_view kAlphabet = "0123456789abcdefghjkmnpqrstvwxyz";
    constexpr int kTimeDigits = 10, kRandomDigits = 16;
    std::array<std::uint8_t, kRandomDigits> random{};
    if (::getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size())) std::abort();
    std::string out(kTimeDigits + kRandomDigits, '0');
    auto time = static_cast<std::uint64_t>(unix_ms);
    for (int i = kTimeDigits - 1; i >= 0; --i, time >>= 5) out[static_cast<std::size_t>(i)] = kAlphabet[time & 31];
    for (std::size_t i = 0; i < kRandomDigits; ++i) out[kTimeDigits + i] = kAlphabet[random[i] & 31];
    return out;
}

}  // namespace vmette
