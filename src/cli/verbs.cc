#include "cli/verbs.h"

namespace vmette::cli {

std::span<const Verb* const> all_verbs() {
    static constexpr const Verb* kVerbs[] = {
        &kUpVerb,
        &kRunVerb,
        &kValidateVerb,
        &kPlanVerb,
        &kInitVerb,
        &kSchemaVerb,
        &kPsVerb,
        &kLogsVerb,
        &kWaitVerb,
        &kStopVerb,
        &kExecVerb,
        &kShellVerb,
        &kCpVerb,
        &kHistoryVerb,
        &kHistoryShowVerb,
        &kHistoryLogsVerb,
        &kHistoryStatsVerb,
        &kHistoryDiffVerb,
        &kHistoryExportVerb,
        &kHistoryPruneVerb,
        &kHistorySqlVerb,
        &kHistoryRecoverVerb,
        &kRerunVerb,
        &kImagePullVerb,
        &kImageLsVerb,
        &kImageInspectVerb,
        &kImageRmVerb,
        &kImagePruneVerb,
        &kImageVerifyVerb,
        &kImageProvidersVerb,
        &kBatchRunVerb,
        &kBatchResumeVerb,
        &kBatchRetryVerb,
        &kBatchCancelVerb,
        &kBatchLsVerb,
        &kBatchShowVerb,
        &kBatchExplainVerb,
        &kBatchReportVerb,
        &kGcVerb,
        &kDoctorVerb,
        &kVersionVerb,
        &kCompletionVerb,
        &kManVerb,
        &kHelpVerb,
    };
    return kVerbs;
}

std::vector<const Verb*> verbs_below(std::string_view parent) {
    std::vector<const Verb*> result;
    for (const Verb* verb : all_verbs()) {
        std::string_view name = verb->name;
        if (name.size() > parent.size() && name.starts_with(parent) && name[parent.size()] == ' ')
            result.push_back(verb);
    }
    return result;
}

std::span<const std::string_view> unavailable_verbs() {
    static constexpr std::string_view kNames[] = {
        "snapshot ls",
        "snapshot rm",
        "snapshot prune",
        "mcp",
    };
    return kNames;
}

}  // namespace vmette::cli
