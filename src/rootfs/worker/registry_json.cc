#include "rootfs/worker/registry_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace vmette::rootfs {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxToken = 32768;
constexpr std::size_t kMaxShown = 160;

Json parse(std::string_view text) { return Json::parse(text, nullptr, /*allow_exceptions=*/false); }

std::string text_at(const Json& object, const char* name) {
    if (!object.is_object()) return "";
    auto found = object.find(name);
    return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

bool fit_for_header(const std::string& token) {
    return !token.empty() && token.size() <= kMaxToken &&
           std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c < 0x7F; });
}

}  // namespace

std::string token_in(std::string_view answer) {
    Json document = parse(answer);
    for (const char* name : {"token", "access_token"})
        if (std::string token = text_at(document, name); fit_for_header(token)) return token;
    return "";
}

std::string error_in(std::string_view answer) {
    Json document = parse(answer);
    if (!document.is_object() || !document.contains("errors") || !document["errors"].is_array()) return "";
    const Json& errors = document["errors"];
    if (errors.empty()) return "";
    std::string code = text_at(errors[0], "code");
    std::string message = text_at(errors[0], "message");
    return harmless_line(code + (code.empty() || message.empty() ? "" : ": ") + message, kMaxShown);
}

std::string message_in(std::string_view answer) { return harmless_line(text_at(parse(answer), "message"), kMaxShown); }

}  // namespace vmette::rootfs
