#include "manifest/load.h"

#include <unistd.h>

#include "base/fd.h"
#include "manifest/check.h"
#include "manifest/diagnostics.h"
#include "manifest/expand.h"
#include "manifest/keys.h"
#include "manifest/loading.h"
#include "manifest/merge.h"
#include "manifest/sources.h"

namespace vmette::manifest {
namespace fs = std::filesystem;
namespace {

/// Parses every origin and lays one upon the other. What does not parse is left out, and was reported.
Value merged_tree(const LoadRequest& request, const std::vector<Origin>& origins, Report& report) {
    Value merged;
    for (std::uint32_t i = 0; i < origins.size(); ++i) {
        std::optional<Value> tree = parse_origin(request, origins, i, report);
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
    HostCache host;
    Loading loading{.request = request, .origins = origins, .report = report, .host = host};
    Sandbox sandbox;
    sandbox.name = read_name(root, loading);
    for (const Section* section : kSections) section->read(root, loading, sandbox);
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
