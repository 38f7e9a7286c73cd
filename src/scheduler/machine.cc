#include "scheduler/machine.h"

#include <algorithm>
#include <set>

#include "base/fd.h"
#include "vm/devices.h"

namespace vmette::scheduler {
namespace {

/// All certificates together must leave room for the rest of one set-up message (guest/protocol.h).
constexpr std::size_t kMaxCertificates = 512 * kKiB;
constexpr std::string_view kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

vm::ShareMode share_mode(manifest::ShareMode mode) {
    switch (mode) {
        case manifest::ShareMode::ro:
            return vm::ShareMode::ro;
        case manifest::ShareMode::rw:
            return vm::ShareMode::rw;
        case manifest::ShareMode::overlay:
            return vm::ShareMode::overlay;
    }
    return vm::ShareMode::ro;
}

void set_variable(std::vector<std::pair<std::string, std::string>>& env, const std::string& name, std::string value) {
    auto found = std::ranges::find(env, name, &std::pair<std::string, std::string>::first);
    if (found != env.end())
        found->second = std::move(value);
    else
        env.emplace_back(name, std::move(value));
}

Result<std::vector<std::string>> read_certificates(const std::filesystem::path& folder, bool asked_for) {
    std::vector<std::string> texts;
    std::error_code error;
    if (!std::filesystem::is_directory(folder, error)) {
        if (asked_for)
            return fail(ErrorCode::not_found, "the folder of certificates {} does not exist", folder.string());
        return texts;
    }
    std::set<std::filesystem::path> files;  // in order of name: the same folder gives the same guest
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
        auto extension = entry.path().extension();
        if (extension == ".pem" || extension == ".crt") files.insert(entry.path());
    }
    if (error) return fail(ErrorCode::io, "{}: {}", folder.string(), error.message());
    std::size_t total = 0;
    for (const auto& file : files) {
        VMETTE_TRY(std::string text, read_file(file, kMaxCertificates));
        total += text.size();
        if (total > kMaxCertificates)
            return fail(ErrorCode::bad_input, "the certificates in {} are larger than {} together", folder.string(),
                        human_size(kMaxCertificates));
        texts.push_back(std::move(text));
    }
    return texts;
}

Result<std::vector<std::string>> command_words(const manifest::Sandbox& sandbox, const rootfs::ImageConfig& image) {
    if (sandbox.exec) {
        if (const auto* shell = std::get_if<manifest::ShellCommand>(&*sandbox.exec))
            return std::vector<std::string>{"/bin/sh", "-c", shell->text};
        return std::get<manifest::Argv>(*sandbox.exec).words;
    }
    std::vector<std::string> words = image.entrypoint;
    words.insert(words.end(), image.command.begin(), image.command.end());
    if (words.empty())
        return fail(ErrorCode::bad_input,
                    "there is nothing to run: the manifest has no exec, and the image names no command of its own");
    return words;
}

}  // namespace

Result<vm::VmSpec> machine_spec(const manifest::Sandbox& sandbox, const rootfs::Resolved& root, const Assets& assets,
                                std::string_view run_id) {
    vm::VmSpec spec;
    spec.run_id = run_id;
    spec.kernel = assets.kernel;
    spec.initramfs = assets.initramfs;
    spec.kernel_has_timer_patch = assets.kernel_has_timer_patch;
    spec.kernel_has_mmio_cmdline = assets.kernel_has_mmio_cmdline;
    spec.extra_cmdline = sandbox.vm.cmdline;
    spec.vcpus = sandbox.limits.vcpus;
    spec.memory_bytes = sandbox.limits.memory;
    spec.root.source =
        root.kind == rootfs::RootKind::directory ? vm::RootSource::directory : vm::RootSource::block_image;
    spec.root.path = root.path;
    spec.root.upper = sandbox.rootfs.read_only ? vm::Upper::none
                      : sandbox.scratch > 0    ? vm::Upper::scratch
                                               : vm::Upper::memory;
    spec.scratch_bytes = spec.root.upper == vm::Upper::scratch ? sandbox.scratch : 0;
    for (const auto& disk : sandbox.disks) spec.disks.push_back({disk.path, disk.guest, disk.read_only});
    for (const auto& share : sandbox.shares)
        spec.shares.push_back({share.tag, share.host, share.guest, share_mode(share.mode)});
    spec.net = sandbox.net.mode == manifest::NetMode::nat ? vm::NetMode::nat : vm::NetMode::none;
    if (sandbox.vm.vsock != manifest::VsockMode::off) spec.call_port = sandbox.vm.vsock_port;
    VMETTE_CHECK_OK(vm::check_device_budget(spec));
    return spec;
}

bool wants_vsock(const manifest::Sandbox& sandbox, const vm::VmSpec& spec) {
    bool may_be_resumed = spec.accel == vm::Accel::tcg && sandbox.snapshot.warm.value_or(true);
    auto budget = vm::device_budget(spec);
    return spec.call_port && !may_be_resumed && budget.used < budget.limit;
}

Result<Assets> chosen_assets(const manifest::Vm& vm, const Result<Assets>& found) {
    Assets assets;
    if (found) assets = *found;
    if (!found && (vm.kernel.empty() || vm.initramfs.empty())) return Failure(found.error());
    if (!vm.kernel.empty()) {
        // Nothing is known of a kernel of the user's own: it gets the parameters that every kernel takes.
        assets.kernel = vm.kernel;
        assets.kernel_has_timer_patch = false;
        assets.kernel_has_mmio_cmdline = false;
        assets.origin = "the manifest's";
    }
    if (!vm.initramfs.empty()) assets.initramfs = vm.initramfs;
    std::error_code error;
    if (!std::filesystem::is_regular_file(assets.kernel, error))
        return fail(ErrorCode::not_found, "the kernel {} does not exist", assets.kernel.string());
    if (!std::filesystem::is_regular_file(assets.initramfs, error))
        return fail(ErrorCode::not_found, "the initramfs {} does not exist", assets.initramfs.string());
    return assets;
}

Result<vm::GuestSetup> guest_setup(const manifest::Sandbox& sandbox, const Layout& layout,
                                   const Environment& environment) {
    vm::GuestSetup setup;
    setup.hostname = sandbox.name.substr(0, 63);
    setup.switch_root = sandbox.vm.switch_root;
    setup.pids = sandbox.limits.pids;
    auto named = sandbox.vm.ca_certs;
    if (named.empty()) named = environment("VMETTE_CA_CERTS").value_or("");
    bool asked_for = !named.empty();
    VMETTE_TRY(setup.ca_certs, read_certificates(asked_for ? named : layout.certs_dir(), asked_for));
    return setup;
}

Result<vm::GuestCommand> guest_command(const manifest::Sandbox& sandbox, const rootfs::ImageConfig& image,
                                       std::string_view run_id, std::string_view job, const Environment& environment) {
    vm::GuestCommand command;
    VMETTE_TRY(command.argv, command_words(sandbox, image));
    command.env.emplace_back("PATH", kDefaultPath);
    for (const auto& [name, value] : image.env) set_variable(command.env, name, value);
    for (const auto& [name, value] : sandbox.env) set_variable(command.env, name, value);
    for (const auto& secret : sandbox.secrets) {
        auto value = environment(secret.env);
        if (!value)
            return fail(ErrorCode::bad_input, "the secret {} comes from the variable {}, which is not set", secret.name,
                        secret.env);
        set_variable(command.env, secret.name, *value);
    }
    set_variable(command.env, "VMETTE_RUN_ID", std::string(run_id));
    set_variable(command.env, "VMETTE_JOB", std::string(job));
    name_call_port(command, 0);
    command.workdir = !sandbox.workdir.empty() ? sandbox.workdir : !image.workdir.empty() ? image.workdir : "/";
    command.user = !sandbox.user.empty() ? sandbox.user : image.user;
    command.tty = sandbox.tty;
    command.stdin_open = sandbox.tty || sandbox.stdin_source.mode != manifest::StdinMode::none;
    return command;
}

void name_call_port(vm::GuestCommand& command, std::uint32_t port) {
    set_variable(command.env, "VMETTE_VSOCK_PORT", port != 0 ? fmt::to_string(port) : "");
}

vm::GuestCommand side_command(const live::Request& request, const vm::GuestCommand& own) {
    vm::GuestCommand command;
    auto kind = static_cast<live::Kind>(request.kind);
    if (kind == live::Kind::pack) command.tool = vm::GuestTool::pack;
    if (kind == live::Kind::unpack) command.tool = vm::GuestTool::unpack;
    command.argv = request.argv;
    command.env = own.env;
    for (const auto& variable : request.env) {
        auto equals = std::min(variable.find('='), variable.size());
        set_variable(command.env, variable.substr(0, equals), variable.substr(std::min(equals + 1, variable.size())));
    }
    command.workdir = request.workdir.value_or(own.workdir);
    command.user = request.user.value_or(own.user);
    command.tty = request.tty;
    command.columns = request.columns;
    command.rows = request.rows;
    command.stdin_open = request.stdin_open;
    return command;
}

}  // namespace vmette::scheduler
