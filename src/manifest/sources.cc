#include "manifest/sources.h"

namespace vmette::manifest {
namespace fs = std::filesystem;
namespace {

/// The [defaults] table of a config.toml; an empty one when it has none.
std::optional<Value> defaults_of(Value config, Report& report) {
    Value* defaults = config.find("defaults");
    if (defaults == nullptr) return Value{};
    if (defaults->is(Value::Kind::table)) return std::move(*defaults);
    report.add(defaults->place, "defaults must be a table");
    return std::nullopt;
}

}  // namespace

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

std::optional<Value> parse_origin(const LoadRequest& request, const std::vector<Origin>& origins, std::uint32_t index,
                                  Report& report) {
    std::optional<Value> tree = origins[index].flag
                                    ? parse_set(request.set[index - request.sources.size()], index, report)
                                    : parse_toml(origins[index].text, index, report);
    if (!tree || !origins[index].defaults) return tree;
    for (const Diagnostic& problem : request.sources[index].problems) report.add_known(index, problem);
    return defaults_of(*std::move(tree), report);
}

}  // namespace vmette::manifest
