#pragma once
/// The rows of batches and of their jobs, and the records, one from the other.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "store/batches.h"
#include "store/columns.h"
#include "store/database.h"

namespace vmette::store {

/// The columns of `batches` that hold a BatchRecord, but for its manifest and its groups; their parameters from ?1.
const ColumnTexts& batch_columns();
void bind_batch(SQLite::Statement& statement, const BatchRecord& batch);

/// The columns of `batch_jobs` that hold a JobRecord; their parameters from ?2, as ?1 is the batch's key.
const ColumnTexts& job_columns();
void bind_job(SQLite::Statement& statement, const JobRecord& job);
/// Reads job_columns() from index 0 on. Throws DamagedRow.
JobRecord read_job(SQLite::Statement& row);

/// Binds and reads the state of a job as its text; reading throws DamagedRow.
void bind_value(SQLite::Statement& statement, int index, JobState state);
void read_value(const SQLite::Column& column, JobState& state);

/// The parts of a process's identity at index `first` and the two after it.
void bind_identity(SQLite::Statement& statement, int first, const ProcessIdentity& identity);
ProcessIdentity read_identity(SQLite::Statement& row, int first);

// To be called inside Database::read and write:

/// Of the batch with this id: what its jobs' rows must stay within.
struct BatchSize {
    std::int64_t key = 0;
    std::uint32_t jobs = 0;
    std::uint32_t groups = 0;
};
std::optional<BatchSize> batch_size(Database& database, std::string_view id);

struct FoundBatch {
    std::int64_t key = 0;
    BatchRecord record;
};
/// The batch that `condition` (with ?1) selects, whole.
std::optional<FoundBatch> one_batch(Database& database, std::string_view condition, std::string_view argument);
/// "SELECT key, <columns> FROM batches", and a row of it with its groups, without its manifest.
std::string select_batches();
FoundBatch read_selected_batch(Database& database, SQLite::Statement& row);

/// `not_found`: there is no batch with this id.
Failure no_batch(std::string_view id);

}  // namespace vmette::store
