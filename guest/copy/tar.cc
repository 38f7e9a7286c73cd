#include "tar.h"

#include <string.h>

namespace vmette::copying {

namespace {

/// POSIX.1-1988 and later: pax, "ustar interchange format".
struct Raw {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100], magic[6], version[2],
        owner[32], group[32], major[8], minor[8], prefix[155], rest[12];
};
static_assert(sizeof(Raw) == kBlock);

/// Octal digits and a zero; what does not fit goes as a big-endian number with the top bit set, as GNU tar has it.
template <std::size_t kSize>
void put_number(char (&field)[kSize], std::uint64_t value) {
    std::uint64_t rest = value;
    for (std::size_t at = kSize - 1; at > 0; --at, rest >>= 3) field[at - 1] = static_cast<char>('0' + (rest & 7));
    field[kSize - 1] = '\0';
    if (rest == 0) return;
    for (std::size_t at = kSize; at > 0; --at, value >>= 8) field[at - 1] = static_cast<char>(value & 0xFF);
    field[0] = static_cast<char>(0x80);
}

template <std::size_t kSize>
bool get_number(const char (&field)[kSize], std::uint64_t& value) {
    value = 0;
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(field[at]); };
    if ((byte(0) & 0x80) != 0) {
        if (byte(0) != 0x80) return false;  // negative
        for (std::size_t at = 1; at < kSize; ++at) {
            if (value >> 55 != 0) return false;
            value = value << 8 | byte(at);
        }
        return true;
    }
    std::size_t at = 0;
    while (at < kSize && field[at] == ' ') ++at;
    for (; at < kSize && field[at] >= '0' && field[at] <= '7'; ++at) {
        if (value >> 60 != 0) return false;
        value = value << 3 | static_cast<std::uint64_t>(field[at] - '0');
    }
    return at == kSize || field[at] == '\0' || field[at] == ' ';
}

template <std::size_t kSize>
std::string get_text(const char (&field)[kSize]) {
    return {field, strnlen(field, kSize)};
}

template <std::size_t kSize>
void put_text(char (&field)[kSize], std::string_view value) {
    memcpy(field, value.data(), value.size() < kSize ? value.size() : kSize);
}

std::uint64_t checksum_of(const Raw& raw) {
    Raw copy = raw;
    memset(copy.checksum, ' ', sizeof copy.checksum);
    unsigned char bytes[kBlock];
    memcpy(bytes, &copy, kBlock);
    std::uint64_t sum = 0;
    for (unsigned char byte : bytes) sum += byte;
    return sum;
}

std::string block(const Entry& entry, char type) {
    Raw raw{};
    put_text(raw.name, entry.name);
    put_number(raw.mode, entry.mode & 07777);
    put_number(raw.uid, 0);
    put_number(raw.gid, 0);
    put_number(raw.size, entry.size);
    put_number(raw.mtime, entry.mtime > 0 ? static_cast<std::uint64_t>(entry.mtime) : 0);
    raw.type = type;
    put_text(raw.link, entry.target);
    memcpy(raw.magic, "ustar", 6);
    memcpy(raw.version, "00", 2);
    put_number(raw.major, 0);
    put_number(raw.minor, 0);
    char digits[8];
    put_number(digits, checksum_of(raw));
    memcpy(raw.checksum, digits + 1, 7);  // six digits and a zero, then a blank
    raw.checksum[7] = ' ';
    return {reinterpret_cast<const char*>(&raw), kBlock};
}

std::string decimal(std::size_t value) {
    std::string out;
    for (; value > 0; value /= 10) out.insert(out.begin(), static_cast<char>('0' + value % 10));
    return out;
}

/// "LENGTH key=value\n", where LENGTH counts itself.
std::string pax_record(std::string_view key, std::string_view value) {
    std::size_t rest = key.size() + value.size() + 3;
    std::size_t length = rest + 1;
    while (length != rest + decimal(length).size()) length = rest + decimal(length).size();
    std::string out = decimal(length);
    out.append(" ").append(key).append("=").append(value).append("\n");
    return out;
}

bool is_known(char type) { return type == '\0' || type == '7' || (type >= '0' && type <= '6'); }

}  // namespace

std::string encode_header(const Entry& entry) {
    std::string records;
    if (entry.name.size() > sizeof Raw::name) records += pax_record("path", entry.name);
    if (entry.target.size() > sizeof Raw::link) records += pax_record("linkpath", entry.target);
    std::string out;
    if (!records.empty()) {
        Entry extension;
        extension.name = "PaxHeaders/0";
        extension.mode = 0644;
        extension.size = records.size();
        out = block(extension, 'x') + records;
        out.append(padding(records.size()), '\0');
    }
    return out + block(entry, static_cast<char>(entry.kind));
}

Found decode_header(const char* bytes, Entry& entry) {
    Raw raw;
    memcpy(&raw, bytes, kBlock);
    static constexpr char kZeros[kBlock] = {};
    if (memcmp(bytes, kZeros, kBlock) == 0) return Found::end;
    std::uint64_t checksum = 0, mode = 0, mtime = 0;
    if (!get_number(raw.checksum, checksum) || checksum != checksum_of(raw) || !get_number(raw.size, entry.size))
        return Found::garbage;
    if (!get_number(raw.mode, mode)) mode = 0644;
    if (!get_number(raw.mtime, mtime)) mtime = 0;
    entry.mode = static_cast<std::uint32_t>(mode & 07777);
    entry.mtime = static_cast<std::int64_t>(mtime);
    entry.name = get_text(raw.name);
    entry.target = get_text(raw.link);
    // GNU's own format has other things where the prefix is.
    if (memcmp(raw.magic, "ustar", 6) == 0 && raw.prefix[0] != '\0')
        entry.name = get_text(raw.prefix) + "/" + entry.name;
    switch (raw.type) {
        case 'x':
            return Found::pax;
        case 'g':
            return Found::pax_global;
        case 'L':
            return Found::long_name;
        case 'K':
            return Found::long_link;
        default:
            break;
    }
    if (!is_known(raw.type)) return Found::unknown;
    entry.kind = raw.type == '\0' || raw.type == '7' ? Kind::file : static_cast<Kind>(raw.type);
    // The oldest format has no type for folders.
    if (entry.kind == Kind::file && entry.name.ends_with('/')) entry.kind = Kind::folder;
    if (entry.kind != Kind::file) entry.size = 0;
    return Found::entry;
}

bool apply_pax(std::string_view records, Entry& entry) {
    while (!records.empty()) {
        std::size_t length = 0, at = 0;
        for (; at < records.size() && records[at] >= '0' && records[at] <= '9' && length < records.size(); ++at)
            length = length * 10 + static_cast<std::size_t>(records[at] - '0');
        if (at == 0 || at >= records.size() || records[at] != ' ' || length > records.size() || length < at + 4)
            return false;
        std::string_view record = records.substr(at + 1, length - at - 1);
        records.remove_prefix(length);
        std::size_t equals = record.find('=');
        if (equals == record.npos || record.back() != '\n') return false;
        std::string_view key = record.substr(0, equals), value = record.substr(equals + 1);
        value.remove_suffix(1);
        if (key == "path") entry.name = value;
        if (key == "linkpath") entry.target = value;
        if (key.starts_with("GNU.sparse.")) return false;
        if (key != "size") continue;
        std::uint64_t size = 0;
        for (char c : value) {
            if (c < '0' || c > '9' || size > std::uint64_t{1} << 56) return false;
            size = size * 10 + static_cast<std::uint64_t>(c - '0');
        }
        if (entry.kind == Kind::file) entry.size = size;
    }
    return true;
}

}  // namespace vmette::copying
