/// What a registry and its token server answer with besides documents: challenges, tokens, error documents. What is
/// taken is bounded and fit for the header or the message that it goes into, and a challenge that is read can be
/// written down again.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/text.h"
#include "rootfs/worker/auth.h"
#include "rootfs/worker/registry_json.h"

namespace {

using namespace vmette;
using namespace vmette::rootfs;

constexpr std::size_t kMaxChallenges = 16;
constexpr std::size_t kMaxParameters = 16;

void require(bool holds) {
    if (!holds) std::abort();
}

std::string in_quotes(std::string_view value) {
    std::string out = "\"";
    for (char c : value) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + '"';
}

std::string written(const std::vector<Challenge>& challenges) {
    std::string out;
    for (const auto& challenge : challenges) {
        out += (out.empty() ? "" : ", ") + challenge.scheme;
        std::string_view before = " ";
        for (const auto& [name, value] : challenge.parameters)
            out += fmt::format("{}{}={}", std::exchange(before, ", "), name, in_quotes(value));
    }
    return out;
}

void check_challenges(std::string_view header) {
    auto challenges = parse_challenges(header);
    require(challenges.size() <= kMaxChallenges);
    auto has_upper = [](char c) { return c >= 'A' && c <= 'Z'; };
    for (const auto& challenge : challenges) {
        require(!challenge.scheme.empty() && challenge.parameters.size() <= kMaxParameters);
        require(std::none_of(challenge.scheme.begin(), challenge.scheme.end(), has_upper));
        for (const auto& [name, value] : challenge.parameters) {
            require(!name.empty() && std::none_of(name.begin(), name.end(), has_upper));
            require(value.size() <= header.size());
        }
    }
    require(parse_challenges(written(challenges)) == challenges);
}

void check_message(const std::string& message) {
    require(message.size() <= 200 && harmless_line(message, message.size()) == message);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view text(reinterpret_cast<const char*>(data), size);
    check_challenges(text);
    std::string token = token_in(text);
    require(token.size() <= 32768);
    require(std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c < 0x7F; }));
    check_message(error_in(text));
    check_message(message_in(text));
    return 0;
}
