#include "scheduler/host.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "base/digest.h"
#include "base/fd.h"
#include "base/log.h"
#include "vm/accel.h"

namespace vmette::scheduler {
namespace {

constexpr Duration kTscWindow{50};
constexpr Duration kShareProbeLimit{2000};

Result<std::uint64_t> remembered_tsc_khz(store::Store& store, Probing probing) {
    // The rate is a property of one boot of the host: a virtual machine may have been moved since the last.
    std::string key = "tsc-khz:" + own_identity().boot_id;
    VMETTE_TRY(auto known, store.get_fact(key));
    if (known) return std::strtoull(known->c_str(), nullptr, 10);
    if (probing == Probing::remembered_only) return 0;
    std::uint64_t khz = vm::measure_tsc_khz(kTscWindow);
    VMETTE_CHECK_OK(store.put_fact(key, std::to_string(khz)));
    return khz;
}

/// The remembered answer of a KVM probe, or a probe now: "works: detail", "fails: detail" or "unknown: detail".
Result<std::string> kvm_verdict(const Layout& layout, store::Store& store, const Assets& assets,
                                std::string_view kernel_digest, Probing probing) {
    VMETTE_TRY(auto qemu, vm::find_qemu());
    std::string key = "kvm:" + vm::probe_key(qemu, kernel_digest);
    VMETTE_TRY(auto known, store.get_fact(key));
    if (known) return *known;
    if (probing == Probing::remembered_only) return "unknown: not tried yet";

    // One process probes; those that wait find its answer.
    auto lock_path = layout.lock("accelerator-probe");
    VMETTE_CHECK_OK(make_cache_dir(lock_path.parent_path()));
    VMETTE_TRY(Fd lock, open_file(lock_path, O_RDWR | O_CREAT | O_NOFOLLOW));
    if (::flock(lock.get(), LOCK_EX) != 0) return fail_errno("lock " + lock_path.string());
    VMETTE_TRY(auto meanwhile, store.get_fact(key));
    if (meanwhile) return *meanwhile;

    auto probe = vm::probe(vm::Accel::kvm, assets.kernel, assets.initramfs, assets.kernel_has_timer_patch,
                           assets.kernel_has_mmio_cmdline, 0, std::chrono::duration_cast<Duration>(kProbeLimit));
    std::string verdict = fmt::format("{}: {}", probe.works ? "works" : "fails", probe.detail);
    VMETTE_CHECK_OK(store.put_fact(key, verdict));
    return verdict;
}

bool says_works(std::string_view verdict) { return verdict.starts_with("works"); }

}  // namespace

Result<vm::ShareTransport> remembered_share_transport(store::Store& store) {
    auto daemon = vm::find_virtiofsd();
    if (!daemon) return vm::ShareTransport::plan9;
    struct stat info{};
    if (::stat(daemon->c_str(), &info) != 0) return fail_errno(daemon->string());
    std::string key =
        fmt::format("shares:{}:{}:{}:{}", own_identity().boot_id, daemon->string(), info.st_mtim.tv_sec, ::geteuid());
    VMETTE_TRY(auto known, store.get_fact(key));
    if (known) return known->starts_with("virtiofs") ? vm::ShareTransport::virtiofs : vm::ShareTransport::plan9;
    auto choice = vm::choose_share_transport(kShareProbeLimit);
    log(LogLevel::info, "shares by {}", choice.detail);
    bool by_virtiofs = choice.transport == vm::ShareTransport::virtiofs;
    VMETTE_CHECK_OK(store.put_fact(key, by_virtiofs ? "virtiofs" : "9p"));
    return choice.transport;
}

Result<std::string> remembered_digest(store::Store& store, const std::filesystem::path& path) {
    struct stat info{};
    if (::stat(path.c_str(), &info) != 0) return fail_errno(path.string());
    std::string key = fmt::format("digest:{}:{}:{}:{}.{:09}", path.string(), info.st_ino, info.st_size,
                                  info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
    VMETTE_TRY(auto known, store.get_fact(key));
    if (known) return *known;
    VMETTE_TRY(auto hex, sha256_file(path));
    std::string digest = "sha256:" + hex;
    VMETTE_CHECK_OK(store.remove_facts(fmt::format("digest:{}:", path.string())));
    VMETTE_CHECK_OK(store.put_fact(key, digest));
    return digest;
}

Result<AccelChoice> choose_accel(const Layout& layout, store::Store& store, manifest::Accel wanted,
                                 const Assets& assets, std::string_view kernel_digest, Probing probing) {
    AccelChoice choice;
    if (wanted == manifest::Accel::hvf)
        return fail(ErrorCode::unsupported,
                    "vm.accel = \"hvf\" exists on macOS alone; use \"auto\", \"kvm\" or \"tcg\"");
    if (wanted == manifest::Accel::tcg) {
        choice.detail = "asked for";
    } else if (::access("/dev/kvm", R_OK | W_OK) != 0) {
        choice.detail = fmt::format("/dev/kvm: {}", errno_error(errno, "open").message);
        if (wanted == manifest::Accel::kvm)
            return fail(ErrorCode::unsupported, "vm.accel = \"kvm\" does not work here: {}", choice.detail);
    } else {
        VMETTE_TRY(std::string verdict, kvm_verdict(layout, store, assets, kernel_digest, probing));
        choice.detail = verdict;
        if (says_works(verdict)) choice.accel = vm::Accel::kvm;
        if (wanted == manifest::Accel::kvm && choice.accel != vm::Accel::kvm)
            return fail(ErrorCode::unsupported, "vm.accel = \"kvm\" does not work here: {}",
                        verdict.substr(verdict.find(' ') + 1));
    }
    if (choice.accel == vm::Accel::tcg) {
        VMETTE_TRY(choice.tsc_khz, remembered_tsc_khz(store, probing));
    }
    return choice;
}

}  // namespace vmette::scheduler
