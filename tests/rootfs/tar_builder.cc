#include "rootfs/tar_builder.h"

#include <fmt/format.h>

#include <cstring>

namespace vmette::rootfs {
namespace {

constexpr std::size_t kBlock = 512;

std::string padded(std::string data) {
    data.resize((data.size() + kBlock - 1) / kBlock * kBlock, '\0');
    return data;
}

void put(std::string& header, std::size_t offset, std::size_t width, std::string_view text) {
    std::memcpy(header.data() + offset, text.data(), std::min(width, text.size()));
}

void put_octal(std::string& header, std::size_t offset, std::size_t width, std::uint64_t value) {
    put(header, offset, width, fmt::format("{:0{}o}", value, width - 1));
}

std::string pax_records(const std::vector<std::pair<std::string, std::string>>& records) {
    std::string out;
    for (const auto& [key, value] : records) {
        // The length counts itself.
        std::size_t length = key.size() + value.size() + 3;
        while (fmt::format("{}", length).size() + key.size() + value.size() + 3 != length) ++length;
        out += fmt::format("{} {}=", length, key) + value + "\n";
    }
    return out;
}

}  // namespace

std::string tar_entry(const TarEntry& entry) {
    std::string out;
    if (!entry.pax.empty()) {
        TarEntry extension{.name = "pax", .type = 'x', .data = pax_records(entry.pax)};
        out = tar_entry(extension);
    }
    std::string header(kBlock, '\0');
    put(header, 0, 100, entry.name);
    put_octal(header, 100, 8, entry.mode);
    put_octal(header, 108, 8, entry.uid);
    put_octal(header, 116, 8, entry.gid);
    put_octal(header, 124, 12,
              entry.claimed_size >= 0 ? static_cast<std::uint64_t>(entry.claimed_size) : entry.data.size());
    put_octal(header, 136, 12, entry.mtime);
    put(header, 148, 8, "        ");
    header[156] = entry.type;
    put(header, 157, 100, entry.link);
    put(header, 257, 8, std::string_view("ustar\00000", 8));
    put_octal(header, 329, 8, entry.major);
    put_octal(header, 337, 8, entry.minor);
    unsigned sum = 0;
    for (char c : header) sum += static_cast<unsigned char>(c);
    put(header, 148, 8, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
    return out + header + padded(entry.data);
}

std::string tar_end() { return std::string(2 * kBlock, '\0'); }

std::string make_tar(const std::vector<TarEntry>& entries) {
    std::string out;
    for (const auto& entry : entries) out += tar_entry(entry);
    return out + tar_end();
}

TarEntry tar_file(std::string name, std::string data) { return {.name = std::move(name), .data = std::move(data)}; }
TarEntry tar_folder(std::string name) { return {.name = std::move(name), .type = '5', .mode = 0755}; }
TarEntry tar_symlink(std::string name, std::string target) {
    return {.name = std::move(name), .type = '2', .link = std::move(target), .mode = 0777};
}
TarEntry tar_hardlink(std::string name, std::string target) {
    return {.name = std::move(name), .type = '1', .link = std::move(target)};
}

}  // namespace vmette::rootfs
