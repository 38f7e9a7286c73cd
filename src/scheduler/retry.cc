#include "scheduler/retry.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "scheduler/json_number.h"

namespace vmette::scheduler {
namespace {

using nlohmann::json;

bool names(const manifest::RetryOn& on, const AttemptEnd& end) {
    if (on.exit_code) return end.reason == "exited" && end.exit_code == on.exit_code;
    return on.reason == end.reason;
}

Duration backoff(const manifest::Retry& rule, std::uint32_t attempt) {
    Duration wait = std::min(rule.backoff, kMaxBackoff);
    for (std::uint32_t i = 1; i < attempt && wait < kMaxBackoff; ++i) wait = std::min(wait * 2, kMaxBackoff);
    return wait;
}

}  // namespace

std::optional<Duration> retry_after(const manifest::Retry& rule, std::uint32_t attempt, const AttemptEnd& end,
                                    double dice) {
    bool repeatable = end.reason == "lost" && end.harmless;
    if (!repeatable) {
        if (attempt > rule.max) return std::nullopt;
        if (std::ranges::none_of(rule.on, [&](const auto& on) { return names(on, end); })) return std::nullopt;
    }
    auto whole = backoff(rule, attempt);
    return std::chrono::duration_cast<Duration>(whole * (0.5 + dice / 2));
}

std::string to_json(const manifest::Retry& rule) {
    json on = json::array();
    for (const auto& item : rule.on) item.exit_code ? on.push_back(*item.exit_code) : on.push_back(item.reason);
    return json{{"max", rule.max}, {"on", on}, {"backoff_ms", rule.backoff.count()}}.dump();
}

namespace {

/// Throws json::exception for what is missing or of another kind.
Result<manifest::Retry> read_rule(const json& document) {
    manifest::Retry rule;
    VMETTE_TRY(auto max, json_number(document, "max", 0, UINT32_MAX));
    VMETTE_TRY(auto backoff, json_number(document, "backoff_ms", 0, INT64_MAX));
    rule.max = static_cast<std::uint32_t>(max);
    rule.backoff = Duration(backoff);
    for (const auto& item : document.at("on")) {
        auto& on = rule.on.emplace_back();
        if (item.is_number())
            on.exit_code = item.get<int>();
        else
            on.reason = item.get<std::string>();
    }
    return rule;
}

}  // namespace

Result<manifest::Retry> retry_from_json(std::string_view text) {
    if (text.empty()) return manifest::Retry{};
    auto damaged = [](std::string_view what) {
        return fail(ErrorCode::bad_input, "the stored rule of retries is damaged: {}", what);
    };
    try {
        auto rule = read_rule(json::parse(text));
        if (!rule) return damaged(rule.error().message);
        return rule;
    } catch (const json::exception& problem) {
        return damaged(problem.what());
    }
}

}  // namespace vmette::scheduler
