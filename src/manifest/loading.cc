#include "manifest/loading.h"

namespace vmette::manifest {

const Value* get(const Value& table, std::string_view key) {
    const Value* value = table.find(key);
    return value == nullptr || value->bad ? nullptr : value;
}

void read(const Value& table, std::string_view key, bool& out) {
    if (const Value* value = get(table, key)) out = value->number != 0;
}

void read(const Value& table, std::string_view key, std::string& out) {
    if (const Value* value = get(table, key)) out = value->text;
}

void read(const Value& table, std::string_view key, std::uint32_t& out) {
    if (const Value* value = get(table, key)) out = static_cast<std::uint32_t>(value->number);
}

void read(const Value& table, std::string_view key, std::uint64_t& out) {
    if (const Value* value = get(table, key)) out = static_cast<std::uint64_t>(value->number);
}

void read(const Value& table, std::string_view key, Duration& out) {
    if (const Value* value = get(table, key)) out = Duration(value->number);
}

void claim_guest_path(Loading& loading, Place place, const std::string& what, const std::string& path) {
    auto [taken, is_new] = loading.guest_paths.emplace(path, what);
    if (!is_new) loading.report.add(place, "{}: {} is already the guest path of {}", what, path, taken->second);
}

}  // namespace vmette::manifest
