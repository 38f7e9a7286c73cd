#include <sched.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "base/log.h"
#include "base/process.h"
#include "base/text.h"
#include "scheduler/host.h"
#include "vm/accel.h"
#include "vm/shares.h"

namespace vmette::scheduler {
namespace {

using Checks = std::vector<HostCheck>;
using State = HostCheck::State;

/// TCG is slow, and a loaded host slower: this is patience for the question "does it boot at all".
constexpr Duration kTcgLimit = std::chrono::seconds(30);
constexpr Duration kHelperLimit = std::chrono::seconds(5);
constexpr std::uint64_t kLowSpace = 2 * kGiB;

std::string first_line_of(const std::filesystem::path& program, const char* argument) {
    auto said = run_captured(ProcessSpec{.argv = {program.string(), argument}}, kHelperLimit);
    if (!said || !said->ok()) return program.string();
    return harmless_line(std::string_view(said->out).substr(0, said->out.find('\n')));
}

bool check_qemu(Checks& checks) {
    auto qemu = vm::find_qemu();
    if (!qemu) {
        checks.push_back({"qemu", State::missing, qemu.error().message, "apt install qemu-system-x86"});
        return false;
    }
    checks.push_back({"qemu", State::ok, first_line_of(*qemu, "--version"), ""});
    return true;
}

/// Boots under both accelerators; says which one `auto` takes.
void check_accelerators(HostReport& report, const Layout& layout, store::Store& store, const Assets& assets,
                        const std::function<void(std::string_view)>& progress) {
    auto digest = remembered_digest(store, assets.kernel);
    if (!digest) {
        bool guest_is_missing = digest.error().code == ErrorCode::not_found;
        report.checks.push_back({"accelerator", State::missing, "not tried: " + digest.error().text(),
                                 guest_is_missing ? "./dev guest" : ""});
        return;
    }
    progress("booting a guest under kvm");
    if (auto forgotten = store.remove_facts("kvm:"); !forgotten)
        log(LogLevel::info, "the remembered accelerator stays: {}", forgotten.error().text());
    auto kvm = choose_accel(layout, store, manifest::Accel::kvm, assets, *digest, Probing::allowed);
    if (kvm) {
        report.checks.push_back({"accelerator kvm", State::ok, kvm->detail, ""});
        report.accel = "kvm";
        return;
    }
    int open_errno = ::access("/dev/kvm", R_OK | W_OK) == 0 ? 0 : errno;
    report.checks.push_back(
        {"accelerator kvm", State::degraded, kvm.error().message, std::string(kvm_advice(open_errno))});
    progress("booting a guest under tcg");
    auto choice = choose_accel(layout, store, manifest::Accel::tcg, assets, *digest, Probing::allowed);
    auto tcg = vm::probe(vm::Accel::tcg, assets.kernel, assets.initramfs, assets.kernel_has_timer_patch,
                         assets.kernel_has_mmio_cmdline, choice ? choice->tsc_khz : 0, kTcgLimit);
    report.checks.push_back({"accelerator tcg", tcg.works ? State::ok : State::missing,
                             tcg.detail + (tcg.works ? "; emulation: isolated, but many times slower than kvm" : ""),
                             tcg.works ? "" : "see the guest's console: vmette up -vv"});
    if (tcg.works) report.accel = "tcg";
}

bool user_namespaces_work() {
    auto tried =
        run_captured(ProcessSpec{.argv = {"true"}, .unshare_flags = CLONE_NEWUSER | CLONE_NEWNET}, kHelperLimit);
    return tried && tried->ok();
}

void check_isolation(Checks& checks) {
    bool namespaces = user_namespaces_work();
    std::string who = ::geteuid() == 0 ? "vmette runs as root: QEMU does too" : "QEMU runs as an ordinary user";
    checks.push_back(
        {"isolation", namespaces ? State::ok : State::degraded,
         fmt::format("QEMU's seccomp sandbox is on; user namespaces {}; {}", namespaces ? "work" : "are refused", who),
         namespaces ? "" : "sysctl kernel.unprivileged_userns_clone=1, or the setting of your distribution"});
}

void check_programs(Checks& checks, const char* name,
                    std::initializer_list<std::pair<const char*, const char*>> programs, std::string present) {
    std::string lacking, packages;
    for (auto [program, package] : programs) {
        if (find_program(program)) continue;
        lacking += std::string(lacking.empty() ? "" : ", ") + program;
        packages += std::string(" ") + package;
    }
    if (lacking.empty())
        checks.push_back({name, State::ok, std::move(present), ""});
    else
        checks.push_back({name, State::missing, "not installed: " + lacking, "apt install" + packages});
}

void check_network(Checks& checks) {
    check_programs(checks, "network", {{"slirp4netns", "slirp4netns"}, {"nft", "nftables"}},
                   "net.mode = \"nat\" by slirp4netns and nftables, in a namespace of its own");
    if (checks.back().state == State::ok && ::access("/dev/net/tun", R_OK | W_OK) != 0) {
        checks.back().state = State::missing;
        checks.back().detail = errno_error(errno, "/dev/net/tun").message;
        checks.back().advice = "modprobe tun, and chmod 0666 /dev/net/tun";
    }
}

void check_shares(Checks& checks) {
    if (auto daemon = vm::find_virtiofsd())
        checks.push_back({"virtio-fs", State::ok, daemon->string(), ""});
    else
        checks.push_back({"virtio-fs", State::degraded, "no virtiofsd: shares go over 9p, which is slower",
                          "apt install qemu-system-common (Debian 12) or virtiofsd"});
}

void check_vsock(Checks& checks) {
    bool there = ::access("/dev/vhost-vsock", R_OK | W_OK) == 0;
    checks.push_back({"vsock", there ? State::ok : State::degraded,
                      there ? "/dev/vhost-vsock" : errno_error(errno, "/dev/vhost-vsock").message,
                      there ? "" : "modprobe vhost_vsock; without it vmette speaks over its own channel"});
}

void check_space(Checks& checks, const char* name, const std::filesystem::path& folder) {
    auto existing = folder;
    std::error_code error;
    while (!std::filesystem::exists(existing, error) && existing.has_relative_path()) existing = existing.parent_path();
    struct statvfs info{};
    if (::statvfs(existing.c_str(), &info) != 0) {
        checks.push_back(
            {name, State::missing, errno_error(errno, existing.string()).message, "make the folder usable"});
        return;
    }
    std::uint64_t free = info.f_bavail * info.f_frsize;
    bool low = free < kLowSpace;
    checks.push_back({name, low ? State::degraded : State::ok,
                      fmt::format("{} free in {}", human_size(free), folder.string()),
                      low ? "free some space, or move the folder (VMETTE_CACHE_DIR, VMETTE_STATE_DIR)" : ""});
}

}  // namespace

std::string_view kvm_advice(int open_errno) {
    switch (open_errno) {
        case 0:
            return "KVM is there but boots no guest here, as on some hosts that are virtual machines themselves: runs "
                   "use tcg";
        case EACCES:
        case EPERM:
            return "join the group kvm";
        default:
            return "enable virtualisation in the firmware, or nested virtualisation where this host is itself a "
                   "virtual machine; runs use tcg";
    }
}

Result<HostReport> examine_host(const Layout& layout, store::Store& store, HostCheck database,
                                const std::function<void(std::string_view)>& progress) {
    HostReport report;
    report.checks.push_back({"vmette", State::ok, VMETTE_VERSION, ""});
    bool qemu = check_qemu(report.checks);
    auto assets = find_assets();
    if (assets)
        report.checks.push_back({"guest kernel", State::ok,
                                 fmt::format("{} ({})", assets->kernel.string(), harmless_line(assets->origin)), ""});
    else
        report.checks.push_back({"guest kernel", State::missing, assets.error().text(), "./dev guest"});
    if (qemu && assets) check_accelerators(report, layout, store, *assets, progress);
    check_isolation(report.checks);
    check_shares(report.checks);
    check_programs(report.checks, "scratch disks", {{"mkfs.ext4", "e2fsprogs"}},
                   "formatted by mkfs.ext4, once per size");
    check_network(report.checks);
    check_vsock(report.checks);
    check_space(report.checks, "cache space", layout.cache);
    check_space(report.checks, "state space", layout.state);
    report.checks.push_back(std::move(database));
    report.can_run = !report.accel.empty() && find_program("mkfs.ext4").has_value();
    return report;
}

}  // namespace vmette::scheduler
