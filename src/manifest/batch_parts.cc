#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "manifest/batch_loading.h"
#include "manifest/check.h"
#include "manifest/expected.h"
#include "manifest/host_paths.h"
#include "manifest/merge.h"
#include "manifest/sources.h"

namespace vmette::manifest {
namespace fs = std::filesystem;
namespace {

std::vector<Key> keys_of_a_job() {
    const Key* own = find_key(batch_root(), "job");
    std::vector<Key> keys(own->children.begin(), own->children.end());
    for (const Key& key : sandbox_root().children)
        if (key.name != "schema" && key.name != "name") keys.push_back(key);
    return keys;
}

/// Takes an entry out of a table.
std::optional<Entry> take_entry(Value& table, std::string_view key) {
    auto found = std::ranges::find(table.entries, key, &Entry::key);
    if (found == table.entries.end()) return std::nullopt;
    Entry entry = std::move(*found);
    table.entries.erase(found);
    return entry;
}

bool is_batch_key(std::string_view key) { return key == "job" || key == "pool" || key == "sandbox"; }

/// Collects the layers of the sandbox that every job starts from.
class Base {
public:
    explicit Base(BatchLoading& loading) : l_(loading) {}

    void lay(Value layer) {
        widen_short_forms(layer, sandbox_root());
        merge(base_, std::move(layer));
    }

    /// A path takes the place of what lies below; a table is laid upon it.
    void sandbox(Value value, const Value& defaults) {
        if (value.is(Value::Kind::table)) return lay(std::move(value));
        if (!value.is(Value::Kind::string) || value.text.empty())
            return l_.report.add(value.place, "sandbox must be the path of a manifest or a table, not {}",
                                 value.is(Value::Kind::string) ? "an empty string" : type_name(value));
        base_ = defaults;
        Value path = std::move(value);
        expand_strings(path, Key{}, l_.request.environment, l_.report);
        Loading loading = l_.loading(l_.report);
        auto resolved = path.bad ? std::nullopt : host_path(path.text, path.place, loading);
        known_ = resolved && read_file_of(path, resolved->full);
    }

    /// False: the manifest that `sandbox` names could not be read, which was reported.
    bool known() const { return known_; }

    Value take() {
        // Its name is that of no job, and its version was for itself.
        for (const char* key : {"schema", "name"})
            if (auto entry = take_entry(base_, key)) check_entry(*entry, sandbox_root(), l_.report);
        std::erase_if(base_.entries, [&](const Entry& entry) {
            bool unknown = find_key(sandbox_root(), entry.key) == nullptr;
            if (unknown) l_.report.add_text(entry.key_place, unknown_key(entry.key, sandbox_root(), "the sandbox"));
            return unknown;
        });
        return std::move(base_);
    }

private:
    bool read_file_of(const Value& path, const fs::path& file) {
        auto opened = open_named_file(l_.request, file);
        auto text = opened ? read_all(opened->get(), kMaxManifestBytes, file.native()) : Failure(opened.error());
        if (!text) return l_.report.add(path.place, "sandbox: {}", text.error().text()), false;
        l_.texts.push_back(*std::move(text));
        auto origin = static_cast<std::uint32_t>(l_.origins.size());
        l_.origins.push_back({.name = shown_name(l_.origins[path.place.origin], path.text, file),
                              .folder = file.parent_path(),
                              .text = l_.texts.back()});
        auto tree = parse_toml(l_.texts.back(), origin, l_.report);
        if (!tree) return false;
        auto batch_key =
            std::ranges::find_if(tree->entries, [](const Entry& entry) { return is_batch_key(entry.key); });
        if (batch_key != tree->entries.end()) {
            l_.report.add(batch_key->key_place, "\"{}\" belongs to a batch manifest; `sandbox` names a sandbox's",
                          batch_key->key);
            return false;
        }
        lay(*std::move(tree));
        return true;
    }

    BatchLoading& l_;
    Value base_;
    bool known_ = true;
};

/// Says what the root has and must not; what is left of it is checked.
void check_root(Value& root, BatchLoading& loading) {
    std::erase_if(root.entries, [&](const Entry& entry) {
        bool misplaced = find_key(batch_root(), entry.key) == nullptr && find_key(sandbox_root(), entry.key) != nullptr;
        if (misplaced)
            loading.report.add(
                entry.key_place,
                "unknown key \"{0}\" of a batch; in every job it is \"sandbox.{0}\", in one it stands under "
                "its [[job]]",
                entry.key);
        return misplaced;
    });
    expand_strings(root, batch_root(), loading.request.environment, loading.report);
    check(root, batch_root(), loading.report);
}

void read_jobs(std::optional<Entry> job, BatchLoading& loading, BatchParts& parts) {
    if (!job)
        return loading.report.add(whole_manifest(loading.origins), "job is missing: a batch has one [[job]] or more");
    Value& list = job->value;
    if (!list.is(Value::Kind::array))
        return loading.report.add(job->key_place, "job must be an array of tables, not {}; write [[job]]",
                                  type_name(list));
    if (list.items.empty()) return loading.report.add(job->key_place, "job is empty: a batch has one [[job]] or more");
    parts.jobs.reserve(list.items.size());
    for (std::size_t i = 0; i < list.items.size(); ++i) {
        if (!list.items[i].is(Value::Kind::table))
            loading.report.add(list.items[i].place, "job[{}] must be a table, not {}", i, type_name(list.items[i]));
        else
            parts.jobs.push_back(read_job_table(std::move(list.items[i]), i, loading));
    }
}

}  // namespace

BatchLoading::BatchLoading(const LoadRequest& of)
    : request(of), origins(list_origins(of)), report(origins), job_keys(keys_of_a_job()) {
    job_key = Key{.kind = Kind::table, .children = job_keys};
}

std::string BatchLoading::where(Place place) const {
    const Origin& origin = origins[place.origin];
    return origin.flag ? origin.name : fmt::format("{}:{}:{}", origin.name, place.line, place.column);
}

std::string shown_name(const Origin& named_in, const std::string& text, const fs::path& full) {
    bool relative = !named_in.flag && !text.starts_with('/') && !text.starts_with('~');
    return relative ? (fs::path(named_in.name).parent_path() / text).lexically_normal().native() : full.native();
}

Result<Fd> open_named_file(const LoadRequest& request, const fs::path& path) {
    if (request.open) return request.open(path);
    VMETTE_TRY(Fd file, open_file(path, O_RDONLY | O_NONBLOCK | O_NOCTTY));
    struct stat status = {};
    if (::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode))
        return fail(ErrorCode::bad_input, "{} is not a file", path.native());
    return file;
}

BatchParts take_apart(BatchLoading& loading) {
    BatchParts parts;
    Base base(loading);
    Value defaults;
    std::optional<Entry> job;
    bool all_parsed = true;
    auto given = static_cast<std::uint32_t>(loading.origins.size());  // the sandbox's file becomes one more
    for (std::uint32_t i = 0; i < given; ++i) {
        auto tree = parse_origin(loading.request, loading.origins, i, loading.report);
        all_parsed = all_parsed && tree;
        if (!tree) continue;
        if (loading.origins[i].defaults) {
            widen_short_forms(*tree, sandbox_root());
            merge(defaults, *tree);
            base.lay(*std::move(tree));
            continue;
        }
        if (auto sandbox = take_entry(*tree, "sandbox")) base.sandbox(std::move(sandbox->value), defaults);
        if (auto jobs = take_entry(*tree, "job")) job = std::move(jobs);
        merge(parts.root, *std::move(tree));
    }
    // A part that did not parse would make keys look missing that are not.
    if (!all_parsed) return parts;
    check_root(parts.root, loading);
    parts.base = base.take();
    parts.base_known = base.known();
    if (Value* shares = parts.base.find("shares")) widen_template_shares(*shares);
    compile_templates(parts.base, sandbox_root(), loading.template_context());
    expand_strings(parts.base, sandbox_root(), loading.request.environment, loading.report);
    if (const Value* retry = parts.root.find("retry")) parts.base.entries.push_back({"retry", retry->place, *retry});
    read_jobs(std::move(job), loading, parts);
    return parts;
}

}  // namespace vmette::manifest
