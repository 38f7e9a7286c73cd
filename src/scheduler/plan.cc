#include "manifest/load.h"
#include "scheduler/host.h"
#include "scheduler/machine.h"
#include "vm/accel.h"
#include "vm/qemu_args.h"
#include "vm/vsock.h"

namespace vmette::scheduler {
namespace {

/// What the source would become, as far as its provider's name tells without resolving it.
rootfs::Resolved unresolved_root(const manifest::Sandbox& sandbox, const rootfs::Provider& provider) {
    rootfs::Resolved root;
    root.provider = provider.name();
    root.kind = root.provider == "dir" ? rootfs::RootKind::directory : rootfs::RootKind::block_image;
    root.path = root.kind == rootfs::RootKind::directory ? sandbox.rootfs.source : "(image)";
    return root;
}

/// The numbers that descriptors would have in QEMU's process, in the order of the devices.
vm::QemuPlan with_placeholders(const std::filesystem::path& qemu, const vm::VmSpec& spec) {
    constexpr int kFirst = 3;
    int next = kFirst;
    vm::QemuPlan plan{.program = qemu, .spec = spec, .machine = vm::choose_machine(spec)};
    plan.qmp_fd = next++;
    plan.channel_fd = next++;
    plan.console_fd = next++;
    for (const auto& device : vm::device_list(spec)) plan.devices.push_back({.device = device, .fd = next++});
    return plan;
}

}  // namespace

Result<RunPlan> plan_run(const Layout& layout, const manifest::Sandbox& sandbox, const rootfs::Registry& providers,
                         store::Store* store) {
    RunPlan plan;
    plan.sandbox = sandbox;
    plan.not_available = manifest::not_available_yet(sandbox);
    const rootfs::Provider* provider = providers.find(sandbox.rootfs.source);
    if (provider == nullptr)
        return fail(ErrorCode::bad_input, "no provider takes the rootfs \"{}\"", sandbox.rootfs.source);
    plan.provider = provider->name();
    VMETTE_TRY(plan.assets, chosen_assets(sandbox.vm, find_assets()));
    VMETTE_TRY(auto spec, machine_spec(sandbox, unresolved_root(sandbox, *provider), plan.assets, "(run id)"));
    VMETTE_TRY(auto qemu, vm::find_qemu());
    // What is remembered of this host goes in; what is not, stays as it would be without.
    Result<std::string> digest = fail(ErrorCode::not_found, "no store");
    if (store != nullptr) digest = remembered_digest(*store, plan.assets.kernel);
    if (digest) {
        VMETTE_TRY(auto choice,
                   choose_accel(layout, *store, sandbox.vm.accel, plan.assets, *digest, Probing::remembered_only));
        spec.accel = choice.accel;
        spec.tsc_khz = choice.tsc_khz;
    }
    spec.vsock = wants_vsock(sandbox, spec) && vm::vsock_available();
    plan.devices = vm::device_budget(spec);
    plan.qemu_argv = vm::qemu_arguments(with_placeholders(qemu, spec));
    return plan;
}

}  // namespace vmette::scheduler
