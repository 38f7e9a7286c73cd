#include "vm/devices.h"

namespace vmette::vm {
namespace {

constexpr Machine kWithoutAcpi{.acpi = false, .first_slot = 0, .slots = 8};
constexpr Machine kWithAcpi{.acpi = true, .first_slot = 1, .slots = 23};

bool has_block_root(const VmSpec& spec) {
    return spec.root.source == RootSource::block_image && !spec.root.path.empty();
}

bool has_shared_root(const VmSpec& spec) {
    return spec.root.source == RootSource::directory && !spec.root.path.empty();
}

std::vector<Device> unplaced_devices(const VmSpec& spec) {
    std::vector<Device> devices;
    auto add = [&](DeviceKind kind, std::string name, bool read_only) {
        devices.push_back({kind, std::move(name), read_only, 0});
    };
    if (has_block_root(spec)) add(DeviceKind::block, kRootSerial, true);
    for (std::size_t i = 0; i < spec.disks.size(); ++i) add(DeviceKind::block, disk_serial(i), spec.disks[i].read_only);
    if (spec.root.upper == Upper::scratch) add(DeviceKind::block, kScratchSerial, false);
    if (has_shared_root(spec)) add(DeviceKind::share, kRootTag, true);
    for (const auto& share : spec.shares) add(DeviceKind::share, share.tag, share.mode != ShareMode::rw);
    if (spec.net != NetMode::none) add(DeviceKind::net, "net0", false);
    if (spec.vsock) add(DeviceKind::vsock, "vsock0", false);
    add(DeviceKind::rng, "rng0", false);
    add(DeviceKind::balloon, "balloon0", false);
    add(DeviceKind::serial, "serial0", false);
    return devices;
}

}  // namespace

std::string_view to_string(Accel accel) { return accel == Accel::kvm ? "kvm" : "tcg"; }

std::string disk_serial(std::size_t index) { return fmt::format("disk{}", index); }

Machine choose_machine(const VmSpec& spec) {
    // Without ACPI under TCG the kernel finds nothing to calibrate its timer against: it has to be told the rate.
    bool clocks_known = spec.accel == Accel::kvm || spec.kernel_has_timer_patch;
    bool fits = unplaced_devices(spec).size() <= kWithoutAcpi.slots;
    return spec.kernel_has_mmio_cmdline && clocks_known && fits ? kWithoutAcpi : kWithAcpi;
}

std::vector<Device> device_list(const VmSpec& spec) {
    auto devices = unplaced_devices(spec);
    std::uint32_t slot = choose_machine(spec).first_slot;
    for (auto& device : devices) device.slot = slot++;
    return devices;
}

DeviceBudget device_budget(const VmSpec& spec) {
    return {static_cast<std::uint32_t>(unplaced_devices(spec).size()), kWithAcpi.slots};
}

Result<> check_device_budget(const VmSpec& spec) {
    auto budget = device_budget(spec);
    if (budget.used <= budget.limit) return {};
    auto count = [&](DeviceKind kind) {
        std::size_t n = 0;
        for (const auto& device : unplaced_devices(spec)) n += device.kind == kind ? 1 : 0;
        return n;
    };
    return fail(
        ErrorCode::unsupported,
        "the manifest needs {} devices, and the microvm machine takes {}: {} disks (root and scratch included), "
        "{} shares, {} networks, and {} of vmette's own",
        budget.used, budget.limit, count(DeviceKind::block), count(DeviceKind::share), count(DeviceKind::net),
        spec.vsock ? 4 : 3);
}

}  // namespace vmette::vm
