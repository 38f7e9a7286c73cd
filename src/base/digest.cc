#include "base/digest.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/random.h>
#include <unistd.h>

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
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    ~State() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
    if (state_->context == nullptr || EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr) != 1) std::abort();
}
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;
Sha256::~Sha256() = default;

void Sha256::update(std::span<const std::byte> data) {
    if (EVP_DigestUpdate(state_->context, data.data(), data.size()) != 1) std::abort();
}

std::string Sha256::hex() {
    std::array<unsigned char, 32> digest{};
    if (EVP_DigestFinal_ex(state_->context, digest.data(), nullptr) != 1) std::abort();
    return hex_of(digest);
}

std::string sha256_hex(std::string_view text) {
    Sha256 hash;
    hash.update(text);
    return hash.hex();
}

std::string hmac_sha256_hex(std::string_view key, std::string_view text) {
    std::array<unsigned char, 32> digest{};
    unsigned int length = 0;
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
    if (::HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes, text.size(), digest.data(), &length) ==
        nullptr)
        std::abort();
    return hex_of(digest);
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
