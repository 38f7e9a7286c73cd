#pragma once
/// What the steps of load_batch() share.

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "manifest/batch.h"
#include "manifest/loading.h"
#include "manifest/matrix.h"
#include "manifest/rows.h"
#include "manifest/templates.h"

namespace vmette::manifest {

/// One load_batch() under way.
struct BatchLoading {
    explicit BatchLoading(const LoadRequest& of);
    BatchLoading(const BatchLoading&) = delete;
    BatchLoading& operator=(const BatchLoading&) = delete;
    ~BatchLoading() = default;

    const LoadRequest& request;
    std::vector<Origin> origins;
    std::deque<std::string> texts{};  ///< of the origins that are not the request's
    Report report;
    HostCache host{};
    Templates templates{};
    /// The keys of a [[job]]: its own, and those of a sandbox but `schema` and `name`.
    std::vector<Key> job_keys;
    Key job_key;

    TemplateContext template_context() { return {templates, origins, request.environment, report}; }
    Loading loading(Report& into) { return {.request = request, .origins = origins, .report = into, .host = host}; }
    /// "batch.toml:14:9"
    std::string where(Place place) const;
};

/// The file that a job is expanded over, a job a row.
struct JobFile {
    Rows rows;
    std::uint32_t origin = 0;
    Place place;                       ///< of `from`
    std::vector<std::string> names{};  ///< of the columns of CSV, of the first row's fields of JSON

    bool is_csv() const { return rows.format() == RecordFormat::csv; }
};

/// One [[job]] table, as it is written.
struct JobTable {
    Place place;
    Value name;                ///< a string, a template perhaps; `bad` when it is none
    std::string spelling;      ///< of the name
    std::vector<Value> needs;  ///< strings, templates perhaps
    Value overrides;           ///< all keys but name, needs, matrix and from
    Matrix matrix;
    std::unique_ptr<JobFile> file;
    bool broken = false;          ///< its matrix or file is: which jobs it makes is not known
    bool partial = false;         ///< some of its rows or names were refused
    std::uint32_t first_job = 0;  ///< with `jobs` known when the names are
    std::uint32_t jobs = 0;
    std::vector<Need> common_needs{};  ///< of each of its jobs

    bool expands() const { return file != nullptr || !matrix.variables.empty(); }
};

/// A batch manifest, taken apart.
struct BatchParts {
    Value root;              ///< without `job` and `sandbox`
    Value base;              ///< what every job starts from: defaults, the sandbox's file, its table, and [retry]
    bool base_known = true;  ///< false: the sandbox could not be read, so what is missing from a job is not known
    std::vector<JobTable> jobs;
};

/// Parses the sources and the sandbox's file, expands the environment, compiles the templates, opens the files of jobs.
/// Without a job when a source is no TOML.
BatchParts take_apart(BatchLoading& loading);

/// Reads a [[job]] table and opens its file.
JobTable read_job_table(Value table, std::size_t index, BatchLoading& loading);

/// name, [pool], [batch] of a checked root.
BatchRules read_batch_rules(const Value& root, BatchLoading& loading);
std::uint32_t read_max_jobs(const Value& root);
/// The table may be null.
Retry read_retry(const Value* table);

/// What a file is called that `named_in` names as `text`: as if from the same folder as the manifest's own name.
std::string shown_name(const Origin& named_in, const std::string& text, const std::filesystem::path& full);

/// Opens a file that the manifest names; must be one that can be read again.
Result<Fd> open_named_file(const LoadRequest& request, const std::filesystem::path& path);

}  // namespace vmette::manifest
