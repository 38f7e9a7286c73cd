#include "support/vmette_home.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <stdexcept>

#include "base/digest.h"
#include "base/fd.h"

namespace vmette::testing {
namespace {

std::filesystem::path required_variable(const char* name) {
    const char* value = std::getenv(name);
    if (value == nullptr) throw std::runtime_error(std::string(name) + " is not set: run the tests by ctest");
    return value;
}

void must(Result<> result) {
    if (!result) throw std::runtime_error(result.error().text());
}

template <typename T>
T expect(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().text());
    return *std::move(result);
}

Layout layout_in(const std::filesystem::path& folder) {
    return {folder / "cache", folder / "state", folder / "run", folder / "config"};
}

std::vector<std::string> variables(const Layout& layout) {
    return {"VMETTE_CACHE_DIR=" + layout.cache.string(),
            "VMETTE_STATE_DIR=" + layout.state.string(),
            "VMETTE_RUNTIME_DIR=" + layout.runtime.string(),
            "VMETTE_CONFIG_DIR=" + layout.config.string(),
            "VMETTE_LOG=",
            "NO_COLOR=1"};
}

std::filesystem::path seed_folder() { return build_dir() / "tests" / "seed"; }

/// What the seed was made with: another program or kernel needs another one.
std::string seed_stamp() {
    std::string stamp;
    for (const auto& path : {vmette_binary(), build_dir() / "share/vmette/x86_64/vmlinux"}) {
        struct stat info{};
        if (::stat(path.c_str(), &info) == 0)
            stamp += fmt::format("{} {} {}\n", info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
    }
    return stamp;
}

/// Root filesystems, and a state folder in which one guest has run, so that the accelerator and the digests are known.
/// One test program makes it, the others wait.
void make_seed_once() {
    static bool done = false;
    if (done) return;
    must(make_private_dir(seed_folder()));
    Fd lock = expect(open_file(seed_folder() / "lock", O_RDWR | O_CREAT));
    if (::flock(lock.get(), LOCK_EX) != 0) throw std::runtime_error("cannot lock the seed");
    if (!std::filesystem::exists(build_dir() / "rootfs" / "data.img")) {
        auto made = expect(run_captured({.argv = {source_dir() / "examples" / "rootfs", build_dir() / "rootfs"}},
                                        std::chrono::minutes(3)));
        if (!made.ok()) throw std::runtime_error("examples/rootfs: " + made.err);
    }
    std::ifstream file(seed_folder() / "stamp");
    std::string stamp((std::istreambuf_iterator<char>(file)), {});
    if (why_no_guest().empty() && stamp != seed_stamp()) {
        std::filesystem::remove_all(seed_folder() / "state");
        StartOptions options;
        options.environment = variables(layout_in(seed_folder()));
        VmetteProcess vmette({vmette_binary(), "run", "squashfs+file://" + busybox_image().string(), "--", "true"},
                             options);
        auto finished = vmette.finish(std::chrono::seconds(60));
        if (finished.code != 0)
            throw std::runtime_error("the first guest of the tests did not run: " + finished.out + finished.err);
        std::ofstream(seed_folder() / "stamp") << seed_stamp();
    }
    done = true;
}

}  // namespace

std::filesystem::path build_dir() { return required_variable("VMETTE_BUILD_DIR"); }
std::filesystem::path source_dir() { return required_variable("VMETTE_SOURCE_DIR"); }
std::filesystem::path vmette_binary() { return required_variable("VMETTE_BINARY"); }

std::filesystem::path busybox_image() { return build_dir() / "rootfs" / "busybox.squashfs"; }

std::string why_no_guest() {
    auto folder = build_dir() / "share/vmette/x86_64";
    for (const char* name : {"vmlinux", "initramfs.cpio", "assets.json"})
        if (!std::filesystem::exists(folder / name))
            return fmt::format("{} is not there; `./dev guest` makes it", (folder / name).string());
    return {};
}

std::string why_no_nat() {
    if (::access("/dev/net/tun", R_OK | W_OK) != 0) return "/dev/net/tun is not there for this user";
    auto tried = run_captured({.argv = {"unshare", "-rn", "true"}}, std::chrono::seconds(5));
    if (!tried || !tried->ok())
        return "no network namespace can be made: " + (tried ? tried->err : tried.error().text());
    return {};
}

VmetteHome::VmetteHome(Cache cache)
    : folder_(expect(TempDir::make())),
      layout_(layout_in(folder_.path())),
      marker_(make_ulid(std::chrono::system_clock::now().time_since_epoch().count())) {
    make_seed_once();
    for (const auto& path : {layout_.cache, layout_.state, layout_.runtime, layout_.config})
        must(make_private_dir(path));
    if (cache == Cache::own) return;
    layout_.cache = layout_in(seed_folder()).cache;
    auto seed = layout_in(seed_folder()).database();
    if (!std::filesystem::exists(seed)) return;
    std::filesystem::copy_file(seed, layout_.database());
    auto first = runs();
    if (!first.empty()) born_ = first.front()["id"];
}

std::vector<std::string> VmetteHome::environment() const {
    auto all = variables(layout_);
    all.push_back(marker());
    return all;
}

std::string VmetteHome::marker() const { return "VMETTE_TEST_MARKER=" + marker_; }

std::filesystem::path VmetteHome::write(const std::string& name, std::string_view text) const {
    auto path = folder() / name;
    std::ofstream(path, std::ios::binary) << text;
    return path;
}

VmetteProcess VmetteHome::start(std::vector<std::string> words, StartOptions options) const {
    auto own = environment();
    options.environment.insert(options.environment.begin(), own.begin(), own.end());
    words.insert(words.begin(), vmette_binary());
    return VmetteProcess(std::move(words), options);
}

Finished VmetteHome::vmette(std::vector<std::string> words, Duration limit, StartOptions options) const {
    return start(std::move(words), std::move(options)).finish(limit);
}

std::vector<std::string> VmetteHome::up(const std::string& toml, const std::vector<std::string>& command,
                                        const std::vector<std::string>& flags) const {
    auto box = write("box.toml", fmt::format("name = \"box\"\nrootfs = \"squashfs+file://{}\"\nscratch = \"0\"\n"
                                             "[limits]\nmemory = \"128M\"\ntimeout = \"60s\"\n",
                                             busybox_image().string()));
    std::vector<std::string> words{"up", box};
    if (!toml.empty()) words.push_back(write("changes.toml", toml));
    words.insert(words.end(), flags.begin(), flags.end());
    words.push_back("--");
    words.insert(words.end(), command.begin(), command.end());
    return words;
}

std::vector<std::string> VmetteHome::up_shell(const std::string& toml, const std::string& line,
                                              const std::vector<std::string>& flags) const {
    return up(toml, {"/bin/sh", "-c", line}, flags);
}

std::vector<Json> VmetteHome::runs() const {
    auto listed = vmette({"history", "--json", "--limit", "1000"});
    auto all = Json::parse(listed.out, nullptr, false);
    if (listed.code != 0 || !all.is_array()) throw std::runtime_error("vmette history: " + listed.out + listed.err);
    std::vector<Json> found;
    for (const auto& run : all)
        if (run["id"] > born_) found.push_back(run);
    return found;
}

Json VmetteHome::last_run() const {
    auto all = runs();
    if (all.empty()) throw std::runtime_error("there is no run in the history");
    std::string id = all.front()["id"];
    auto shown = vmette({"history", "show", id, "--json"});
    auto run = Json::parse(shown.out, nullptr, false);
    if (shown.code != 0 || !run.is_object()) throw std::runtime_error("vmette history show: " + shown.out + shown.err);
    return run;
}

std::string VmetteHome::leftovers() const { return vmette({"gc", "--dry-run"}).out; }

}  // namespace vmette::testing
