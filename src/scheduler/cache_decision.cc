#include "scheduler/cache_decision.h"

#include <array>

#include <nlohmann/json.hpp>

#include "scheduler/json_number.h"

namespace vmette::scheduler {
namespace {

using nlohmann::json;
using Cause = CacheDecision::Cause;

constexpr std::array kCauses{Cause::first, Cause::changed, Cause::gone, Cause::untold, Cause::bypassed};

json change_json(const CacheDecision::Change& change) {
    json out{{"input", change.input.name}, {"before", change.input.before}, {"after", change.input.after}};
    if (change.files.count > 0) {
        out["files"] = change.files.first;
        out["files_changed"] = change.files.count;
    }
    return out;
}

/// Throws json::exception for what is missing or of another kind, as does what calls it.
Result<CacheDecision::Change> read_change(const json& document) {
    CacheDecision::Change change;
    document.at("input").get_to(change.input.name);
    document.at("before").get_to(change.input.before);
    document.at("after").get_to(change.input.after);
    if (!document.contains("files")) return change;
    document.at("files").get_to(change.files.first);
    VMETTE_TRY(auto count, json_number(document, "files_changed", 1, INT64_MAX));
    change.files.count = static_cast<std::uint64_t>(count);
    return change;
}

Result<CacheDecision> read_decision(const json& document) {
    CacheDecision decision;
    auto cause = document.at("cause").get<std::string>();
    bool known = false;
    for (auto one : kCauses)
        if (to_string(one) == cause) decision.cause = one, known = true;
    if (!known) return fail(ErrorCode::bad_input, "no cause is {}", cause);
    document.at("key").get_to(decision.key);
    document.at("run_id").get_to(decision.run_id);
    document.at("note").get_to(decision.note);
    document.at("not_kept").get_to(decision.not_kept);
    VMETTE_TRY(auto more, json_number(document, "more_changes", 0, INT64_MAX));
    decision.more_changes = static_cast<std::uint64_t>(more);
    for (const auto& one : document.at("changes")) {
        VMETTE_TRY(auto change, read_change(one));
        decision.changes.push_back(std::move(change));
    }
    return decision;
}

}  // namespace

std::string_view to_string(Cause cause) {
    switch (cause) {
        case Cause::first:
            return "first";
        case Cause::changed:
            return "changed";
        case Cause::gone:
            return "gone";
        case Cause::untold:
            return "untold";
        case Cause::bypassed:
            return "bypassed";
    }
    return "first";
}

std::string to_json(const CacheDecision& decision) {
    json changes = json::array();
    for (const auto& change : decision.changes) changes.push_back(change_json(change));
    return json{{"cause", to_string(decision.cause)},
                {"key", decision.key},
                {"run_id", decision.run_id},
                {"changes", changes},
                {"more_changes", decision.more_changes},
                {"note", decision.note},
                {"not_kept", decision.not_kept}}
        .dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<CacheDecision> cache_decision_from_json(std::string_view text) {
    auto damaged = [](std::string_view what) {
        return fail(ErrorCode::bad_input, "what is stored of why the job was run is damaged: {}", what);
    };
    try {
        auto decision = read_decision(json::parse(text));
        if (!decision) return damaged(decision.error().message);
        return decision;
    } catch (const json::exception& problem) {
        return damaged(problem.what());
    }
}

}  // namespace vmette::scheduler
