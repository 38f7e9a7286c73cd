#include "manifest/job_sandboxes.h"

#include <algorithm>

#include "manifest/check.h"
#include "manifest/merge.h"

namespace vmette::manifest {
namespace {

using Sink = std::function<Result<>(BatchJob&&)>;

/// The jobs of one table.
class TableJobs {
public:
    TableJobs(JobTable& table, std::uint32_t group, const Value& base, BatchLoading& loading)
        : table_(table), group_(group), l_(loading), tree_(base) {
        merge(tree_, std::move(table.overrides));
        table.overrides = {};
        for (std::size_t i = 0; i < tree_.entries.size(); ++i)
            if (has_template(tree_.entries[i].value)) varying_.push_back({i, tree_.entries[i].value});
    }

    /// Says what is wrong with the table by itself, whatever it is laid upon.
    void check_alone() {
        for (Entry& entry : tree_.entries)
            if (!varies(entry.key)) check_entry(entry, l_.job_key, l_.report);
        if (!table_.broken) check_variables();
    }

    Result<> make(const JobNames& names, const Sink& sink) {
        read_common();
        if (table_.broken) return {};
        check_variables();
        Result<> outcome;
        Bindings bindings(l_.templates.variables());
        std::uint32_t job = table_.first_job;
        std::uint64_t rows = 0, last_line = 0;
        for_each_job(table_, l_, true, bindings, [&](const Rows::Row* row) {
            if (job == table_.first_job + table_.jobs) return false;
            if (row != nullptr && row->record.line != last_line) ++rows, last_line = row->record.line;
            auto made = make_one({table_, row, names.name(job)}, bindings);
            if (made && l_.report.empty()) {
                made->needs = names.needs(table_, job);
                outcome = sink(*std::move(made));
            }
            ++job;
            return outcome.has_value();
        });
        if (outcome && job != table_.first_job + table_.jobs)
            l_.report.add(table_.place, "fewer jobs than were counted: did a file change?");
        report_.finish(table_, rows);
        table_.file.reset();  // nothing reads it again
        return outcome;
    }

private:
    /// An entry of the tree with templates, as it is before they are filled in.
    struct Varying {
        std::size_t entry;
        Value pristine;
    };

    bool varies(std::string_view key) const {
        return std::ranges::any_of(varying_, [&](const auto& it) { return tree_.entries[it.entry].key == key; });
    }

    bool varies(const Section& section) const {
        return std::ranges::any_of(section.keys, [&](auto key) { return varies(key); });
    }

    /// Variables that nothing defines, and those of the matrix that nothing uses.
    void check_variables() {
        std::vector<bool> used(l_.templates.variables());
        auto use = [&](std::uint32_t id) {
            for (const auto& part : l_.templates[id].parts)
                if (part.variable) used[*part.variable] = true;
        };
        for (const Varying& it : varying_) {
            for_each_template(it.pristine, use);
            for_each_template(it.pristine, [&](std::uint32_t id) { check_defined(table_, l_.templates[id], l_); });
        }
        for_each_template(table_.name, use);
        for (const Value& need : table_.needs) for_each_template(need, use);
        for (const auto& variable : table_.matrix.variables)
            if (!used[variable.id])
                l_.report.add(variable.place, "matrix.{0} is not used: nothing in the job holds {{{{{0}}}}}",
                              l_.templates.name(variable.id));
    }

    /// Checks and reads what no variable is in.
    void read_common() {
        for (Entry& entry : tree_.entries)
            if (!varies(entry.key)) check_entry(entry, l_.job_key, l_.report);
        Report report(l_.origins);
        Loading loading = l_.loading(report);
        for (const Section* section : kSections)
            if (!varies(*section)) section->read(tree_, loading, common_);
        bool all_common = varying_.empty();
        if (all_common) validate(tree_, loading, common_);
        for (const auto& problem : report.problems()) l_.report.add_text(place_of(problem), problem.message);
        common_retry_ = read_retry(tree_.find("retry"));
    }

    /// What is missing from a manifest as a whole is missing from this table.
    Place place_of(const Report::Problem& problem) const {
        return problem.place.line == 0 && !l_.origins[problem.place.origin].flag ? table_.place : problem.place;
    }

    std::optional<BatchJob> make_one(const JobContext& context, const Bindings& bindings) {
        Report report(l_.origins);
        BatchJob job{.name = std::string(context.name), .group = group_, .sandbox = common_};
        job.sandbox.name = job.name;
        Filler filler(l_.templates, bindings);
        for (const Varying& it : varying_) {
            for_each_template(it.pristine,
                              [&](std::uint32_t id) { report_.check_bound(context, l_.templates[id], bindings); });
            Entry& entry = tree_.entries[it.entry];
            entry.value = it.pristine;
            filler.all(entry.value, report);
            check_entry(entry, l_.job_key, report);
        }
        if (!varying_.empty()) {
            Loading loading = l_.loading(report);
            for (const Section* section : kSections)
                if (varies(*section)) section->read(tree_, loading, job.sandbox);
            validate(tree_, loading, job.sandbox);
        }
        if (const Value* priority = get(tree_, "priority")) job.priority = static_cast<std::int32_t>(priority->number);
        read(tree_, "cache", job.cache);
        if (job.cache) check_reusable(job.sandbox, report);
        job.retry = varies("retry") ? read_retry(tree_.find("retry")) : common_retry_;
        for (const auto& problem : report.problems()) pass_on(context, problem);
        if (!report.empty()) return std::nullopt;
        return job;
    }

    /// A stored success is its output and its artifacts. What a job writes to the host beside these would be missing.
    void check_reusable(const Sandbox& sandbox, Report& report) const {
        Place place = get(tree_, "cache")->place;
        for (const Share& share : sandbox.shares)
            if (share.mode == ShareMode::rw)
                report.add(
                    place,
                    "cache = true: the share {} is rw, and a reused result would not write it; make it \"ro\" or "
                    "\"overlay\" and take what the job makes from its output or artifacts",
                    share.tag);
        for (std::size_t i = 0; i < sandbox.disks.size(); ++i)
            if (!sandbox.disks[i].read_only)
                report.add(place,
                           "cache = true: disks[{}] can be written, and a reused result would not write it; say "
                           "read_only = true",
                           i);
    }

    /// What is wrong in a text that a template made is the job's; anything else is the table's, and told once.
    void pass_on(const JobContext& context, const Report::Problem& problem) {
        const Template* made = nullptr;
        for (const Varying& it : varying_)
            for_each_template(it.pristine, [&](std::uint32_t id) {
                if (l_.templates[id].place == problem.place) made = &l_.templates[id];
            });
        if (made != nullptr)
            report_.add(context, problem.place, made, problem.message);
        else
            l_.report.add_text(place_of(problem), problem.message);
    }

    JobTable& table_;
    std::uint32_t group_;
    BatchLoading& l_;
    JobReport report_{l_};
    Value tree_;
    std::vector<Varying> varying_;
    Sandbox common_;
    Retry common_retry_;
};

}  // namespace

Result<> make_jobs(BatchParts& parts, const JobNames& names, BatchLoading& loading, const Sink& sink) {
    for (std::uint32_t group = 0; group < parts.jobs.size(); ++group) {
        TableJobs jobs(parts.jobs[group], group, parts.base, loading);
        if (parts.base_known)
            VMETTE_CHECK_OK(jobs.make(names, sink));
        else
            jobs.check_alone();
    }
    return {};
}

}  // namespace vmette::manifest
