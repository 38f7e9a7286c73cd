#include "cli/run_filter_flags.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "cli/times.h"
#include "store/batches.h"
#include "store/run_fields.h"

namespace vmette::cli {
namespace {

/// What is offered first; every field of a document is taken.
constexpr std::array<std::string_view, 6> kSortKeys{"created", "duration", "peak_memory", "boot", "name", "exit_code"};
constexpr std::array<std::string_view, 5> kStatuses{"running", "succeeded", "failed", "stopped", "lost"};
constexpr std::array<std::string_view, 12> kReasons{"exited",     "signaled", "timeout",     "idle",
                                                    "oom",        "vm-error", "setup-error", "image-error",
                                                    "exec-error", "stopped",  "lost",        "cancelled"};

Result<store::Condition> condition_of(const std::string& text, Context& context) {
    auto condition = store::parse_condition(text, context.clock().now());
    if (condition) return *std::move(condition);
    context.console().write_err(store::show_problem(text, condition.error()));
    return fail(ErrorCode::bad_input, "--where: {}", condition.error().message);
}

/// Words alone are searched for: letters and digits, of whatever script.
Result<> check_grep(const std::string& text) {
    if (!valid_utf8(text)) return fail(ErrorCode::bad_input, "--grep: the text is not valid UTF-8");
    bool has_word = std::ranges::any_of(text, [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c & 0x80) != 0;
    });
    if (!has_word) return fail(ErrorCode::bad_input, "--grep: there is no word in '{}'", harmless_line(text));
    return {};
}

Result<> check_sort(const std::string& word) {
    std::string_view name = word;
    if (name.starts_with('-') || name.starts_with('+')) name.remove_prefix(1);
    if (store::find_run_field(name) != nullptr) return {};
    auto nearest = nearest_name(name, store::run_field_names());
    return fail(ErrorCode::bad_input, "--sort: there is no field '{}'{}", harmless_line(name),
                nearest ? fmt::format(" (did you mean {}?)", *nearest) : "");
}

/// By what the batch verbs take. A whole id also names a batch that is forgotten while its runs are not.
Result<std::string> batch_id(Context& context, const std::string& asked) {
    constexpr std::size_t kIdLength = 26;
    VMETTE_TRY(store::Store * store, context.store());
    auto found = store::Batches(*store).find(asked);
    if (found) return found->id;
    if (found.error().code == ErrorCode::not_found && asked.size() == kIdLength) return asked;
    return Failure(found.error());
}

}  // namespace

std::vector<std::string> split_commas(const std::vector<std::string>& texts) {
    std::vector<std::string> words;
    for (const auto& text : texts) {
        std::size_t start = 0;
        while (start <= text.size()) {
            std::size_t comma = std::min(text.find(',', start), text.size());
            words.push_back(text.substr(start, comma - start));
            start = comma + 1;
        }
    }
    return words;
}

void RunFilterFlags::define(Arguments& arguments) {
    arguments.option("--since", "WHEN", since_, "runs made after: 12h, 7d, a date, a time");
    arguments.option("--until", "WHEN", until_, "runs made before");
    arguments.option("--status", "S", status_, "running, succeeded, failed, stopped or lost").choices = {
        kStatuses.begin(), kStatuses.end()};
    arguments.option("--reason", "R", reason_, "why it ended: exited, timeout, oom, ...").choices = {kReasons.begin(),
                                                                                                     kReasons.end()};
    arguments.option("--exit", "N", exit_code_, "exit code of the command");
    arguments.flag("--failed", failed_, "failed or lost");
    arguments.option("--name", "GLOB", name_, "name of the sandbox");
    arguments.option("--batch", "ID", batch_, "of this batch: its id, the beginning of it, or its name");
    arguments.option("--label", "K=V", labels_, "with this label");
    arguments.option("--image", "GLOB", image_, "source of the root filesystem");
    arguments.option("--grep", "TEXT", grep_, "whose output has these words one after the other");
    arguments.option("--where", "EXPR", where_, "for which this holds: duration > 30s and reason != \"exited\"");
}

void RunFilterFlags::define_order(Arguments& arguments, std::string limit_help) {
    arguments.option("--limit", "N", limit_, std::move(limit_help));
    arguments.option("--sort", "KEY,...", sort_, "by fields of the document: duration, -name, +created").choices = {
        kSortKeys.begin(), kSortKeys.end()};
}

Result<store::RunFilter> RunFilterFlags::filter(Context& context) const {
    store::RunFilter filter;
    WallTime now = context.clock().now();
    if (since_) {
        VMETTE_TRY(filter.since, parse_when(*since_, now));
    }
    if (until_) {
        VMETTE_TRY(filter.until, parse_when(*until_, now));
    }
    if (status_) filter.status = store::parse_run_status(*status_);
    filter.reason = reason_.value_or("");
    constexpr std::int64_t kHighestExitCode = 255;
    if (exit_code_ && (*exit_code_ < 0 || *exit_code_ > kHighestExitCode))
        return fail(ErrorCode::bad_input, "--exit {}: an exit code is 0 to 255", *exit_code_);
    if (exit_code_) filter.exit_code = static_cast<int>(*exit_code_);
    filter.failed = failed_;
    filter.name_glob = name_.value_or("");
    filter.image_glob = image_.value_or("");
    if (batch_) {
        VMETTE_TRY(filter.batch, batch_id(context, *batch_));
    }
    for (const auto& label : labels_) {
        auto equals = label.find('=');
        if (equals == label.npos || equals == 0)
            return fail(ErrorCode::bad_input, "--label {}: it is written NAME=VALUE", harmless_line(label));
        filter.labels[label.substr(0, equals)] = label.substr(equals + 1);
    }
    if (grep_) {
        VMETTE_CHECK_OK(check_grep(*grep_));
        filter.grep = *grep_;
    }
    if (where_) {
        VMETTE_TRY(filter.where, condition_of(*where_, context));
    }
    VMETTE_CHECK_OK(add_order(filter));
    return filter;
}

Result<> RunFilterFlags::add_order(store::RunFilter& filter) const {
    constexpr std::int64_t kMostRuns = 1'000'000;
    if (limit_ && (*limit_ < 0 || *limit_ > kMostRuns))
        return fail(ErrorCode::bad_input, "--limit {}: 0 to {}", *limit_, kMostRuns);
    if (limit_) filter.limit = static_cast<std::uint32_t>(*limit_);
    filter.sort = split_commas(sort_);
    for (const auto& key : filter.sort) VMETTE_CHECK_OK(check_sort(key));
    return {};
}

}  // namespace vmette::cli
