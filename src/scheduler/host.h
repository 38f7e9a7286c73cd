#pragma once
/// What this host can do for a run: its accelerator, found by booting; digests of files, remembered; and the report of
/// `vmette doctor`.

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/layout.h"
#include "manifest/sandbox.h"
#include "scheduler/run.h"
#include "store/store.h"
#include "vm/shares.h"
#include "vm/spec.h"

namespace vmette::scheduler {

/// "sha256:…" of a file that seldom changes (a kernel): hashed once, remembered by path, inode, size and mtime.
Result<std::string> remembered_digest(store::Store& store, const std::filesystem::path& path);

/// The accelerator of a run, with what goes with it.
struct AccelChoice {
    vm::Accel accel = vm::Accel::tcg;
    std::uint64_t tsc_khz = 0;  ///< of the host, for TCG
    std::string detail;         ///< why
};

/// How long a guest may take to say hello under an accelerator that works; KVM needs a tenth of it.
constexpr std::chrono::seconds kProbeLimit{3};

/// Whether an answer that is not remembered may be found out, which boots a guest.
enum class Probing { allowed, remembered_only };

/// `wanted` when it is named (an error when it does not work), else KVM where a guest boots under it, else TCG. A probe
/// is run once per host, QEMU and kernel, by one process at a time, and remembered; a host without /dev/kvm is not
/// probed.
Result<AccelChoice> choose_accel(const Layout& layout, store::Store& store, manifest::Accel wanted,
                                 const Assets& assets, std::string_view kernel_digest, Probing probing);

/// How shares are served here: asked once per boot of the host and version of virtiofsd, then remembered.
Result<vm::ShareTransport> remembered_share_transport(store::Store& store);

/// One line of the doctor's report.
struct HostCheck {
    enum class State { ok, degraded, missing };
    std::string name;
    State state = State::ok;
    std::string detail;
    std::string advice;  ///< empty when there is nothing to do
};

struct HostReport {
    std::vector<HostCheck> checks;
    std::string accel;  ///< what `auto` means here; empty when no guest boots
    bool can_run = false;
};

/// What to do about a KVM that does not work; `open_errno` is why /dev/kvm cannot be opened, 0 when it can.
std::string_view kvm_advice(int open_errno);

/// Boots probe guests, so it takes some seconds; remembers the accelerator in `store`. `progress` is told each step.
/// The last check is `database`.
Result<HostReport> examine_host(const Layout& layout, store::Store& store, HostCheck database,
                                const std::function<void(std::string_view)>& progress);

}  // namespace vmette::scheduler
