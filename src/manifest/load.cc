#include "manifest/load.h"

#include <unistd.h>

#include "base/fd.h"
#include "manifest/check.h"
#include "manifest/diagnostics.h"
#include "manifest/expand.h"
#include "manifest/keys.h"
#include "manifest/loading.h"
#include "manifest/merge.h"

namespace vmette::manifest {
namespace fs = std::filesystem;
namespace {

fs::path absolute_folder(const fs::path& folder) {
    std::error_code error;
    fs::path out = fs::absolute(folder.empty() ? fs::path(".") : folder, error);
    return error ? folder : out.lexically_normal();
}

std::vector<Origin> list_origins(const LoadRequest& request) {
    std::vector<Origin> origins;
    origins.reserve(request.sources.size() + request.set.size());
    for (const LoadRequest::Source& source : request.sources)
        origins.push_back({source.name, absolute_folder(source.folder), source.text, source.defaults_table, false});
    for (const std::string& argument : request.set)
        origins.push_back({"--set " + argument, absolute_folder(request.set_folder), {}, false, true});
    return origins;
}

/// The [defaults] table of a config.toml; an empty one when it has none.
std::optional<Value> defaults_of(Value config, Report& report) {
    Value* defaults = config.find("defaults");
    if (defaults == nullptr) return Value{};
    if (defaults->is(Value::Kind::table)) return std::move(*defaults);
    report.add(defaults->place, "defaults must be a table");
    return std::nullopt;
}

/// Parses every origin and lays one upon the other. What does not parse is left out, and was reported.
Value merged_tree(const LoadRequest& request, const std::vector<Origin>& origins, Report& report) {
    Value merged;
    for (std::uint32_t i = 0; i < origins.size(); ++i) {
        std::optional<Value> tree = origins[i].flag ? parse_set(request.set[i - request.sources.size()], i, report)
                                                    : parse_toml(origins[i].text, i, report);
        if (tree && origins[i].defaults) tree = defaults_of(std::move(*tree), report);
        if (!tree) continue;
        widen_short_forms(*tree, sandbox_root());
        merge(merged, std::move(*tree));
    }
    return merged;
}

/// A batch manifest would fail with an unknown key for each of its tables; one sentence says it better.
bool is_batch(const Value& root, Report& report) {
    for (const Entry& entry : root.entries) {
        if (entry.key != "job" && entry.key != "pool" && entry.key != "sandbox") continue;
        report.add(entry.key_place, "\"{}\" belongs to a batch manifest; this command takes a sandbox's", entry.key);
        return true;
    }
    return false;
}

}  // namespace

std::expected<Sandbox, std::vector<Diagnostic>> load(const LoadRequest& request) {
    std::vector<Origin> origins = list_origins(request);
    Report report(origins);
    Value root = merged_tree(request, origins, report);
    // A part that did not parse would make keys look missing that are not.
    if (!report.empty() || is_batch(root, report)) return std::unexpected(report.diagnostics());

    expand_strings(root, sandbox_root(), request.environment, report);
    check(root, sandbox_root(), report);
    Loading loading{.request = request, .origins = origins, .report = report};
    Sandbox sandbox;
    read_root(root, loading, sandbox);
    read_shares(root, loading, sandbox);
    read_disks(root, loading, sandbox);
    read_network(root, loading, sandbox);
    read_maps(root, loading, sandbox);
    read_machine(root, loading, sandbox);
    validate(root, loading, sandbox);
    if (!report.empty()) return std::unexpected(report.diagnostics());
    return sandbox;
}

Result<LoadRequest::Source> read_source(const fs::path& path) {
    LoadRequest::Source source;
    if (path == "-") {
        source.name = "stdin";
        source.folder = absolute_folder(".");
        VMETTE_TRY(source.text, read_all(STDIN_FILENO, kMaxManifestBytes, "the manifest on stdin"));
        return source;
    }
    source.name = path.native();
    source.folder = absolute_folder(path.parent_path());
    VMETTE_TRY(source.text, read_file(path, kMaxManifestBytes));
    return source;
}

}  // namespace vmette::manifest
