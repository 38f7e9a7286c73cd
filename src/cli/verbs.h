#pragma once
/// The verbs of vmette: one file each, listed in verbs.cc.

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "cli/arguments.h"
#include "cli/context.h"

namespace vmette::cli {

/// One verb at work: made, told its arguments, run once.
class Command {
public:
    virtual ~Command() = default;
    virtual void define(Arguments& arguments) = 0;
    /// Returns the exit code. An error is said by the caller; `bad_input` and `unsupported` end with 2, any other
    /// with the verb's failure code.
    virtual Result<int> run(Context& context) = 0;
};

/// What is known of a verb without running it.
struct Verb {
    std::string_view name;         ///< "up", "history show"
    std::string_view summary;      ///< one line, in lower case
    std::string_view description;  ///< a paragraph or more; may be empty
    std::string_view example;      ///< one command line
    std::string_view exit_codes;   ///< lines of "CODE  meaning"
    int failure_code = 1;
    std::unique_ptr<Command> (*make)() = nullptr;
};

/// In the order of the overview.
std::span<const Verb* const> all_verbs();

/// Those whose name is `parent` and one word more, in the same order.
std::vector<const Verb*> verbs_below(std::string_view parent);

/// Names of the specification that this version does not carry out: known, so that they are refused with a reason.
std::span<const std::string_view> unavailable_verbs();

template <typename T>
std::unique_ptr<Command> make_command() {
    return std::make_unique<T>();
}

extern const Verb kUpVerb, kRunVerb, kPsVerb, kLogsVerb, kWaitVerb, kStopVerb, kExecVerb, kShellVerb, kCpVerb,
    kValidateVerb, kPlanVerb, kInitVerb, kSchemaVerb, kHistoryVerb, kHistoryShowVerb, kHistoryLogsVerb,
    kHistoryStatsVerb, kHistoryDiffVerb, kHistoryPruneVerb, kHistorySqlVerb, kHistoryExportVerb, kHistoryRecoverVerb,
    kRerunVerb, kImagePullVerb, kImageLsVerb, kImageInspectVerb, kImageRmVerb, kImagePruneVerb, kImageVerifyVerb,
    kImageProvidersVerb, kBatchRunVerb, kBatchResumeVerb, kBatchRetryVerb, kBatchCancelVerb, kBatchLsVerb,
    kBatchShowVerb, kBatchExplainVerb, kBatchReportVerb, kGcVerb, kDoctorVerb, kVersionVerb, kCompletionVerb, kManVerb,
    kHelpVerb;

}  // namespace vmette::cli
