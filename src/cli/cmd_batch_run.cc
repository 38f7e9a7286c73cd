/// vmette batch run, resume, retry, cancel: what changes a batch.

#include <fcntl.h>

#include <algorithm>

#include "base/text.h"
#include "cli/batch_foreground.h"
#include "cli/json_writer.h"
#include "cli/manifest_source.h"
#include "cli/toml_text.h"
#include "cli/verbs.h"
#include "scheduler/batch_create.h"
#include "scheduler/run.h"

namespace vmette::cli {
namespace {

class BatchRunCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        auto& file = arguments.operand("FILE", file_, "a batch manifest; - is stdin");
        file.required = true;
        file.completes = Completes::files;
        arguments.option("--set", "K=V", set_, "change one key, as --set sandbox.limits.timeout=2s");
        arguments.option("--pool.vms", "N", vms_, "how many run at once; short for --set pool.vms=N");
        arguments.flag("-n,--dry-run", dry_run_, "list the expanded jobs; start nothing");
        arguments.flag("--new", always_new_, "begin anew also when an equal batch was interrupted");
        flags_.define(arguments);
    }

    Result<int> run(Context& context) override {
        ManifestFlags manifest{.files = {*file_}, .set = set_};
        if (vms_) manifest.set.push_back("pool.vms=" + *vms_);
        VMETTE_TRY(auto request, manifest_request(context, manifest));
        if (dry_run_) return list_jobs(context, request);
        // What cannot be written is said before anything is stored.
        if (flags_.events) VMETTE_CHECK_OK(open_file(*flags_.events, O_WRONLY | O_CREAT | O_APPEND, 0644));
        VMETTE_TRY(store::Store * store, context.swept_store());
        auto made =
            scheduler::create_batch(*store, context.clock(), {request, *file_, scheduler::host_size(), always_new_});
        if (!made) return refuse(context, made.error());
        if (!made->resumed) return drive_in_foreground(context, made->batch, flags_);
        context.console().note(fmt::format(
            "an equal batch was interrupted ({}): what it has not finished is run; --new begins anew", made->batch.id));
        VMETTE_TRY(auto batch, take_batch(context, made->batch.id));
        return drive_in_foreground(context, batch, flags_);
    }

private:
    static Result<int> refuse(Context& context, const scheduler::BatchRefusal& refusal) {
        if (refusal.error) return Failure(*refusal.error);
        context.console().write_err(manifest::render(refusal.diagnostics));
        return scheduler::kExitUsage;
    }

    Result<int> list_jobs(Context& context, const manifest::LoadRequest& request) {
        std::string text;
        std::vector<std::string> documents;
        auto made = manifest::load_batch(request, [&](manifest::BatchJob&& job) -> Result<> {
            if (flags_.json)
                documents.push_back(JsonObject()
                                        .number("index", documents.size())
                                        .text("name", job.name)
                                        .raw("priority", fmt::to_string(job.priority))
                                        .render(false));
            else
                text += job.name + "\n";
            return {};
        });
        if (!made) return refuse(context, {made.error(), std::nullopt});
        VMETTE_CHECK_OK(context.console().write(flags_.json ? json_array(documents) + "\n" : text));
        context.console().note(fmt::format("{} jobs, {} at once", made->jobs, made->rules.pool.vms));
        return 0;
    }

    std::optional<std::string> file_, vms_;
    std::vector<std::string> set_;
    bool dry_run_ = false, always_new_ = false;
    BatchFlags flags_;
};

class BatchResumeCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        auto& id = arguments.operand("ID", id_, "the batch's id, a unique beginning of it, or its name");
        id.required = true;
        id.completes = Completes::batches;
        flags_.define(arguments);
    }

    Result<int> run(Context& context) override {
        VMETTE_TRY(bool sound, check_settings_or_report(context));
        if (!sound) return scheduler::kExitUsage;
        VMETTE_TRY(store::Store * store, context.swept_store());
        VMETTE_TRY(auto found, store::Batches(*store).find(*id_));
        bool driven = found.status == store::BatchStatus::running && is_alive(found.owner);
        if (!driven && !scheduler::is_resumable(found))
            return fail(ErrorCode::not_found,
                        "batch {} has ended ({}): nothing of it waits; `vmette batch retry {}` runs again what did not "
                        "succeed",
                        found.id, to_string(found.status), found.id);
        VMETTE_TRY(auto batch, take_batch(context, found.id));
        return drive_in_foreground(context, batch, flags_);
    }

private:
    std::optional<std::string> id_;
    BatchFlags flags_;
};

bool did_not_succeed(store::JobState state) {
    using enum store::JobState;
    return state == failed || state == unknown || state == skipped || state == cancelled;
}

class BatchRetryCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        auto& id = arguments.operand("ID", id_, "the batch's id, a unique beginning of it, or its name");
        id.required = true;
        id.completes = Completes::batches;
        arguments.operands("JOB", names_, "the jobs to run again, whatever became of them");
        arguments.flag("--failed", failed_, "all that did not succeed (also when no job is named)");
        flags_.define(arguments);
    }

    Result<int> run(Context& context) override {
        VMETTE_TRY(bool sound, check_settings_or_report(context));
        if (!sound) return scheduler::kExitUsage;
        VMETTE_TRY(store::Store * store, context.swept_store());
        store::Batches batches(*store);
        VMETTE_TRY(auto found, batches.find(*id_));
        // Before it is taken: a name that is wrong changes nothing.
        VMETTE_CHECK_OK(choose(batches, found));
        VMETTE_TRY(auto batch, take_batch(context, found.id));
        auto self = own_identity();
        VMETTE_TRY(auto chosen, choose(batches, batch));
        VMETTE_CHECK_OK(batches.apply(batch.id, self, chosen, true));
        context.console().note(fmt::format("{} jobs are run again", chosen.size()));
        return drive_in_foreground(context, batch, flags_);
    }

private:
    Result<std::vector<store::JobChange>> choose(store::Batches& batches, const store::BatchRecord& batch) const {
        VMETTE_TRY(auto jobs, batches.jobs(batch.id));
        std::vector<store::JobChange> changes;
        auto add = [&](const store::JobRecord& job) {
            changes.push_back({.index = job.index, .attempts = job.attempts, .run_id = job.run_id});
        };
        for (const auto& name : names_) {
            auto found = std::ranges::find(jobs, name, &store::JobRecord::name);
            if (found == jobs.end())
                return fail(ErrorCode::not_found, "batch {} has no job {}", batch.id, harmless_line(name));
            add(*found);
        }
        if (names_.empty() || failed_)
            for (const auto& job : jobs)
                if (did_not_succeed(job.state) && std::ranges::find(names_, job.name) == names_.end()) add(job);
        return changes;
    }

    std::optional<std::string> id_;
    std::vector<std::string> names_;
    bool failed_ = false;
    BatchFlags flags_;
};

class BatchCancelCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        auto& id = arguments.operand("ID", id_, "the batch's id, a unique beginning of it, or its name");
        id.required = true;
        id.completes = Completes::batches;
        arguments.operands("JOB", names_, "only these jobs");
    }

    Result<int> run(Context& context) override {
        VMETTE_TRY(store::Store * store, context.swept_store());
        store::Batches batches(*store);
        VMETTE_TRY(auto batch, batches.find(*id_));
        std::vector<std::optional<std::uint32_t>> jobs;
        if (names_.empty()) jobs.emplace_back();
        for (const auto& name : names_) {
            VMETTE_TRY(auto found, batches.jobs(batch.id, {.name = name}));
            if (found.empty())
                return fail(ErrorCode::not_found, "batch {} has no job {}", batch.id, harmless_line(name));
            jobs.emplace_back(found.front().index);
        }
        for (const auto& job : jobs) VMETTE_CHECK_OK(batches.request_cancel(batch.id, job));
        bool driven = batch.status == store::BatchStatus::running && is_alive(batch.owner);
        if (driven) {
            context.console().note(fmt::format("batch {} is asked to cancel {}", batch.id, what()));
            return 0;
        }
        if (!scheduler::is_resumable(batch)) {
            VMETTE_TRY(auto late, batches.take_cancel_requests(batch.id));
            return fail(ErrorCode::not_found, "batch {} has ended: nothing of it runs or waits", batch.id);
        }
        if (!names_.empty()) {
            context.console().note(fmt::format("batch {} cancels {} when it is resumed", batch.id, what()));
            return 0;
        }
        // Nobody drives it: what is left is cancelled here.
        VMETTE_TRY(auto taken, take_batch(context, batch.id));
        return cancel_all(context, batches, taken);
    }

private:
    std::string what() const { return names_.empty() ? "all its jobs" : fmt::format("{}", fmt::join(names_, ", ")); }

    static Result<int> cancel_all(Context& context, store::Batches& batches, const store::BatchRecord& batch) {
        auto self = own_identity();
        VMETTE_TRY(auto requests, batches.take_cancel_requests(batch.id));
        VMETTE_TRY(auto jobs, batches.jobs(batch.id, {.state = store::JobState::pending}));
        std::vector<store::JobChange> changes;
        for (const auto& job : jobs) {
            store::JobChange change{.index = job.index, .state = store::JobState::cancelled};
            change.attempts = job.attempts;
            change.reason = "cancelled";
            change.run_id = job.run_id;
            change.at = context.clock().now();
            changes.push_back(std::move(change));
        }
        VMETTE_CHECK_OK(batches.apply(batch.id, self, changes, true));
        VMETTE_CHECK_OK(batches.release(batch.id, self, store::BatchStatus::cancelled));
        context.console().note(fmt::format("batch {}: {} jobs cancelled", batch.id, changes.size()));
        return 0;
    }

    std::optional<std::string> id_;
    std::vector<std::string> names_;
};

}  // namespace

const Verb kBatchRunVerb{
    .name = "batch run",
    .summary = "run the jobs of a batch manifest through a bounded pool of machines",
    .description =
        "Every job gets a machine of its own. The queue is on disk: whatever ends this process, `batch resume`\n"
        "goes on with what is not finished. Ctrl-C once: no new jobs, running ones may finish for 5 s and are then\n"
        "stopped; twice: at once.",
    .example = "vmette batch run jobs.toml --pool.vms 4 --events events.jsonl",
    .exit_codes = kBatchExitCodes,
    .make = make_command<BatchRunCommand>,
};

const Verb kBatchResumeVerb{
    .name = "batch resume",
    .summary = "go on with a batch that was interrupted, or whose process died",
    .description =
        "Only what has not finished is run. A job whose outcome is unknown, because its machine died with the process\n"
        "after its command had begun, is tried again when its `retry.on` names \"lost\".",
    .example = "vmette batch resume eval-0412",
    .exit_codes = kBatchExitCodes,
    .make = make_command<BatchResumeCommand>,
};

const Verb kBatchRetryVerb{
    .name = "batch retry",
    .summary = "run jobs of a batch again: those named, or all that did not succeed",
    .example = "vmette batch retry eval-0412 --failed",
    .exit_codes = kBatchExitCodes,
    .make = make_command<BatchRetryCommand>,
};

const Verb kBatchCancelVerb{
    .name = "batch cancel",
    .summary = "cancel a batch, or some of its jobs, from any terminal",
    .description = "Running jobs get TERM and their grace. Jobs that need a cancelled one are skipped.",
    .example = "vmette batch cancel eval-0412 fix-101-small",
    .exit_codes = "0  cancelled, or asked for\n1  there is no such batch or job, or it has ended\n2  wrong usage",
    .make = make_command<BatchCancelCommand>,
};

}  // namespace vmette::cli
