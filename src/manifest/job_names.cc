#include "manifest/job_names.h"

#include <algorithm>

#include "base/text.h"
#include "manifest/expected.h"
#include "manifest/text_rules.h"

namespace vmette::manifest {

void JobNames::read(std::uint32_t max_jobs) {
    for (std::uint32_t i = 0; i < tables_.size(); ++i)
        if (tables_[i].expands() || tables_[i].broken) groups_.emplace(tables_[i].spelling, i);
    for (JobTable& table : tables_)
        if (!table.broken) read_table(table, max_jobs);
    resolve();
}

void JobNames::read_table(JobTable& table, std::uint32_t max_jobs) {
    table.first_job = size();
    std::vector<const Value*> own;  // needs that differ from job to job
    if (table.name.template_id != 0) check_defined(table, l_.templates[table.name.template_id], l_);
    for (const Value& need : table.needs) {
        if (need.template_id == 0 || means_group(table, l_.templates[need.template_id])) continue;
        check_defined(table, l_.templates[need.template_id], l_);
        own.push_back(&need);
    }
    Bindings bindings(l_.templates.variables());
    std::uint64_t rows = 0, last_line = 0;
    for_each_job(table, l_, false, bindings, [&](const Rows::Row* row) {
        if (size() >= max_jobs) {
            l_.report.add(table.file ? table.file->place : table.place,
                          "more jobs than were counted: did a file change?");
            return false;
        }
        if (row != nullptr && row->record.line != last_line) ++rows, last_line = row->record.line;
        Filler filler(l_.templates, bindings);
        name_job({table, row, {}}, filler, bindings);
        table.partial = table.partial || names_.back() == nullptr;
        for (const Value* need : own) {
            const Template& made = l_.templates[need->template_id];
            report_.check_bound({table, row, {}}, made, bindings);
            std::string problem;
            if (auto name = filler.text(made, problem)) wanted_.push_back({size() - 1, &table, need, *std::move(name)});
        }
        return true;
    });
    table.jobs = size() - table.first_job;
    report_.finish(table, rows);
    if (table.jobs == 0 && !table.matrix.excludes.empty())
        l_.report.add(table.matrix.variables[0].place, "matrix.exclude leaves out every combination: there is no job");
}

void JobNames::name_job(const JobContext& job, Filler& filler, const Bindings& bindings) {
    const Value& value = job.table.name;
    names_.push_back(nullptr);
    if (value.bad) return;
    const Template* made = value.template_id != 0 ? &l_.templates[value.template_id] : nullptr;
    std::string name = value.text;
    if (made != nullptr) {
        report_.check_bound(job, *made, bindings);
        std::string problem;
        auto text = filler.text(*made, problem);
        if (!problem.empty()) report_.add(job, value.place, made, problem);
        if (!text) return;
        name = *std::move(text);
    }
    if (made != nullptr && !kNameRule.fits(name))
        return report_.add(job, value.place, made,
                           fmt::format("name must be {}, not \"{}\"", kNameRule.expects, harmless_line(name, 80)));
    auto [taken, is_new] = indices_.emplace(std::move(name), size() - 1);
    if (!is_new)
        return report_.add(job, value.place, made, fmt::format("another job is named \"{}\" too", taken->first));
    names_.back() = &taken->first;
}

/// The name of a table of jobs stands for all of them, unless it is one job's to this table, whose variables it has.
bool JobNames::means_group(const JobTable& table, const Template& made) const {
    if (!groups_.contains(made.spelling)) return false;
    return !std::ranges::all_of(made.parts, [&](const Template::Part& part) {
        if (!part.variable) return true;
        const std::string& name = l_.templates.name(*part.variable);
        if (table.file && std::ranges::find(table.file->names, name) != table.file->names.end()) return true;
        return std::ranges::any_of(table.matrix.variables,
                                   [&](const auto& known) { return known.id == *part.variable; });
    });
}

std::optional<Need> JobNames::find(const Value& need, const std::string& name) const {
    if (auto job = indices_.find(name); job != indices_.end()) return Need{.group = false, .index = job->second};
    const std::string& spelling = need.template_id != 0 ? l_.templates[need.template_id].spelling : name;
    if (auto group = groups_.find(spelling); group != groups_.end()) return Need{.group = true, .index = group->second};
    return std::nullopt;
}

/// Whether a job of that name may be missing only because something else is wrong: that is no error of who needs it.
bool JobNames::may_be_hidden(std::string_view name) const {
    return std::ranges::any_of(tables_, [&](const JobTable& table) {
        if (table.name.bad) return table.name.text.empty() || table.name.text == name;
        if (!(table.broken || table.partial) || table.name.template_id == 0) return false;
        const auto& parts = l_.templates[table.name.template_id].parts;
        auto literal = [](const Template::Part& part) { return part.variable ? std::string_view() : part.text; };
        std::string_view start = literal(parts.front()), end = literal(parts.back());
        return name.size() >= start.size() + end.size() && name.starts_with(start) && name.ends_with(end);
    });
}

std::string JobNames::hint(std::string_view name) {
    constexpr int kMostHints = 20;  // who has mistaken more names has another trouble
    if (hints_++ >= kMostHints) return {};
    std::vector<std::string_view> candidates;
    for (const auto& [spelling, table] : groups_) candidates.emplace_back(spelling);
    for (const std::string* known : names_)
        if (known != nullptr) candidates.emplace_back(*known);
    return nearest_hint(name, candidates);
}

void JobNames::resolve() {
    auto add_once = [](std::vector<Need>& needs, Need need) {
        if (std::ranges::find(needs, need) == needs.end()) needs.push_back(need);
    };
    for (JobTable& table : tables_) {
        for (const Value& need : table.needs) {
            if (need.template_id != 0 && !means_group(table, l_.templates[need.template_id])) continue;
            if (auto found = find(need, need.text))
                add_once(table.common_needs, *found);
            else if (!may_be_hidden(need.text))
                l_.report.add(need.place, "needs: there is no job \"{}\"{}", need.text, hint(need.text));
        }
    }
    const JobTable* table = nullptr;
    for (const Wanted& wanted : wanted_) {
        if (table != wanted.table) report_.finish(*wanted.table, 0);
        table = wanted.table;
        auto job = indices_.find(wanted.name);
        if (job != indices_.end())
            own_needs_.emplace_back(wanted.job, Need{.group = false, .index = job->second});
        else if (!may_be_hidden(wanted.name))
            report_.add({*table, nullptr, name(wanted.job)}, wanted.need->place, nullptr,
                        fmt::format("needs: there is no job \"{}\"{}", wanted.name, hint(wanted.name)));
    }
    if (table != nullptr) report_.finish(*table, 0);
    wanted_.clear();
    report_cycles(tables_, *this, own_needs_, l_);
}

std::vector<Need> JobNames::needs(const JobTable& table, std::uint32_t job) const {
    std::vector<Need> out = table.common_needs;
    auto first = std::ranges::lower_bound(own_needs_, job, {}, &std::pair<std::uint32_t, Need>::first);
    for (; first != own_needs_.end() && first->first == job; ++first)
        if (std::ranges::find(out, first->second) == out.end()) out.push_back(first->second);
    return out;
}

}  // namespace vmette::manifest
