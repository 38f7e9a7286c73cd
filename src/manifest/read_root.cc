#include "base/source_path.h"
#include "manifest/host_paths.h"
#include "manifest/loading.h"
#include "manifest/text_rules.h"

namespace vmette::manifest {
namespace fs = std::filesystem;
namespace {

/// The first manifest that is no config.toml; null when there is none.
const Origin* main_origin(const std::vector<Origin>& origins) {
    for (const Origin& origin : origins)
        if (!origin.defaults && !origin.flag) return &origin;
    return nullptr;
}

bool path_shaped(std::string_view source) {
    for (std::string_view start : {"/", "./", "../", "~/"})
        if (source.starts_with(start)) return true;
    return source == "." || source == ".." || source == "~";
}

/// The source with a local path in it made absolute: "./x", "~/x", "tar+file://x.tar", "oci-layout:x:tag", and a bare
/// word that is a folder beside the manifest.
std::string absolute_source(const Value& value, Loading& loading) {
    const std::string& source = value.text;
    if (auto found = find_source_path(source)) {
        auto resolved = found->path.empty() ? std::nullopt : host_path(found->path, value.place, loading);
        return resolved ? with_path(source, *found, resolved->full) : source;
    }
    bool bare = source.find_first_of(":/@") == source.npos;
    if (!path_shaped(source) && !bare) return source;
    auto resolved = host_path(source, value.place, loading);
    if (!resolved) return source;
    std::error_code error;
    bool is_name =
        bare && !path_shaped(source) && !(loading.request.check_host && fs::is_directory(resolved->full, error));
    return is_name ? source : resolved->full.native();
}

/// What the host says against a source; empty: nothing.
const std::string& source_problem(const std::string& source, Loading& loading) {
    auto [known, is_new] = loading.host.sources.try_emplace(source);
    const auto& check = loading.request.check_rootfs;
    if (is_new && loading.request.check_host && check)
        if (auto good = check(source); !good) known->second = good.error().message;
    return known->second;
}

void read_rootfs(const Value& root, Loading& loading, Sandbox& sandbox) {
    const Value* rootfs = get(root, "rootfs");
    const Value* source = rootfs != nullptr ? get(*rootfs, "source") : nullptr;
    if (source != nullptr) {
        sandbox.rootfs.source = absolute_source(*source, loading);
        if (const std::string& problem = source_problem(sandbox.rootfs.source, loading); !problem.empty())
            loading.report.add_text(source->place, problem);
    }
    bool missing = root.find("rootfs") == nullptr || (rootfs != nullptr && rootfs->find("source") == nullptr);
    if (missing)
        loading.report.add(rootfs != nullptr ? rootfs->place : whole_manifest(loading.origins),
                           "rootfs is missing: the root filesystem to run on, such as rootfs = \"./rootfs\"");
    if (rootfs == nullptr) return;
    read(*rootfs, "read_only", sandbox.rootfs.read_only);
    read_choice(*rootfs, "pull", sandbox.rootfs.pull);
}

void read_exec(const Value& root, Sandbox& sandbox) {
    const Value* exec = get(root, "exec");
    if (exec == nullptr) return;
    if (exec->is(Value::Kind::string)) {
        sandbox.exec = ShellCommand{exec->text};
        return;
    }
    Argv argv;
    for (const Value& word : exec->items) argv.words.push_back(word.text);
    sandbox.exec = std::move(argv);
}

void read_stdin(const Value& root, Loading& loading, Sandbox& sandbox) {
    const Value* value = get(root, "stdin");
    if (value == nullptr || value->text == "none") return;
    if (value->text == "inherit") {
        sandbox.stdin_source.mode = StdinMode::inherit;
        return;
    }
    auto path = host_path(value->text, value->place, loading);
    if (!path) return;
    sandbox.stdin_source = {StdinMode::file, path->full};
    expect_on_host(path->full, Expect::file, "stdin", value->place, loading);
}

/// 8G, or nothing on a read-only root: there is no overlay to hold. The user's defaults say how large a scratch is, not
/// that there must be one.
void read_scratch(const Value& root, Loading& loading, Sandbox& sandbox) {
    const Value* scratch = get(root, "scratch");
    const Value* size = scratch != nullptr ? get(*scratch, "size") : nullptr;
    if (!sandbox.rootfs.read_only) {
        if (size != nullptr) sandbox.scratch = static_cast<std::uint64_t>(size->number);
        return;
    }
    sandbox.scratch = 0;
    if (size != nullptr && size->number > 0 && !loading.origins[size->place.origin].defaults)
        loading.report.add(size->place, "scratch has no use with rootfs.read_only: nothing is written over the root");
}

void read_command_section(const Value& root, Loading& loading, Sandbox& sandbox) {
    read_exec(root, sandbox);
    if (const Value* workdir = get(root, "workdir")) sandbox.workdir = normal_guest_path(workdir->text);
    read(root, "user", sandbox.user);
    read(root, "tty", sandbox.tty);
    read_stdin(root, loading, sandbox);
}

void read_rootfs_section(const Value& root, Loading& loading, Sandbox& sandbox) {
    read_rootfs(root, loading, sandbox);
    read_scratch(root, loading, sandbox);
}

constexpr std::array<std::string_view, 5> kCommandKeys{"exec", "workdir", "user", "tty", "stdin"};
constexpr std::array<std::string_view, 2> kRootfsKeys{"rootfs", "scratch"};

}  // namespace

constinit const Section kCommandSection{kCommandKeys, read_command_section};
constinit const Section kRootfsSection{kRootfsKeys, read_rootfs_section};

Place whole_manifest(const std::vector<Origin>& origins) {
    const Origin* main = main_origin(origins);
    if (main != nullptr) return {static_cast<std::uint32_t>(main - origins.data()), 0, 0};
    return {origins.empty() ? 0 : static_cast<std::uint32_t>(origins.size() - 1), 0, 0};
}

std::string read_name(const Value& root, Loading& loading) {
    std::string name;
    read(root, "name", name);
    if (root.find("name") != nullptr) return name;
    const Origin* main = main_origin(loading.origins);
    if (main != nullptr) name = fit_name(fs::path(main->name).stem().native(), kMaxNameLength, "._-");
    if (!kNameRule.fits(name))
        loading.report.add(whole_manifest(loading.origins), "name is missing, and the file's name makes none");
    return name;
}

}  // namespace vmette::manifest
