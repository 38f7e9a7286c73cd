#include "vm/qemu_args.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vmette::vm {
namespace {

using ::testing::Contains;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::Not;

using Arguments = std::vector<std::string>;

VmSpec small_spec() {
    VmSpec spec;
    spec.run_id = "01j";
    spec.kernel = "/a/vmlinux";
    spec.initramfs = "/a/initramfs.cpio";
    spec.kernel_has_timer_patch = true;
    spec.kernel_has_mmio_cmdline = true;
    spec.tsc_khz = 2600000;
    spec.memory_bytes = 512 * kMiB;
    spec.root.path = "/i/root.squashfs";
    return spec;
}

/// Binds descriptor 3, 4, … to the devices that need one.
QemuPlan plan_for(const VmSpec& spec) {
    QemuPlan plan;
    plan.program = "/usr/bin/qemu-system-x86_64";
    plan.spec = spec;
    plan.machine = choose_machine(spec);
    int next = 3;
    for (const auto& device : device_list(spec)) {
        QemuDevice bound;
        bound.device = device;
        bool inherits =
            device.kind == DeviceKind::block || device.kind == DeviceKind::share || device.kind == DeviceKind::net;
        if (inherits) bound.fd = next++;
        if (device.name == kScratchSerial) bound.discard_contents = true;
        if (device.kind == DeviceKind::net) bound.mac = "52:54:00:00:00:01";
        plan.devices.push_back(std::move(bound));
    }
    plan.qmp_fd = next++;
    plan.channel_fd = next++;
    plan.console_fd = next++;
    return plan;
}

const Arguments kJail = {"-nodefaults",
                         "-no-user-config",
                         "-no-reboot",
                         "-display",
                         "none",
                         "-sandbox",
                         "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
                         "-name",
                         "vmette-01j"};

Arguments joined(std::initializer_list<Arguments> parts) {
    Arguments out;
    for (const auto& part : parts) out.insert(out.end(), part.begin(), part.end());
    return out;
}

TEST(QemuArgumentsTest, SmallMachineUnderEmulationHasNoAcpi) {
    EXPECT_THAT(
        qemu_arguments(plan_for(small_spec())),
        ElementsAreArray(joined(
            {{"/usr/bin/qemu-system-x86_64", "-machine",
              "microvm,x-option-roms=off,rtc=on,acpi=off,pit=off,pic=off,mem-merge=off,dump-guest-core=off", "-accel",
              "tcg", "-cpu", "max", "-smp", "1", "-m", "512M", "-global", "virtio-mmio.force-legacy=false"},
             kJail,
             {"-kernel",
              "/a/vmlinux",
              "-initrd",
              "/a/initramfs.cpio",
              "-append",
              "console=ttyS0 quiet panic=-1 reboot=t random.trust_cpu=on swiotlb=noforce dummy.numdummies=0 "
              "no_timer_check noreplace-smp "
              "tsc_early_khz=2600000 tsc=reliable lapic_timer_hz=1000000000",
              "-chardev",
              "socket,id=qmp,fd=4",
              "-mon",
              "chardev=qmp,mode=control",
              "-chardev",
              "socket,id=console,fd=6",
              "-serial",
              "chardev:console",
              "-add-fd",
              "fd=3,set=3",
              "-blockdev",
              "driver=file,node-name=root,filename=/dev/fdset/3,read-only=on,discard=unmap,locking=off",
              "-device",
              "virtio-blk-device,bus=virtio-mmio-bus.0,drive=root,serial=root,werror=report,rerror=report",
              "-object",
              "rng-builtin,id=rng0",
              "-device",
              "virtio-rng-device,bus=virtio-mmio-bus.1,rng=rng0",
              "-device",
              "virtio-balloon-device,bus=virtio-mmio-bus.2,deflate-on-oom=on",
              "-chardev",
              "socket,id=channel,fd=5",
              "-device",
              "virtio-serial-device,bus=virtio-mmio-bus.3,max_ports=2",
              "-device",
              "virtserialport,chardev=channel,nr=1,name=vmette.ctl"}})));
}

TEST(QemuArgumentsTest, EveryKindOfDeviceUnderKvm) {
    VmSpec spec = small_spec();
    spec.accel = Accel::kvm;
    spec.vcpus = 4;
    spec.memory_bytes = 3 * kGiB;
    spec.extra_cmdline = "loglevel=7";
    spec.root.upper = Upper::scratch;
    spec.scratch_bytes = 8 * kGiB;
    spec.disks = {{"/d/a.img", "/data", false}, {"/d/b.qcow2", "", true}};
    spec.shares = {{"src", "/h/src", "/src", ShareMode::ro},
                   {"out", "/h/out", "/out", ShareMode::rw},
                   {"tmp", "/h/tmp", "/t", ShareMode::overlay}};
    spec.net = NetMode::nat;
    QemuPlan plan = plan_for(spec);
    plan.devices.at(2).format = DiskFormat::qcow2;
    plan.devices.at(4).transport = ShareTransport::virtiofs;
    plan.devices.at(5).transport = ShareTransport::plan9;
    plan.devices.at(6).transport = ShareTransport::plan9;
    EXPECT_THAT(
        qemu_arguments(plan),
        ElementsAreArray(joined(
            {{"/usr/bin/qemu-system-x86_64", "-object",
              "memory-backend-memfd,share=on,id=mem,size=3072M,merge=off,dump=off", "-machine",
              "microvm,x-option-roms=off,rtc=on,acpi=on,mem-merge=off,dump-guest-core=off,memory-backend=mem", "-accel",
              "kvm", "-cpu", "host", "-smp", "4", "-m", "3072M", "-global", "virtio-mmio.force-legacy=false"},
             kJail,
             {"-kernel", "/a/vmlinux", "-initrd", "/a/initramfs.cpio", "-append",
              "console=ttyS0 quiet panic=-1 reboot=t random.trust_cpu=on swiotlb=noforce dummy.numdummies=0 loglevel=7",
              "-chardev", "socket,id=qmp,fd=11", "-mon", "chardev=qmp,mode=control", "-chardev",
              "socket,id=console,fd=13", "-serial", "chardev:console",
              // root, the user's disks, scratch
              "-add-fd", "fd=3,set=3", "-blockdev",
              "driver=file,node-name=root,filename=/dev/fdset/3,read-only=on,discard=unmap,locking=off", "-device",
              "virtio-blk-device,bus=virtio-mmio-bus.1,drive=root,serial=root,werror=report,rerror=report", "-add-fd",
              "fd=4,set=4", "-blockdev",
              "driver=file,node-name=disk0,filename=/dev/fdset/4,read-only=off,discard=unmap", "-device",
              "virtio-blk-device,bus=virtio-mmio-bus.2,drive=disk0,serial=disk0,werror=report,rerror=report", "-add-fd",
              "fd=5,set=5", "-blockdev",
              "driver=file,node-name=disk1-file,filename=/dev/fdset/5,read-only=on,discard=unmap,locking=off",
              "-blockdev",
              R"({"driver":"qcow2","node-name":"disk1","file":"disk1-file","backing":null,"read-only":true,)"
              R"("discard":"unmap"})",
              "-device", "virtio-blk-device,bus=virtio-mmio-bus.3,drive=disk1,serial=disk1,werror=report,rerror=report",
              "-add-fd", "fd=6,set=6", "-blockdev",
              "driver=file,node-name=scratch,filename=/dev/fdset/6,read-only=off,discard=unmap,cache.no-flush=on,"
              "locking=off",
              "-device",
              "virtio-blk-device,bus=virtio-mmio-bus.4,drive=scratch,serial=scratch,werror=report,rerror=report",
              // shares
              "-chardev", "socket,id=share5,fd=7", "-device",
              "vhost-user-fs-device,bus=virtio-mmio-bus.5,chardev=share5,tag=src", "-fsdev",
              "local,id=share6,path=/proc/self/fd/8,security_model=none,multidevs=remap,readonly=off", "-device",
              "virtio-9p-device,bus=virtio-mmio-bus.6,fsdev=share6,mount_tag=out", "-fsdev",
              "local,id=share7,path=/proc/self/fd/9,security_model=none,multidevs=remap,readonly=on", "-device",
              "virtio-9p-device,bus=virtio-mmio-bus.7,fsdev=share7,mount_tag=tmp",
              // network and vmette's own
              "-netdev", "tap,id=net0,fd=10", "-device",
              "virtio-net-device,bus=virtio-mmio-bus.8,netdev=net0,mac=52:54:00:00:00:01", "-object",
              "rng-builtin,id=rng0", "-device", "virtio-rng-device,bus=virtio-mmio-bus.9,rng=rng0", "-device",
              "virtio-balloon-device,bus=virtio-mmio-bus.10,deflate-on-oom=on", "-chardev", "socket,id=channel,fd=12",
              "-device", "virtio-serial-device,bus=virtio-mmio-bus.11,max_ports=2", "-device",
              "virtserialport,chardev=channel,nr=1,name=vmette.ctl"}})));
}

TEST(QemuArgumentsTest, SnapshotIsMadeFromAFileOfMemoryWithoutALink) {
    VmSpec spec = small_spec();
    spec.net = NetMode::nat;
    QemuPlan plan = plan_for(spec);
    for (auto& device : plan.devices)
        if (device.device.kind == DeviceKind::net) device.fd = -1;
    plan.memory = MemorySource::kept;
    plan.memory_fd = 9;
    auto arguments = qemu_arguments(plan);
    EXPECT_THAT(arguments, Contains("memory-backend-file,mem-path=/proc/self/fd/9,share=on,id=mem,size=512M,merge=off,"
                                    "dump=off"));
    EXPECT_THAT(arguments, Contains(HasSubstr(",memory-backend=mem")));
    EXPECT_THAT(arguments, Contains("hubport,id=net0,hubid=0"));
    EXPECT_THAT(arguments, Contains("-kernel"));
}

TEST(QemuArgumentsTest, MachineFromASnapshotWritesToCopiesAndLoadsNoKernel) {
    QemuPlan plan = plan_for(small_spec());
    plan.memory = MemorySource::snapshot;
    plan.memory_fd = 9;
    auto arguments = qemu_arguments(plan);
    EXPECT_THAT(arguments, Contains("memory-backend-file,mem-path=/proc/self/fd/9,share=off,id=mem,size=512M,merge=off,"
                                    "dump=off"));
    EXPECT_THAT(arguments, Contains("-incoming"));
    for (const char* absent : {"-kernel", "-initrd", "-append"}) EXPECT_THAT(arguments, Not(Contains(absent)));
}

TEST(QemuArgumentsTest, DistributionKernelUnderEmulationKeepsAcpiAndIsToldTheTimeStampCounterAlone) {
    VmSpec spec = small_spec();
    spec.kernel_has_timer_patch = false;
    spec.kernel_has_mmio_cmdline = false;
    spec.root.path.clear();
    EXPECT_THAT(
        qemu_arguments(plan_for(spec)),
        ElementsAreArray(joined(
            {{"/usr/bin/qemu-system-x86_64", "-machine",
              "microvm,x-option-roms=off,rtc=on,acpi=on,pit=off,pic=off,mem-merge=off,dump-guest-core=off", "-accel",
              "tcg", "-cpu", "max", "-smp", "1", "-m", "512M", "-global", "virtio-mmio.force-legacy=false"},
             kJail,
             {"-kernel",
              "/a/vmlinux",
              "-initrd",
              "/a/initramfs.cpio",
              "-append",
              "console=ttyS0 quiet panic=-1 reboot=t random.trust_cpu=on swiotlb=noforce dummy.numdummies=0 "
              "no_timer_check noreplace-smp "
              "tsc_early_khz=2600000 tsc=reliable",
              "-chardev",
              "socket,id=qmp,fd=3",
              "-mon",
              "chardev=qmp,mode=control",
              "-chardev",
              "socket,id=console,fd=5",
              "-serial",
              "chardev:console",
              "-object",
              "rng-builtin,id=rng0",
              "-device",
              "virtio-rng-device,bus=virtio-mmio-bus.1,rng=rng0",
              "-device",
              "virtio-balloon-device,bus=virtio-mmio-bus.2,deflate-on-oom=on",
              "-chardev",
              "socket,id=channel,fd=4",
              "-device",
              "virtio-serial-device,bus=virtio-mmio-bus.3,max_ports=2",
              "-device",
              "virtserialport,chardev=channel,nr=1,name=vmette.ctl"}})));
}

TEST(QemuArgumentsTest, GuestOfAHostWithoutInvariantCounterKeepsTimeByTicks) {
    VmSpec spec = small_spec();
    spec.tsc_khz = 0;
    EXPECT_EQ(qemu_arguments(plan_for(spec)).at(2),
              "microvm,x-option-roms=off,rtc=on,acpi=off,pit=off,pic=off,mem-merge=off,dump-guest-core=off");
    EXPECT_EQ(kernel_command_line(spec),
              "console=ttyS0 quiet panic=-1 reboot=t random.trust_cpu=on swiotlb=noforce dummy.numdummies=0 "
              "no_timer_check noreplace-smp tsc_early_khz=1000000 tsc=unstable lapic_timer_hz=1000000000");
}

TEST(QemuArgumentsTest, KernelThatKnowsNeitherClockKeepsTheTimerChips) {
    VmSpec spec = small_spec();
    spec.tsc_khz = 0;
    spec.kernel_has_timer_patch = false;
    EXPECT_EQ(qemu_arguments(plan_for(spec)).at(2),
              "microvm,x-option-roms=off,rtc=on,acpi=on,mem-merge=off,dump-guest-core=off");
}

TEST(QemuArgumentsTest, VsockIsADeviceOnADescriptorOfOurs) {
    VmSpec spec = small_spec();
    spec.vsock = true;
    QemuPlan plan = plan_for(spec);
    auto device = std::ranges::find(plan.devices, DeviceKind::vsock, [](const auto& d) { return d.device.kind; });
    ASSERT_NE(device, plan.devices.end());
    device->cid = 77777;
    device->fd = 42;
    auto arguments = qemu_arguments(plan);
    EXPECT_THAT(arguments,
                ::testing::Contains(fmt::format("vhost-vsock-device,bus=virtio-mmio-bus.{},guest-cid=77777,vhostfd=42",
                                                device->device.slot)));
}

TEST(QemuArgumentsTest, CommaInATagStaysInTheTag) {
    VmSpec spec = small_spec();
    spec.shares = {{"a,readonly=off", "/h", "/g", ShareMode::ro}};
    auto arguments = qemu_arguments(plan_for(spec));
    EXPECT_THAT(arguments, ::testing::Contains(::testing::HasSubstr("tag=a,,readonly=off")));
}

TEST(QemuArgumentsTest, MemoryIsRoundedUpToWholeMebibytes) {
    VmSpec spec = small_spec();
    spec.memory_bytes = 100 * kMiB + 1;
    EXPECT_THAT(qemu_arguments(plan_for(spec)), ::testing::Contains("101M"));
}

}  // namespace
}  // namespace vmette::vm
