#include "manifest/job_pass.h"

#include <algorithm>

#include "manifest/expected.h"

namespace vmette::manifest {
namespace {

/// So many jobs of one cause are named.
constexpr std::uint64_t kNamed = 5;

bool is_of_matrix(const JobTable& table, VariableId id) {
    return std::ranges::any_of(table.matrix.variables, [id](const auto& variable) { return variable.id == id; });
}

bool visit_combinations(const Matrix& matrix, Bindings& bindings, const std::function<bool()>& visit) {
    std::vector<std::size_t> chosen(matrix.variables.size());
    do {
        if (matrix.excluded(chosen)) continue;
        for (std::size_t i = 0; i < chosen.size(); ++i)
            bindings[matrix.variables[i].id] = &matrix.variables[i].values[chosen[i]];
        if (!visit()) return false;
    } while (matrix.advance(chosen));
    return true;
}

/// Binds the fields that a template asks for, and remembers which.
void bind_row(const JobTable& table, const Rows::Row& row, BatchLoading& l, Bindings& bindings,
              std::vector<VariableId>& bound) {
    for (VariableId id : bound) bindings[id] = nullptr;
    bound.clear();
    for (const Field& field : row.fields) {
        auto id = l.templates.find(field.name);
        if (!id) continue;
        auto of_matrix =
            std::ranges::find_if(table.matrix.variables, [&](const auto& variable) { return variable.id == *id; });
        if (of_matrix != table.matrix.variables.end()) {
            l.report.add(of_matrix->place, "matrix.{}: the rows of {} have a field of that name too", field.name,
                         l.origins[table.file->origin].name);
            continue;
        }
        if (field.null) continue;
        bindings[*id] = &field.value;
        bound.push_back(*id);
    }
}

/// Reads the header of CSV again. False: there is no going on, which is reported.
Result<> start_over(JobFile& file) {
    VMETTE_CHECK_OK(file.rows.rewind());
    if (!file.is_csv()) return {};
    VMETTE_TRY(auto header, file.rows.read_header());
    if (header.problem || file.rows.columns() != file.names)
        return fail(ErrorCode::bad_input, "it changed while it was read");
    return {};
}

}  // namespace

void for_each_job(JobTable& table, BatchLoading& l, bool before, Bindings& bindings,
                  const std::function<bool(const Rows::Row* row)>& visit) {
    if (!table.file) {
        visit_combinations(table.matrix, bindings, [&] { return visit(nullptr); });
    } else {
        JobFile& file = *table.file;
        std::vector<VariableId> bound;
        auto started = start_over(file);
        if (!started) l.report.add({file.origin, 0, 0}, "{}", started.error().text());
        while (started) {
            std::uint32_t line = file.rows.line();
            auto row = file.rows.next();
            if (!row && !before) l.report.add({file.origin, line, 1}, "{}", row.error().text());
            if (!row) table.partial = true;
            if (!row || !*row) break;
            if ((*row)->problem) {
                table.partial = true;
                auto place = place_in((*row)->record, (*row)->problem->offset);
                if (!before)
                    l.report.add_shown({file.origin, place.line, place.column}, (*row)->problem->message, place.shown);
                continue;
            }
            bind_row(table, **row, l, bindings, bound);
            if (!visit_combinations(table.matrix, bindings, [&] { return visit(&**row); })) break;
        }
    }
    std::ranges::fill(bindings, nullptr);
}

void check_defined(const JobTable& table, const Template& made, BatchLoading& l) {
    if (table.file && !table.file->is_csv()) return;
    for (const auto& part : made.parts) {
        if (!part.variable || is_of_matrix(table, *part.variable)) continue;
        const std::string& name = l.templates.name(*part.variable);
        if (table.file && std::ranges::find(table.file->names, name) != table.file->names.end()) continue;
        if (!table.expands()) {
            l.report.add(
                made.place,
                "nothing defines {{{{{}}}}}: the job has neither a matrix nor a file of jobs (a literal \"{{{{\" is "
                "written \"{{{{{{{{\")",
                name);
            continue;
        }
        std::vector<std::string> names;
        if (!l.report.full())
            for (const auto& variable : table.matrix.variables) names.push_back(l.templates.name(variable.id));
        if (table.file && !l.report.full())
            names.insert(names.end(), table.file->names.begin(), table.file->names.end());
        l.report.add(made.place, "nothing defines {{{{{}}}}}{}", name, nearest_hint(name, names));
    }
}

const Field* JobReport::field_of(const JobContext& job, const Template& made) const {
    if (job.row == nullptr) return nullptr;
    for (const auto& part : made.parts) {
        if (!part.variable) continue;
        auto field = std::ranges::find(job.row->fields, l_.templates.name(*part.variable), &Field::name);
        if (field != job.row->fields.end()) return &*field;
    }
    return nullptr;
}

void JobReport::add(const JobContext& job, Place cause, const Template* made, std::string_view message) {
    auto& [place, count] = causes_[{cause.origin, cause.line, cause.column}];
    place = cause;
    if (++count > kNamed) return;
    std::string text = job.name.empty() ? std::string(message) : fmt::format("job {}: {}", job.name, message);
    const Field* field = made != nullptr ? field_of(job, *made) : nullptr;
    if (field == nullptr) return l_.report.add_text(cause, text);
    auto there = place_in(job.row->record, field->offset);
    l_.report.add_shown({job.table.file->origin, there.line, there.column},
                        fmt::format("{} (from {})", text, l_.where(cause)), there.shown);
}

void JobReport::check_bound(const JobContext& job, const Template& made, const Bindings& bindings) {
    if (job.row == nullptr || job.table.file->is_csv()) return;
    for (const auto& part : made.parts)
        if (part.variable && bindings[*part.variable] == nullptr) missing(job, made, *part.variable);
}

void JobReport::missing(const JobContext& job, const Template& made, VariableId variable) {
    const std::string& name = l_.templates.name(variable);
    Missing& miss = missing_[variable];
    std::uint64_t line = job.row->record.line;
    if (miss.count > 0 && miss.last_line == line) return;  // another job of the row, or another template
    miss.last_line = line;
    auto field = std::ranges::find(job.row->fields, name, &Field::name);
    bool is_null = field != job.row->fields.end();
    if (miss.count++ == 0) {
        miss.first_use = made.place;
        std::vector<std::string> names;
        for (const Field& known : job.row->fields) names.push_back(known.name);
        if (!is_null) miss.hint = nearest_hint(name, names);
    }
    if (miss.count > kNamed) return;
    auto there = place_in(job.row->record, is_null ? field->offset : 0);
    std::string message =
        is_null
            ? fmt::format("the field \"{0}\" is null, and {{{{{0}}}}} at {1} wants a value", name, l_.where(made.place))
            : fmt::format("no field \"{0}\" for {{{{{0}}}}} at {1}{2}", name, l_.where(made.place), miss.hint);
    miss.first.emplace_back(Place{job.table.file->origin, there.line, there.column}, std::move(message),
                            std::string(there.shown));
}

void JobReport::finish(const JobTable& table, std::uint64_t rows) {
    for (auto& [variable, miss] : missing_) {
        const std::string& file = l_.origins[table.file->origin].name;
        const std::string& name = l_.templates.name(variable);
        if (miss.count == rows && rows > 1) {
            l_.report.add(miss.first_use, "nothing defines {{{{{}}}}}: no row of {} has that field{}", name, file,
                          miss.hint);
            continue;
        }
        for (const auto& [place, message, line] : miss.first) l_.report.add_shown(place, message, line);
        if (miss.count > kNamed)
            l_.report.add(miss.first_use, "{} more rows of {} have no field \"{}\"", miss.count - kNamed, file, name);
    }
    for (const auto& [key, cause] : causes_)
        if (cause.second > kNamed)
            l_.report.add(cause.first, "{} more jobs have such an error here", cause.second - kNamed);
    missing_.clear();
    causes_.clear();
}

}  // namespace vmette::manifest
