#pragma once
/// JSON of strangers: bounded before it takes memory, its text never repeated in a message.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/error.h"

namespace vmette::rootfs::oci {

struct JsonBounds {
    std::size_t bytes = 0;
    int nesting = 32;              ///< arrays and objects in one another
    std::size_t values = 100'000;  ///< values and keys in all: some 100 bytes of memory each
};

/// Parses an object. Of a key that stands twice the last one counts. Errors: `code`, with a predicate ("is no JSON: …")
/// that says where, and holds nothing of the text.
Result<nlohmann::json> parse_json_object(std::string_view text, const JsonBounds& bounds, ErrorCode code);

/// Reads members of objects by name. The first thing that is wrong is kept, and nothing is read after it: read all,
/// then ask. A member that is null is one that is not there.
class JsonReader {
public:
    explicit JsonReader(ErrorCode code) : code_(code) {}

    /// Null when it is not there, or of another type (which is an error). `where` names the member in messages.
    const nlohmann::json* object(const nlohmann::json& parent, const char* key, std::string_view where);
    const nlohmann::json* array(const nlohmann::json& parent, const char* key, std::string_view where);
    /// "" and an empty list when it is not there. A NUL byte in a string is an error: what they become ends at one.
    std::string string(const nlohmann::json& parent, const char* key, std::string_view where);
    std::vector<std::string> strings(const nlohmann::json& parent, const char* key, std::string_view where);
    /// The element of an array, which must be an object; null when it is none.
    const nlohmann::json* element(const nlohmann::json& value, std::string_view where);
    /// Must be there: a whole number from 0 to 2^63-1.
    std::uint64_t size(const nlohmann::json& parent, const char* key, std::string_view where);

    template <typename... Args>
    void refuse(fmt::format_string<Args...> format, Args&&... args) {
        if (problem_.empty()) problem_ = fmt::format(format, std::forward<Args>(args)...);
    }
    bool good() const { return problem_.empty(); }
    Result<> result() const;

private:
    const nlohmann::json* member(const nlohmann::json& parent, const char* key) const;
    std::string checked(const nlohmann::json& value, const std::string& where);

    ErrorCode code_;
    std::string problem_;
};

}  // namespace vmette::rootfs::oci
