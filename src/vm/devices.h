#pragma once
/// The guest's devices, in the one order that everything else derives from: the guest's names of disks, QEMU's slots,
/// the numbers of inherited descriptors, the count against the machine's limit.

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "vm/spec.h"

namespace vmette::vm {

enum class DeviceKind { block, share, net, vsock, rng, balloon, serial };

struct Device {
    DeviceKind kind = DeviceKind::block;
    /// Of a block device its virtio-blk serial, of a share its mount tag; by it the guest finds the device.
    std::string name;
    bool read_only = false;  ///< enforced on the host's side
    /// N of virtio-mmio-bus.N.
    std::uint32_t slot = 0;
    bool operator==(const Device&) const = default;
};

constexpr char kRootSerial[] = "root";
constexpr char kScratchSerial[] = "scratch";
/// Reserved among the user's tags.
constexpr char kRootTag[] = "rootfs";
/// The serial of the user's disk number `index`: "disk0".
std::string disk_serial(std::size_t index);

/// What the microvm machine offers for a spec.
struct Machine {
    /// Off saves 60 ms of firmware and kernel, and has 8 slots; on, there are 24, of which the first is unusable: a
    /// virtio-blk device on virtio-mmio-bus.0 never gets an interrupt there (measured with QEMU 7.2).
    bool acpi = true;
    std::uint32_t first_slot = 1;
    std::uint32_t slots = 23;
    bool operator==(const Machine&) const = default;
};

/// ACPI is off where the kernel can do without and the devices fit.
Machine choose_machine(const VmSpec& spec);

/// Root, the user's disks in the manifest's order, scratch, shares (a root directory before the others), network,
/// vsock, rng, balloon, channel. A spec with an empty root path has no root device: the accelerator's probe boots so.
std::vector<Device> device_list(const VmSpec& spec);

/// `unsupported`, with the counts, when the machine cannot hold the devices.
Result<> check_device_budget(const VmSpec& spec);

}  // namespace vmette::vm
