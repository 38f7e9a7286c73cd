#include "manifest/host_paths.h"
#include "manifest/loading.h"
#include "manifest/toml_text.h"

namespace vmette::manifest {
namespace {

Secret read_secret(const Entry& entry, Loading& loading) {
    const Value& table = entry.value;
    Secret secret;
    secret.name = entry.key;
    bool has_env = table.find("env") != nullptr;
    bool has_file = table.find("file") != nullptr;
    if (has_env == has_file)
        loading.report.add(entry.key_place, "secrets.{} must have {} of \"env\" and \"file\"", entry.key,
                           has_env ? "only one" : "one");
    read(table, "env", secret.env);
    if (const Value* file = get(table, "file")) {
        if (auto path = host_path(file->text, file->place, loading)) {
            secret.file = path->full;
            expect_on_host(secret.file, Expect::file, fmt::format("secrets.{}.file", entry.key), file->place, loading);
        }
    }
    if (const Value* expose = get(table, "expose")) secret.expose_as_file = expose->number == 1;
    return secret;
}

void read_maps(const Value& root, Loading& loading, Sandbox& sandbox) {
    const Value* env = get(root, "env");
    if (env != nullptr)
        for (const Entry& entry : env->entries)
            if (!entry.value.bad) sandbox.env.emplace_back(entry.key, entry.value.text);
    if (const Value* secrets = get(root, "secrets")) {
        for (const Entry& entry : secrets->entries) {
            if (entry.value.bad) continue;
            Secret secret = read_secret(entry, loading);
            if (!secret.expose_as_file && env != nullptr && env->find(entry.key) != nullptr)
                loading.report.add(entry.key_place, "secrets.{0}: [env] has a variable {0} too", entry.key);
            sandbox.secrets.push_back(std::move(secret));
        }
    }
    if (const Value* labels = get(root, "labels"))
        for (const Entry& entry : labels->entries)
            if (!entry.value.bad) sandbox.labels.emplace(entry.key, entry.value.text);
    if (const Value* metadata = get(root, "metadata")) sandbox.metadata = table_body(*metadata);
}

constexpr std::array<std::string_view, 4> kKeys{"env", "secrets", "labels", "metadata"};

}  // namespace

constinit const Section kMapsSection{kKeys, read_maps};

}  // namespace vmette::manifest
