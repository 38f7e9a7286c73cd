/// vmette run: a sandbox from flags. They become a manifest's text, so that all errors are the manifest's.

#include <filesystem>

#include "base/source_path.h"
#include "base/text.h"
#include "cli/foreground.h"
#include "cli/manifest_source.h"
#include "cli/toml_text.h"
#include "cli/verbs.h"
#include "scheduler/run.h"

namespace vmette::cli {
namespace {

/// "python:3.12-alpine" → "python", "tar+file:///tmp/r.tar" → "r": the last part of the source, as a name may be.
std::string name_from_source(const std::string& source) {
    constexpr std::string_view kDaemon = "docker-daemon:";
    auto file = find_source_path(source);
    std::string stem = file                          ? file->path
                       : source.starts_with(kDaemon) ? source.substr(kDaemon.size())
                                                     : source.substr(0, source.find_first_of("?#"));
    while (stem.ends_with('/')) stem.pop_back();
    if (auto slash = stem.rfind('/'); slash != stem.npos) stem = stem.substr(slash + 1);
    stem = stem.substr(0, stem.find_first_of(":@"));
    if (auto dot = stem.find('.', 1); dot != stem.npos) stem = stem.substr(0, dot);
    std::string name;
    for (char c : stem) {
        bool digit = c >= '0' && c <= '9';
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        bool inner = c == '.' || c == '_' || c == '-';
        if (digit || (c >= 'a' && c <= 'z') || (inner && !name.empty())) name += c;
    }
    constexpr std::size_t kLongestName = 63;
    return name.empty() ? "run" : name.substr(0, kLongestName);
}

/// Flags of `docker run` that people type.
void define_habits(Arguments& arguments) {
    constexpr std::string_view kShare =
        "a folder is shared by --share HOST:GUEST[:ro|rw|overlay], read-only by default";
    arguments.habit("-v", "here it is --verbose; a folder is shared by --share HOST:GUEST[:ro|rw|overlay]", true);
    arguments.habit("--volume", kShare);
    arguments.habit("--mount", kShare);
    arguments.habit("--rm", "leave it out; a machine is always gone when its command ends");
    arguments.habit("--entrypoint", "the command after `--` takes the place of the image's ENTRYPOINT and CMD both");
    arguments.habit("--network", "it is called --net");
    arguments.habit("-m", "it is called --memory");
    arguments.habit("--cpus", "it is called --vcpus");
    arguments.habit("--interactive", "it is called --stdin");
    arguments.habit("--pull", "it is written --set rootfs.pull=always (or missing, never)");
    arguments.habit("-p", "ports cannot be published yet; `vmette exec` and `vmette cp` reach into a run");
    arguments.habit("--publish", "ports cannot be published yet; `vmette exec` and `vmette cp` reach into a run");
    arguments.habit("--privileged", "leave it out; the command is root in a machine of its own");
}

class RunCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        auto& source = arguments.operand("SOURCE", source_, "the root filesystem, as `rootfs` in a manifest");
        source.required = true;
        source.completes = Completes::images;
        arguments.option("--share", "HOST:GUEST[:MODE]", shares_, "share a folder: ro (default), rw or overlay");
        arguments.option("--disk", "PATH[:GUEST[:ro]]", disks_, "attach a disk image, mounted at GUEST");
        arguments.option("--scratch", "SIZE", scratch_, "size of the writable disk; 0: in memory");
        arguments.option("--net", "MODE", net_, "none (default) or nat").choices = {"none", "nat", "allowlist"};
        arguments.option("--timeout", "D", timeout_, "limit of the command's time, as 30s, 10m");
        arguments.option("--memory", "SIZE", memory_, "the guest's memory");
        arguments.option("--vcpus", "N", vcpus_, "the guest's processors");
        arguments.option("-e,--env", "K=V", env_, "set a variable in the guest; K alone takes its value from here");
        arguments.option("--label", "K=V", labels_, "a label, searchable in the history");
        arguments.option("--name", "NAME", name_, "default: made from SOURCE");
        arguments.option("-w,--workdir", "DIR", workdir_, "the command's working directory");
        arguments.option("-u,--user", "USER", user_, "name or uid[:gid]");
        arguments.flag("-t,--tty", tty_, "a terminal for the command, stdin joined");
        arguments.flag("-i,--stdin", stdin_, "join stdin");
        arguments.flag("--read-only", read_only_, "no writable overlay on the root");
        arguments.option("--set", "K=V", set_, "change any key of the manifest");
        arguments.flag("--print-manifest", print_manifest_, "print the TOML that the flags stand for, run nothing");
        run_.define(arguments);
        define_habits(arguments);
        arguments.command(command_);
    }

    Result<int> run(Context& context) override {
        VMETTE_TRY(std::string text, manifest_text());
        VMETTE_TRY(auto request, manifest_request(context, "command line", text));
        request.set = set_;
        auto sandbox = load_or_report(context, request);
        if (!sandbox) return scheduler::kExitUsage;
        if (print_manifest_) {
            VMETTE_CHECK_OK(context.console().write(set_.empty() ? text : manifest::to_toml(*sandbox)));
            return 0;
        }
        return run_in_foreground(context, *sandbox, run_);
    }

private:
    Result<std::string> manifest_text() const;
    Result<std::string> disk_tables() const;
    Result<std::string> label_table() const;

    std::optional<std::string> source_, scratch_, net_, timeout_, memory_, name_, workdir_, user_;
    std::optional<std::int64_t> vcpus_;
    std::vector<std::string> shares_, disks_, env_, labels_, set_, command_;
    bool tty_ = false, stdin_ = false, read_only_ = false, print_manifest_ = false;
    RunFlags run_;
};

/// Keys of one level in the order of the manifest's page; tables last, as TOML wants it.
Result<std::string> RunCommand::manifest_text() const {
    VMETTE_CHECK_OK(check_utf8(command_, "the command after `--`"));
    VMETTE_CHECK_OK(check_utf8(shares_, "--share"));
    for (const auto* value : {&source_, &scratch_, &timeout_, &memory_, &name_, &workdir_, &user_})
        if (*value) VMETTE_CHECK_OK(check_utf8({**value}, "an argument"));
    std::string text = fmt::format("schema = 1\nname = {}\n", toml_literal(name_.value_or(name_from_source(*source_))));
    if (!read_only_) text += fmt::format("rootfs = {}\n", toml_literal(*source_));
    if (!command_.empty()) text += fmt::format("exec = {}\n", toml_argv(command_));
    if (workdir_) text += fmt::format("workdir = {}\n", toml_literal(*workdir_));
    if (user_) text += fmt::format("user = {}\n", toml_literal(*user_));
    if (tty_) text += "tty = true\n";
    if (stdin_) text += "stdin = \"inherit\"\n";
    if (scratch_) text += fmt::format("scratch = {}\n", toml_literal(*scratch_));
    if (!shares_.empty()) {
        std::vector<std::string> quoted;
        quoted.reserve(shares_.size());
        for (const auto& share : shares_) quoted.push_back(toml_literal(share));
        text += fmt::format("shares = [{}]\n", fmt::join(quoted, ", "));
    }
    if (read_only_) text += fmt::format("\n[rootfs]\nsource = {}\nread_only = true\n", toml_literal(*source_));
    VMETTE_TRY(std::string disks, disk_tables());
    text += disks;
    if (net_) text += fmt::format("\n[net]\nmode = {}\n", toml_literal(*net_));
    VMETTE_TRY(std::string env, env_table(env_));
    if (!env.empty()) text += "\n" + env;
    if (timeout_ || memory_ || vcpus_) text += "\n[limits]\n";
    if (vcpus_) text += fmt::format("vcpus = {}\n", *vcpus_);
    if (memory_) text += fmt::format("memory = {}\n", toml_literal(*memory_));
    if (timeout_) text += fmt::format("timeout = {}\n", toml_literal(*timeout_));
    VMETTE_TRY(std::string labels, label_table());
    return text + labels;
}

Result<std::string> RunCommand::disk_tables() const {
    VMETTE_CHECK_OK(check_utf8(disks_, "--disk"));
    std::string text;
    for (std::string disk : disks_) {
        bool read_only = disk.ends_with(":ro");
        if (read_only) disk.resize(disk.size() - 3);
        auto colon = disk.find(':');
        text += fmt::format("\n[[disks]]\npath = {}\n", toml_literal(disk.substr(0, colon)));
        if (colon != disk.npos) text += fmt::format("guest = {}\n", toml_literal(disk.substr(colon + 1)));
        if (read_only) text += "read_only = true\n";
    }
    return text;
}

Result<std::string> RunCommand::label_table() const {
    VMETTE_CHECK_OK(check_utf8(labels_, "--label"));
    std::vector<std::pair<std::string, std::string>> pairs;  // the last of one name counts
    for (const auto& label : labels_) {
        auto equals = label.find('=');
        if (equals == label.npos || equals == 0)
            return fail(ErrorCode::bad_input, "--label {}: it is written NAME=VALUE", harmless_line(label));
        std::string name = label.substr(0, equals);
        std::erase_if(pairs, [&](const auto& pair) { return pair.first == name; });
        pairs.emplace_back(name, label.substr(equals + 1));
    }
    std::string text = pairs.empty() ? "" : "\n[labels]\n";
    for (const auto& [name, value] : pairs) text += fmt::format("{} = {}\n", toml_key(name), toml_literal(value));
    return text;
}

}  // namespace

const Verb kRunVerb{
    .name = "run",
    .summary = "run a command in a root filesystem, without a manifest's file",
    .description =
        "The flags stand for a manifest (--print-manifest shows it) and are checked as one. Without a command the\n"
        "image's own runs, its ENTRYPOINT followed by its CMD. A command after `--` takes the place of both, as "
        "`exec`\n"
        "in a manifest does; `docker run` would hand it to the ENTRYPOINT as arguments. To do that, write the\n"
        "ENTRYPOINT in front: `vmette image inspect SOURCE` shows it.",
    .example = "vmette run tar+file:///tmp/root.tar --share ./src:/src --timeout 5m -- make -C /src",
    .exit_codes = kRunExitCodes,
    .failure_code = scheduler::kExitFailure,
    .make = make_command<RunCommand>,
};

}  // namespace vmette::cli
