#include "vm/qemu_args.h"

#include <algorithm>

#include "guest/protocol.h"

namespace vmette::vm {
namespace {

/// The rate of the local APIC's timer in QEMU's model (hw/intc/apic_common.c counts nanoseconds).
constexpr std::uint64_t kQemuLapicTimerHz = 1'000'000'000;
/// Told to a guest when the host's counter is not known: any rate serves to boot with, none does.
constexpr std::uint64_t kAnyTscKhz = 1'000'000;

bool needs_shared_memory(const QemuPlan& plan) {
    return std::ranges::any_of(plan.devices, [](const QemuDevice& d) {
        return d.device.kind == DeviceKind::share && d.transport == ShareTransport::virtiofs;
    });
}

bool has_memory_backend(const QemuPlan& plan) {
    return needs_shared_memory(plan) || plan.memory != MemorySource::fresh;
}

std::string memory_backend(const QemuPlan& plan, std::uint64_t memory_mib) {
    std::string rest = fmt::format("id=mem,size={}M,merge=off,dump=off", memory_mib);
    if (plan.memory == MemorySource::fresh) return "memory-backend-memfd,share=on," + rest;
    return fmt::format("memory-backend-file,mem-path=/proc/self/fd/{},share={},{}", plan.memory_fd,
                       plan.memory == MemorySource::kept ? "on" : "off", rest);
}

std::string machine_option(const QemuPlan& plan) {
    std::string out = fmt::format("microvm,x-option-roms=off,rtc=on,acpi={}", plan.machine.acpi ? "on" : "off");
    // Emulated timer interrupts are the slowest of all; a kernel that knows its clocks needs neither chip. Under KVM
    // they stay as QEMU's defaults have it.
    bool knows_clocks = plan.spec.tsc_khz != 0 || plan.spec.kernel_has_timer_patch;
    if (plan.spec.accel == Accel::tcg && knows_clocks) out += ",pit=off,pic=off";
    // Merging equal pages across guests is a side channel; guest memory has no place in a core dump.
    out += ",mem-merge=off,dump-guest-core=off";
    if (has_memory_backend(plan)) out += ",memory-backend=mem";
    return out;
}

void add_machine(const QemuPlan& plan, std::vector<std::string>& out) {
    std::uint64_t memory_mib = (plan.spec.memory_bytes + kMiB - 1) / kMiB;
    if (has_memory_backend(plan)) out.insert(out.end(), {"-object", memory_backend(plan, memory_mib)});
    bool tcg = plan.spec.accel == Accel::tcg;
    out.insert(out.end(), {"-machine", machine_option(plan), "-accel", tcg ? "tcg" : "kvm", "-cpu",
                           tcg ? "max" : "host", "-smp", std::to_string(plan.spec.vcpus), "-m",
                           fmt::format("{}M", memory_mib), "-global", "virtio-mmio.force-legacy=false"});
}

void add_jail(const QemuPlan& plan, std::vector<std::string>& out) {
    out.insert(out.end(), {"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-sandbox",
                           "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"});
    if (!plan.spec.run_id.empty()) out.insert(out.end(), {"-name", "vmette-" + plan.spec.run_id});
}

void add_block(const QemuDevice& d, std::vector<std::string>& out) {
    const auto& name = d.device.name;
    const char* read_only = d.device.read_only ? "on" : "off";
    bool raw = d.format == DiskFormat::raw;
    // A raw disk needs no format driver above the file: one layer less, and nothing probes the guest's bytes.
    std::string file = raw ? name : name + "-file";
    out.insert(out.end(), {"-add-fd", fmt::format("fd={0},set={0}", d.fd)});
    std::string node = fmt::format("driver=file,node-name={},filename=/dev/fdset/{},read-only={},discard=unmap", file,
                                   d.fd, read_only);
    if (d.discard_contents) node += ",cache.no-flush=on,locking=off";
    if (d.device.read_only) node += ",locking=off";
    out.insert(out.end(), {"-blockdev", node});
    if (!raw) {
        // JSON, because only there can a backing file be ruled out whatever the image's header says.
        out.insert(out.end(),
                   {"-blockdev", fmt::format(R"({{"driver":"qcow2","node-name":"{}","file":"{}","backing":null,)"
                                             R"("read-only":{},"discard":"unmap"}})",
                                             name, file, d.device.read_only ? "true" : "false")});
    }
    // A full or failing host disk is the guest's I/O error: the default would stop the machine silently.
    out.insert(out.end(), {"-device", fmt::format("virtio-blk-device,bus=virtio-mmio-bus.{},drive={},serial={},"
                                                  "werror=report,rerror=report",
                                                  d.device.slot, name, name)});
}

/// Commas end an option's value in QEMU's syntax; a doubled one is a comma.
std::string option_value(std::string_view text) {
    std::string out;
    for (char c : text) out.append(c == ',' ? 2 : 1, c);
    return out;
}

void add_share(const QemuDevice& d, std::vector<std::string>& out) {
    std::string id = fmt::format("share{}", d.device.slot);
    std::string tag = option_value(d.device.name);
    if (d.transport == ShareTransport::virtiofs) {
        out.insert(out.end(), {"-chardev", fmt::format("socket,id={},fd={}", id, d.fd), "-device",
                               fmt::format("vhost-user-fs-device,bus=virtio-mmio-bus.{},chardev={},tag={}",
                                           d.device.slot, id, tag)});
        return;
    }
    // The folder is named by our descriptor: what its path means may have changed since it was checked.
    out.insert(out.end(),
               {"-fsdev",
                fmt::format("local,id={},path=/proc/self/fd/{},security_model=none,multidevs=remap,"
                            "readonly={}",
                            id, d.fd, d.device.read_only ? "on" : "off"),
                "-device",
                fmt::format("virtio-9p-device,bus=virtio-mmio-bus.{},fsdev={},mount_tag={}", d.device.slot, id, tag)});
}

void add_channel(const QemuPlan& plan, const QemuDevice& d, std::vector<std::string>& out) {
    // Port 0 is reserved for a console. With more than the two ports QEMU makes 64 queues, which the kernel sets up.
    out.insert(out.end(), {"-chardev", fmt::format("socket,id=channel,fd={}", plan.channel_fd), "-device",
                           fmt::format("virtio-serial-device,bus=virtio-mmio-bus.{},max_ports=2", d.device.slot),
                           "-device", fmt::format("virtserialport,chardev=channel,nr=1,name={}", wire::kPortName)});
}

void add_device(const QemuPlan& plan, const QemuDevice& d, std::vector<std::string>& out) {
    std::string bus = fmt::format("bus=virtio-mmio-bus.{}", d.device.slot);
    switch (d.device.kind) {
        case DeviceKind::block:
            return add_block(d, out);
        case DeviceKind::share:
            return add_share(d, out);
        case DeviceKind::net:
            out.insert(out.end(),
                       {"-netdev", d.fd < 0 ? "hubport,id=net0,hubid=0" : fmt::format("tap,id=net0,fd={}", d.fd),
                        "-device", fmt::format("virtio-net-device,{},netdev=net0,mac={}", bus, d.mac)});
            return;
        case DeviceKind::vsock:
            out.insert(out.end(),
                       {"-device", fmt::format("vhost-vsock-device,{},guest-cid={},vhostfd={}", bus, d.cid, d.fd)});
            return;
        case DeviceKind::rng:
            out.insert(out.end(), {"-object", "rng-builtin,id=rng0", "-device",
                                   fmt::format("virtio-rng-device,{},rng=rng0", bus)});
            return;
        case DeviceKind::balloon:
            out.insert(out.end(), {"-device", fmt::format("virtio-balloon-device,{},deflate-on-oom=on", bus)});
            return;
        case DeviceKind::serial:
            return add_channel(plan, d, out);
    }
}

}  // namespace

std::string kernel_command_line(const VmSpec& spec) {
    // A panic or reboot is a triple fault, which QEMU turns into its own end at once.
    std::string out = "console=ttyS0 quiet panic=-1 reboot=t random.trust_cpu=on swiotlb=noforce dummy.numdummies=0";
    if (spec.accel == Accel::tcg) {
        // Patching locks out of the kernel's code makes TCG translate it twice.
        out += " no_timer_check noreplace-smp";
        // Calibration against emulated timers fails, at random or always, and then the boot hangs. A counter of unknown
        // rate is good for delays alone: the kernel then keeps time by its ticks.
        bool known = spec.tsc_khz != 0;
        out +=
            fmt::format(" tsc_early_khz={} tsc={}", known ? spec.tsc_khz : kAnyTscKhz, known ? "reliable" : "unstable");
        if (spec.kernel_has_timer_patch) out += fmt::format(" lapic_timer_hz={}", kQemuLapicTimerHz);
    }
    if (!spec.extra_cmdline.empty()) out += " " + spec.extra_cmdline;
    return out;
}

std::vector<std::string> qemu_arguments(const QemuPlan& plan) {
    std::vector<std::string> out{plan.program.string()};
    add_machine(plan, out);
    add_jail(plan, out);
    if (plan.memory == MemorySource::snapshot)
        out.insert(out.end(), {"-incoming", "defer"});
    else
        out.insert(out.end(), {"-kernel", plan.spec.kernel.string(), "-initrd", plan.spec.initramfs.string(), "-append",
                               kernel_command_line(plan.spec)});
    out.insert(out.end(),
               {"-chardev", fmt::format("socket,id=qmp,fd={}", plan.qmp_fd), "-mon", "chardev=qmp,mode=control",
                "-chardev", fmt::format("socket,id=console,fd={}", plan.console_fd), "-serial", "chardev:console"});
    for (const auto& device : plan.devices) add_device(plan, device, out);
    return out;
}

}  // namespace vmette::vm
