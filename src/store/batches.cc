/// What is asked of batches.

#include "store/batches.h"

#include <algorithm>
#include <charconv>

#include "store/batch_row.h"
#include "store/impl.h"
#include "store/lookup.h"
#include "store/run_row.h"
#include "store/shared_text.h"
#include "store/values.h"

namespace vmette::store {
namespace {

/// "12", "g3": whether it names one of the batch's jobs or groups.
bool names_one(std::string_view need, const BatchSize& size) {
    bool group = need.starts_with('g');
    if (group) need.remove_prefix(1);
    std::uint32_t number = 0;
    auto [end, error] = std::from_chars(need.data(), need.data() + need.size(), number);
    return error == std::errc{} && end == need.data() + need.size() && number < (group ? size.groups : size.jobs);
}

/// A job that needs what is not there must not be taken for one that needs nothing.
void require_sound(const JobRecord& job, const BatchSize& size) {
    if (job.index >= size.jobs || job.group >= size.groups)
        throw DamagedRow(fmt::format("job {} is beyond its batch", job.index));
    for (std::string_view rest = job.needs; !rest.empty();) {
        auto word = rest.substr(0, rest.find(' '));
        rest.remove_prefix(std::min(word.size() + 1, rest.size()));
        if (!names_one(word, size)) throw DamagedRow(fmt::format("the needs of job {} make no sense", job.index));
    }
}

std::string select_jobs(const JobFilter& filter) {
    // Else SQLite reads all jobs, in the order asked for, however few are in the state.
    bool by_state = filter.state && filter.name.empty();
    std::string sql = fmt::format("SELECT {} FROM batch_jobs {}WHERE batch = ?1", job_columns().names,
                                  by_state ? "INDEXED BY batch_jobs_by_state " : "");
    if (filter.state) sql += " AND state = ?2";
    if (!filter.name.empty()) sql += " AND name = ?3";
    sql += " ORDER BY position";
    if (filter.limit != 0) sql += " LIMIT ?4";
    return sql;
}

}  // namespace

Result<BatchRecord> Batches::find(std::string_view id_or_name) {
    if (id_or_name.empty()) return fail(ErrorCode::bad_input, "expected the id or the name of a batch");
    Database& database = *store_.impl_->database;
    std::vector<std::string> ids;
    VMETTE_TRY(auto found, database.read([&] {
        std::string prefix = lower(id_or_name);
        auto batch = one_batch(database, "id = ?1", prefix);
        if (!batch) batch = one_batch(database, "name = ?1 ORDER BY created_at DESC, key DESC LIMIT 1", id_or_name);
        if (batch) return batch;
        ids = ids_with_prefix(database, "batches", prefix);
        return ids.size() == 1 ? one_batch(database, "id = ?1", ids.front()) : std::nullopt;
    }));
    if (found) return std::move(found->record);
    return not_one("batch", id_or_name, std::move(ids));
}

Result<std::vector<BatchRecord>> Batches::list(std::uint32_t limit) {
    Database& database = *store_.impl_->database;
    return database.read([&] {
        Query query(database.prepared(fmt::format("{} ORDER BY created_at DESC, key DESC LIMIT ?1", select_batches())));
        query->bind(1, limit == 0 ? std::int64_t{-1} : std::int64_t{limit});
        std::vector<BatchRecord> batches;
        while (query->executeStep()) batches.push_back(read_selected_batch(database, *query).record);
        return batches;
    });
}

Result<std::vector<JobRecord>> Batches::jobs(std::string_view batch_id, const JobFilter& filter) {
    Database& database = *store_.impl_->database;
    return flat(database.read([&]() -> Result<std::vector<JobRecord>> {
        auto size = batch_size(database, batch_id);
        if (!size) return no_batch(batch_id);
        Query query(database.prepared(select_jobs(filter)));
        query->bind(1, size->key);
        if (filter.state) bind_value(*query, 2, *filter.state);
        if (!filter.name.empty()) bind_value(*query, 3, filter.name);
        if (filter.limit != 0) bind_value(*query, 4, filter.limit);
        std::vector<JobRecord> jobs;
        while (query->executeStep()) require_sound(jobs.emplace_back(read_job(*query)), *size);
        return jobs;
    }));
}

Result<JobCounts> Batches::counts(std::string_view batch_id) {
    Database& database = *store_.impl_->database;
    return flat(database.read([&]() -> Result<JobCounts> {
        auto size = batch_size(database, batch_id);
        if (!size) return no_batch(batch_id);
        Query query(database.prepared("SELECT state, count(*) FROM batch_jobs WHERE batch = ?1 GROUP BY state"));
        query->bind(1, size->key);
        JobCounts counts;
        while (query->executeStep()) {
            JobState state{};
            read_value(query->getColumn(0), state);
            read_value(query->getColumn(1), counts.of(state));
        }
        return counts;
    }));
}

Result<std::string> Batches::job_manifest(std::string_view batch_id, std::uint32_t index) {
    Database& database = *store_.impl_->database;
    return flat(database.read([&]() -> Result<std::string> {
        auto size = batch_size(database, batch_id);
        if (!size) return no_batch(batch_id);
        Query query(
            database.prepared("SELECT head, tail, middle, manifest FROM job_manifests "
                              "JOIN job_manifest_bases USING (batch, base) WHERE batch = ?1 AND position = ?2"));
        query->bind(1, size->key);
        bind_value(*query, 2, index);
        if (!query->executeStep())
            return fail(ErrorCode::not_found, "batch {} has no manifest of a job {}", batch_id, index);
        std::string base, middle;
        SharedText shared;
        read_value(query->getColumn(0), shared.head);
        read_value(query->getColumn(1), shared.tail);
        read_value(query->getColumn(2), middle);
        read_value(query->getColumn(3), base);
        shared.middle = middle;
        auto text = restore_text(base, shared);
        if (!text) throw DamagedRow(fmt::format("the manifest of job {} is not whole", index));
        return *std::move(text);
    }));
}

Result<std::vector<RunRecord>> Batches::attempts(std::string_view batch_id, std::string_view job) {
    Database& database = *store_.impl_->database;
    return database.read([&] {
        std::string sql = select_runs(false) + " WHERE batch = ?1";
        if (!job.empty()) sql += " AND job = ?2";
        Query query(database.prepared(sql + " ORDER BY job, attempt, key"));
        bind_text(*query, 1, batch_id);
        if (!job.empty()) bind_text(*query, 2, job);
        std::vector<RunRecord> runs;
        while (query->executeStep()) runs.push_back(read_selected_run(database, *query));
        return runs;
    });
}

std::uint32_t& JobCounts::of(JobState state) {
    switch (state) {
        case JobState::pending:
            return pending;
        case JobState::running:
            return running;
        case JobState::succeeded:
            return succeeded;
        case JobState::failed:
            return failed;
        case JobState::skipped:
            return skipped;
        case JobState::cancelled:
            return cancelled;
        case JobState::unknown:
            break;
    }
    return unknown;
}

std::string_view to_string(BatchStatus status) {
    switch (status) {
        case BatchStatus::running:
            return "running";
        case BatchStatus::succeeded:
            return "succeeded";
        case BatchStatus::failed:
            return "failed";
        case BatchStatus::interrupted:
            return "interrupted";
        case BatchStatus::cancelled:
            return "cancelled";
    }
    return "failed";
}

std::optional<BatchStatus> parse_batch_status(std::string_view text) {
    using enum BatchStatus;
    for (BatchStatus status : {running, succeeded, failed, interrupted, cancelled})
        if (text == to_string(status)) return status;
    return std::nullopt;
}

std::string_view to_string(JobState state) {
    switch (state) {
        case JobState::pending:
            return "pending";
        case JobState::running:
            return "running";
        case JobState::succeeded:
            return "succeeded";
        case JobState::failed:
            return "failed";
        case JobState::skipped:
            return "skipped";
        case JobState::cancelled:
            return "cancelled";
        case JobState::unknown:
            return "unknown";
    }
    return "unknown";
}

std::optional<JobState> parse_job_state(std::string_view text) {
    using enum JobState;
    for (JobState state : {pending, running, succeeded, failed, skipped, cancelled, unknown})
        if (text == to_string(state)) return state;
    return std::nullopt;
}

}  // namespace vmette::store
