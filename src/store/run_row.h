#pragma once
/// A run's row and a RunRecord, one from the other.

#include <cstdint>
#include <string>

#include "store/database.h"
#include "store/store.h"

namespace vmette::store {

/// "id, name, …": the columns of `runs` that hold a record, in the order of bind_run and read_run.
const std::string& run_columns();
/// "?1, ?2, …" and "id = ?1, name = ?2, …" for them.
const std::string& run_placeholders();
const std::string& run_assignments();
int run_column_count();

/// Binds ?1 … of the statement to the record's columns.
void bind_run(SQLite::Statement& statement, const RunRecord& run);
/// Reads the columns from index `first` on. Throws DamagedRow.
RunRecord read_run(SQLite::Statement& statement, int first);

/// What is kept in tables of its own: labels, denied hosts, artifacts.
void write_run_details(Database& database, std::int64_t key, const RunRecord& run);
void read_run_details(Database& database, std::int64_t key, RunRecord& run);

/// "SELECT key, <columns>, manifest or NULL FROM runs", and a row of it with all its details.
std::string select_runs(bool with_manifest);
RunRecord read_selected_run(Database& database, SQLite::Statement& row);

}  // namespace vmette::store
