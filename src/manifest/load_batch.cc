#include <algorithm>

#include "manifest/batch.h"
#include "manifest/job_sandboxes.h"

namespace vmette::manifest {
namespace {

std::uint64_t saturating_sum(std::uint64_t a, std::uint64_t b) {
    std::uint64_t sum = 0;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

std::uint64_t saturating_product(std::uint64_t a, std::uint64_t b) {
    std::uint64_t product = 0;
    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

/// How many jobs a table makes, before any is made; of a file no more rows are counted than the limit needs.
std::uint64_t count_jobs(JobTable& table, std::uint32_t max_jobs, BatchLoading& l) {
    if (table.broken) return 0;
    std::uint64_t rows = 1;
    if (table.file) {
        auto counted = table.file->rows.count(std::uint64_t{max_jobs} + 1);
        if (!counted) {
            l.report.add({table.file->origin, table.file->rows.line(), 1}, "{}", counted.error().text());
            table.broken = true;
            return 0;
        }
        rows = *counted;
        if (rows == 0) l.report.add(table.file->place, "from: {} has no job", l.origins[table.file->origin].name);
    }
    return saturating_product(rows, table.matrix.combinations());
}

/// False, and reported, when there are more than there may be.
bool within_limit(std::vector<JobTable>& tables, std::uint32_t max_jobs, BatchLoading& l) {
    std::uint64_t total = 0, most = 0;
    const JobTable* largest = nullptr;
    for (JobTable& table : tables) {
        std::uint64_t jobs = count_jobs(table, max_jobs, l);
        total = saturating_sum(total, jobs);
        if (jobs > most) {
            most = jobs;
            largest = &table;
        }
    }
    if (total <= max_jobs) return true;
    bool open_ended = largest->file != nullptr || total == UINT64_MAX;
    Place place = !largest->matrix.variables.empty() ? largest->matrix.variables[0].place
                  : largest->file != nullptr         ? largest->file->place
                                                     : largest->place;
    std::string count =
        total == UINT64_MAX ? "more than 2^64" : fmt::format("{}{}", open_ended ? "at least " : "", total);
    l.report.add(place, "the batch makes {} jobs, most of them here; batch.max_jobs allows {}", count, max_jobs);
    return false;
}

}  // namespace

bool is_batch_manifest(const LoadRequest::Source& source) {
    if (source.defaults_table) return false;
    std::vector<Origin> origins{{source.name, source.folder, source.text}};
    Report ignored(origins);
    auto tree = parse_toml(source.text, 0, ignored);
    return tree && std::ranges::any_of(tree->entries, [](const Entry& entry) {
               return entry.key == "job" || entry.key == "pool" || entry.key == "sandbox";
           });
}

std::expected<Batch, std::vector<Diagnostic>> load_batch(const LoadRequest& request,
                                                         const std::function<Result<>(BatchJob&&)>& sink) {
    BatchLoading loading(request);
    auto refused = [&] { return std::unexpected(loading.report.diagnostics()); };
    BatchParts parts = take_apart(loading);
    if (parts.jobs.empty()) return refused();
    Batch batch;
    batch.rules = read_batch_rules(parts.root, loading);
    std::uint32_t max_jobs = read_max_jobs(parts.root);
    if (!within_limit(parts.jobs, max_jobs, loading)) return refused();
    JobNames names(parts.jobs, loading);
    names.read(max_jobs);
    auto made = make_jobs(parts, names, loading, sink);
    if (!made) return std::unexpected(std::vector{Diagnostic{.message = made.error().text()}});
    if (!loading.report.empty()) return refused();
    for (const JobTable& table : parts.jobs) batch.groups.push_back(table.spelling);
    batch.jobs = names.size();
    return batch;
}

}  // namespace vmette::manifest
