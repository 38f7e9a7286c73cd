#include <algorithm>

#include "base/text.h"
#include "manifest/batch_loading.h"
#include "manifest/check.h"
#include "manifest/expected.h"
#include "manifest/host_paths.h"
#include "manifest/merge.h"
#include "manifest/text_rules.h"

namespace vmette::manifest {
namespace {

constexpr Key kName{.name = "name", .rule = &kNameRule};

/// What comes of a [[job]]'s `from`: null when it was reported.
std::unique_ptr<JobFile> open_jobs(const Value& from, BatchLoading& l) {
    Loading loading = l.loading(l.report);
    auto path = host_path(from.text, from.place, loading);
    if (!path) return nullptr;
    auto format = Rows::format_of(path->full.native());
    if (!format) {
        l.report.add(from.place, "from must be a file whose name ends in .jsonl, .ndjson or .csv, not \"{}\"",
                     from.text);
        return nullptr;
    }
    auto file = open_named_file(l.request, path->full);
    if (!file) {
        l.report.add(from.place, "from: {}", file.error().text());
        return nullptr;
    }
    std::string name = shown_name(l.origins[from.place.origin], from.text, path->full);
    auto known = std::ranges::find(l.origins, name, &Origin::name);
    auto origin = static_cast<std::uint32_t>(known - l.origins.begin());
    if (known == l.origins.end()) l.origins.push_back({.name = name, .folder = path->full.parent_path(), .text = {}});
    auto opened = std::make_unique<JobFile>(Rows(*std::move(file), *format), origin, from.place);
    if (*format != RecordFormat::csv) {
        // Which fields there are is each row's own affair; the first one's show what is meant.
        if (auto first = opened->rows.next(); first && *first)
            for (const Field& field : (*first)->fields) opened->names.push_back(field.name);
        return opened;
    }
    auto header = opened->rows.read_header();
    if (!header) {
        l.report.add({origin, 0, 0}, "{}", header.error().text());
        return nullptr;
    }
    if (header->problem) {
        auto place = place_in(header->record, header->problem->offset);
        l.report.add_shown({origin, place.line, place.column}, header->problem->message, place.shown);
        return nullptr;
    }
    opened->names = opened->rows.columns();
    return opened;
}

/// Reads one [[job]] table, key by key.
class Reader {
public:
    Reader(Value table, std::size_t index, BatchLoading& loading)
        : l_(loading), table_(std::move(table)), path_(fmt::format("job[{}]", index)) {}

    JobTable read() {
        JobTable job;
        job.place = table_.place;
        drop_unknown();
        std::size_t said = l_.report.count();
        if (auto matrix = take("matrix")) job.matrix = read_matrix(*matrix, l_.template_context());
        if (auto from = take("from")) read_from(*from, job);
        job.broken = l_.report.count() != said;
        widen_short_forms(table_, l_.job_key);
        if (Value* shares = table_.find("shares")) widen_template_shares(*shares);
        compile_templates(table_, l_.job_key, l_.template_context());
        expand_strings(table_, l_.job_key, l_.request.environment, l_.report);
        read_name(job);
        if (auto needs = take("needs")) job.needs = std::move(needs->items);
        job.overrides = std::move(table_);
        return job;
    }

private:
    void drop_unknown() {
        std::erase_if(table_.entries, [&](const Entry& entry) {
            bool unknown = find_key(l_.job_key, entry.key) == nullptr;
            if (unknown) l_.report.add_text(entry.key_place, unknown_key(entry.key, l_.job_key, "[[job]]"));
            return unknown;
        });
    }

    /// The value of a key, checked and taken out; nothing when it is missing or wrong.
    std::optional<Value> take(std::string_view key) {
        auto found = std::ranges::find(table_.entries, key, &Entry::key);
        if (found == table_.entries.end()) return std::nullopt;
        Entry entry = std::move(*found);
        table_.entries.erase(found);
        check_entry(entry, l_.job_key, l_.report);
        if (entry.value.bad) return std::nullopt;
        return std::move(entry.value);
    }

    void read_from(Value& from, JobTable& job) {
        expand_strings(from, Key{}, l_.request.environment, l_.report);
        if (!from.bad) job.file = open_jobs(from, l_);
    }

    void read_name(JobTable& job) {
        bool missing = table_.find("name") == nullptr;
        auto name = take("name");
        if (missing) l_.report.add(table_.place, "{}.name is missing", path_);
        if (name) job.name = *std::move(name);
        job.name.bad = !name.has_value();
        job.spelling = job.name.template_id != 0 ? l_.templates[job.name.template_id].spelling : job.name.text;
        if (!name || job.name.template_id != 0) return;
        bool is_name = kNameRule.fits(job.name.text);
        if (!is_name) l_.report.add_text(job.name.place, misfit(job.name.text, kName, "name"));
        job.name.bad = job.expands() || !is_name;
        if (job.expands())
            l_.report.add(job.name.place, "all jobs of this table would be called \"{}\": put a variable into the name",
                          job.name.text);
    }

    BatchLoading& l_;
    Value table_;
    std::string path_;
};

}  // namespace

JobTable read_job_table(Value table, std::size_t index, BatchLoading& loading) {
    return Reader(std::move(table), index, loading).read();
}

}  // namespace vmette::manifest
