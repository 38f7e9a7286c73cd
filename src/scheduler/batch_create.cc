#include "scheduler/batch_create.h"

#include <cstdlib>

#include "base/digest.h"
#include "manifest/load.h"
#include "scheduler/needs.h"
#include "scheduler/results_folder.h"
#include "scheduler/retry.h"

namespace vmette::scheduler {
namespace {

/// So many jobs are named that cannot be run; the rest is counted.
constexpr std::size_t kNamed = 5;

/// Complaints of one kind, named by job.
class Complaints {
public:
    void add(const std::string& job, const std::string& what) {
        if (count_++ < kNamed) text_ += fmt::format("{}job {}: {}", text_.empty() ? "" : "; ", job, what);
    }
    Result<> result(ErrorCode code) const {
        if (count_ == 0) return {};
        if (count_ <= kNamed) return fail(code, "{}", text_);
        return fail(code, "{}; and {} more", text_, count_ - kNamed);
    }

private:
    std::string text_;
    std::size_t count_ = 0;
};

/// Takes the jobs one by one into the queue's transaction.
class JobSink {
public:
    explicit JobSink(store::BatchWriter writer) : writer_(std::move(writer)) {}

    Result<> add(manifest::BatchJob&& job) {
        for (const auto& sentence : manifest::not_available_yet(job.sandbox)) unavailable_.add(job.name, sentence);
        for (const auto& secret : job.sandbox.secrets)
            if (!secret.env.empty() && ::getenv(secret.env.c_str()) == nullptr)
                unset_.add(job.name, fmt::format("the secret {} comes from the variable {}, which is not set",
                                                 secret.name, secret.env));
        Room room = job_room(job.sandbox);
        store::JobRecord record;
        record.index = count_++;
        record.name = std::move(job.name);
        record.group = job.group;
        record.priority = job.priority;
        record.needs = needs_text(job.needs);
        if (job.retry != manifest::Retry{}) record.retry = to_json(job.retry);
        record.cache = job.cache;
        record.memory_mib = static_cast<std::uint32_t>(job.sandbox.limits.memory / kMiB);
        record.vcpus = room.vcpus;
        record.scratch_mib = static_cast<std::uint32_t>(room.scratch_mib);
        std::string text = manifest::to_toml(job.sandbox);
        digest_.update(text);
        digest_.update(fmt::format("\n{} {} {} {} {} {}\n", record.name, record.group, record.priority, record.needs,
                                   record.retry, record.cache));
        if (room.memory_mib > largest_.memory_mib) hungriest_ = record.name;
        largest_.memory_mib = std::max(largest_.memory_mib, room.memory_mib);
        if (room.vcpus > largest_.vcpus) busiest_ = record.name;
        largest_.vcpus = std::max(largest_.vcpus, room.vcpus);
        return writer_.add(record, text);
    }

    /// What no single job could be told of.
    Result<> check(const Room& pool) const {
        VMETTE_CHECK_OK(unavailable_.result(ErrorCode::unsupported));
        VMETTE_CHECK_OK(unset_.result(ErrorCode::bad_input));
        if (largest_.memory_mib > pool.memory_mib)
            return fail(ErrorCode::bad_input,
                        "job {} needs {} MiB with what its machine takes beside, and pool.memory is {} MiB", hungriest_,
                        largest_.memory_mib, pool.memory_mib);
        if (largest_.vcpus > pool.vcpus)
            return fail(ErrorCode::bad_input, "job {} needs {} vcpus, and pool.vcpus is {}", busiest_, largest_.vcpus,
                        pool.vcpus);
        return {};
    }

    std::string digest(const std::string& rules) {
        digest_.update(rules);
        return "sha256:" + digest_.hex();
    }
    store::BatchWriter& writer() { return writer_; }

private:
    store::BatchWriter writer_;
    Sha256 digest_;
    Complaints unavailable_, unset_;
    Room largest_;
    std::string hungriest_, busiest_;
    std::uint32_t count_ = 0;
};

/// One of this manifest that nobody drives and that has jobs left, newest first.
Result<std::optional<store::BatchRecord>> equal_unfinished(store::Batches& batches, const store::BatchRecord& wanted) {
    constexpr std::uint32_t kLookedAt = 50;
    VMETTE_TRY(auto recent, batches.list(kLookedAt));
    for (auto& batch : recent)
        if (batch.manifest_digest == wanted.manifest_digest && is_resumable(batch)) return std::move(batch);
    return std::nullopt;
}

Result<NewBatch> finish(store::Batches& batches, JobSink& sink, const manifest::Batch& made, store::BatchRecord record,
                        const BatchRequest& request) {
    VMETTE_CHECK_OK(sink.check(pool_room(made.rules.pool, request.host)));
    record.name = made.rules.name;
    record.rules = to_json(made.rules);
    record.manifest_digest = sink.digest(record.rules);
    record.results = made.rules.results;
    record.groups = made.groups;
    record.jobs = made.jobs;
    record.owner = own_identity();
    if (!request.always_new) {
        VMETTE_TRY(auto earlier, equal_unfinished(batches, record));
        if (earlier) return NewBatch{*std::move(earlier), true};
    }
    // A batch whose results cannot be written is none.
    if (!record.results.empty()) VMETTE_CHECK_OK(ResultsFolder::open(record.results));
    VMETTE_CHECK_OK(sink.writer().commit(record));
    return NewBatch{std::move(record), false};
}

}  // namespace

bool is_resumable(const store::BatchRecord& batch) {
    if (batch.status == store::BatchStatus::interrupted) return true;
    return batch.status == store::BatchStatus::running && !is_alive(batch.owner);
}

std::expected<NewBatch, BatchRefusal> create_batch(store::Store& store, const Clock& clock,
                                                   const BatchRequest& request) {
    store::Batches batches(store);
    store::BatchRecord record;
    record.created_at = clock.now();
    record.id = make_ulid(record.created_at.time_since_epoch().count());
    record.file = request.file;
    if (!request.manifest.sources.empty()) record.manifest = request.manifest.sources.back().text;
    auto refuse = [](Error error) { return std::unexpected(BatchRefusal{{}, std::move(error)}); };
    auto writer = batches.create(record.id);
    if (!writer) return refuse(writer.error());
    JobSink sink(*std::move(writer));
    // An error of the queue itself is told as such, not as one of the manifest's.
    std::optional<Error> queue_failed;
    auto made = manifest::load_batch(request.manifest, [&](manifest::BatchJob&& job) -> Result<> {
        auto added = sink.add(std::move(job));
        if (!added) queue_failed = added.error();
        return added;
    });
    if (queue_failed) return refuse(*queue_failed);
    if (!made) return std::unexpected(BatchRefusal{made.error(), std::nullopt});
    auto finished = finish(batches, sink, *made, std::move(record), request);
    if (!finished) return refuse(finished.error());
    return *std::move(finished);
}

}  // namespace vmette::scheduler
