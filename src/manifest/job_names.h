#pragma once
/// The names of all jobs of a batch, and what they need: known before any job is handed on, since a job may need one
/// that stands after it.

#include <string>
#include <unordered_map>
#include <vector>

#include "manifest/job_pass.h"

namespace vmette::manifest {

/// Goes over every table once and gives each job its index.
class JobNames {
public:
    JobNames(std::vector<JobTable>& tables, BatchLoading& loading) : tables_(tables), l_(loading) {}

    /// Reports names that are wrong or taken, needs of jobs that there are not, and cycles.
    void read(std::uint32_t max_jobs);

    std::uint32_t size() const { return static_cast<std::uint32_t>(names_.size()); }
    /// Empty when the name was refused.
    std::string_view name(std::uint32_t job) const {
        return names_[job] == nullptr ? std::string_view() : std::string_view(*names_[job]);
    }
    std::vector<Need> needs(const JobTable& table, std::uint32_t job) const;

private:
    /// A name that a template made for one job's `needs`.
    struct Wanted {
        std::uint32_t job;
        const JobTable* table;
        const Value* need;
        std::string name;
    };

    void read_table(JobTable& table, std::uint32_t max_jobs);
    void name_job(const JobContext& job, Filler& filler, const Bindings& bindings);
    bool means_group(const JobTable& table, const Template& made) const;
    void resolve();
    std::optional<Need> find(const Value& need, const std::string& name) const;
    bool may_be_hidden(std::string_view name) const;
    std::string hint(std::string_view name);

    std::vector<JobTable>& tables_;
    BatchLoading& l_;
    JobReport report_{l_};
    std::unordered_map<std::string, std::uint32_t> indices_;
    std::vector<const std::string*> names_;
    int hints_ = 0;
    std::unordered_map<std::string, std::uint32_t> groups_;  ///< name as it is written → table
    std::vector<Wanted> wanted_;
    std::vector<std::pair<std::uint32_t, Need>> own_needs_;  ///< (job, need), ascending
};

/// Reports the cycles among the jobs, one for each knot of jobs that need one another.
void report_cycles(const std::vector<JobTable>& tables, const JobNames& names,
                   const std::vector<std::pair<std::uint32_t, Need>>& own_needs, BatchLoading& loading);

}  // namespace vmette::manifest
