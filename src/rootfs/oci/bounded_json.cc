#include "rootfs/oci/bounded_json.h"

#include <limits>

#include <nlohmann/json.hpp>

namespace vmette::rootfs::oci {
namespace {

using nlohmann::json;

/// Thrown out of the parser, which knows no other way to stop early; caught where it is called.
struct OutOfBounds {
    std::string why;
};

std::string joined(std::string_view where, const char* key) {
    return where.empty() ? std::string(key) : fmt::format("{}.{}", where, key);
}

}  // namespace

Result<json> parse_json_object(std::string_view text, const JsonBounds& bounds, ErrorCode code) {
    if (text.size() > bounds.bytes) return fail(code, "is larger than {} bytes", bounds.bytes);
    std::size_t values = 0;
    auto count = [&](int depth, json::parse_event_t event, json&) {
        bool opens = event == json::parse_event_t::object_start || event == json::parse_event_t::array_start;
        bool closes = event == json::parse_event_t::object_end || event == json::parse_event_t::array_end;
        // Depth counts what is already open.
        if (opens && depth >= bounds.nesting)
            throw OutOfBounds{fmt::format("is nested more than {} levels deep", bounds.nesting)};
        if (!closes && ++values > bounds.values)
            throw OutOfBounds{fmt::format("holds more than {} values", bounds.values)};
        return true;
    };
    try {
        json document = json::parse(text, count);
        if (!document.is_object()) return fail(code, "is no JSON object");
        return document;
    } catch (const OutOfBounds& e) {
        return fail(code, "{}", e.why);
    } catch (const json::parse_error& e) {
        return fail(code, "is no JSON: it goes wrong at byte {} of {}", e.byte, text.size());
    } catch (const std::exception&) {
        return fail(code, "is no JSON: it holds a number out of range");
    }
}

const json* JsonReader::member(const json& parent, const char* key) const {
    if (!good()) return nullptr;
    auto found = parent.find(key);
    return found == parent.end() || found->is_null() ? nullptr : &*found;
}

const json* JsonReader::object(const json& parent, const char* key, std::string_view where) {
    const json* value = member(parent, key);
    return value == nullptr ? nullptr : element(*value, joined(where, key));
}

const json* JsonReader::element(const json& value, std::string_view where) {
    if (!value.is_object()) refuse("{} is {}, not an object", where, value.type_name());
    return good() ? &value : nullptr;
}

const json* JsonReader::array(const json& parent, const char* key, std::string_view where) {
    const json* value = member(parent, key);
    if (value != nullptr && !value->is_array())
        refuse("{} is {}, not an array", joined(where, key), value->type_name());
    return good() ? value : nullptr;
}

std::string JsonReader::checked(const json& value, const std::string& where) {
    if (!value.is_string()) {
        refuse("{} is {}, not a string", where, value.type_name());
        return {};
    }
    auto text = value.get<std::string>();
    if (text.find('\0') != text.npos) refuse("{} holds a NUL byte", where);
    return text;
}

std::string JsonReader::string(const json& parent, const char* key, std::string_view where) {
    const json* value = member(parent, key);
    return value == nullptr ? std::string() : checked(*value, joined(where, key));
}

std::vector<std::string> JsonReader::strings(const json& parent, const char* key, std::string_view where) {
    std::vector<std::string> out;
    if (const json* list = array(parent, key, where))
        for (const json& item : *list)
            out.push_back(checked(item, fmt::format("{}[{}]", joined(where, key), out.size())));
    return out;
}

std::uint64_t JsonReader::size(const json& parent, const char* key, std::string_view where) {
    const json* value = member(parent, key);
    constexpr std::uint64_t kLargest = std::numeric_limits<std::int64_t>::max();
    if (value != nullptr && value->is_number_unsigned() && value->get<std::uint64_t>() <= kLargest)
        return value->get<std::uint64_t>();
    refuse("{} is no whole number of bytes", joined(where, key));
    return 0;
}

Result<> JsonReader::result() const {
    if (!good()) return fail(code_, "{}", problem_);
    return {};
}

}  // namespace vmette::rootfs::oci
