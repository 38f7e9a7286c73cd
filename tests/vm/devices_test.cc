#include "vm/devices.h"

#include <gtest/gtest.h>

namespace vmette::vm {
namespace {

VmSpec small_spec() {
    VmSpec spec;
    spec.kernel_has_timer_patch = true;
    spec.kernel_has_mmio_cmdline = true;
    spec.tsc_khz = 1000000;
    spec.root.path = "/i/root.squashfs";
    return spec;
}

VmSpec with_disks(std::size_t count) {
    VmSpec spec = small_spec();
    for (std::size_t i = 0; i < count; ++i) spec.disks.push_back({fmt::format("/d/{}", i), "", false});
    return spec;
}

std::vector<std::string> names(const std::vector<Device>& devices) {
    std::vector<std::string> out;
    for (const auto& device : devices) out.push_back(device.name);
    return out;
}

TEST(DevicesTest, OrderIsRootDisksScratchSharesNetworkAndOwn) {
    VmSpec spec = with_disks(2);
    spec.root.upper = Upper::scratch;
    spec.shares = {{"src", "/h", "/g", ShareMode::ro}};
    spec.net = NetMode::nat;
    EXPECT_EQ(names(device_list(spec)), (std::vector<std::string>{"root", "disk0", "disk1", "scratch", "src", "net0",
                                                                  "rng0", "balloon0", "serial0"}));
}

TEST(DevicesTest, SharedRootComesBeforeTheOtherShares) {
    VmSpec spec = small_spec();
    spec.root.source = RootSource::directory;
    spec.shares = {{"src", "/h", "/g", ShareMode::rw}};
    auto devices = device_list(spec);
    EXPECT_EQ(names(devices), (std::vector<std::string>{"rootfs", "src", "rng0", "balloon0", "serial0"}));
    EXPECT_EQ(devices[0].kind, DeviceKind::share);
}

TEST(DevicesTest, OnlyWhatMayBeWrittenIsWritable) {
    VmSpec spec = small_spec();
    spec.root.upper = Upper::scratch;
    spec.disks = {{"/a", "", true}, {"/b", "", false}};
    spec.shares = {
        {"a", "/h", "/1", ShareMode::ro}, {"b", "/h", "/2", ShareMode::rw}, {"c", "/h", "/3", ShareMode::overlay}};
    std::vector<bool> read_only;
    for (const auto& device : device_list(spec)) read_only.push_back(device.read_only);
    read_only.resize(7);
    EXPECT_EQ(read_only, (std::vector<bool>{true, true, false, false, true, false, true}));
}

TEST(DevicesTest, EightDevicesFitWithoutAcpiAndStartAtSlotZero) {
    VmSpec spec = with_disks(4);
    EXPECT_FALSE(choose_machine(spec).acpi);
    auto devices = device_list(spec);
    ASSERT_EQ(devices.size(), 8u);
    EXPECT_EQ(devices.front().slot, 0u);
    EXPECT_EQ(devices.back().slot, 7u);
}

TEST(DevicesTest, NineDevicesNeedAcpiAndLeaveTheDeadSlotAlone) {
    VmSpec spec = with_disks(5);
    EXPECT_TRUE(choose_machine(spec).acpi);
    auto devices = device_list(spec);
    EXPECT_EQ(devices.front().slot, 1u);
    EXPECT_EQ(devices.back().slot, 9u);
}

TEST(DevicesTest, AcpiStaysOnWhereTheKernelCannotDoWithout) {
    VmSpec no_cmdline = small_spec();
    no_cmdline.kernel_has_mmio_cmdline = false;
    EXPECT_TRUE(choose_machine(no_cmdline).acpi);
    VmSpec no_patch = small_spec();
    no_patch.kernel_has_timer_patch = false;
    EXPECT_TRUE(choose_machine(no_patch).acpi);
    no_patch.accel = Accel::kvm;
    EXPECT_FALSE(choose_machine(no_patch).acpi);
}

TEST(DevicesTest, BudgetIsTwentyThree) {
    VmSpec full = with_disks(19);
    EXPECT_EQ(device_budget(full).used, 23u);
    EXPECT_EQ(device_budget(full).limit, 23u);
    EXPECT_TRUE(check_device_budget(full));
    EXPECT_EQ(device_list(full).back().slot, 23u);
}

TEST(DevicesTest, VsockTakesAPlace) {
    VmSpec spec = with_disks(4);
    spec.vsock = true;
    EXPECT_EQ(device_budget(spec).used, 9u);
    VmSpec over = with_disks(19);
    over.vsock = true;
    auto refused = check_device_budget(over);
    ASSERT_FALSE(refused);
    EXPECT_TRUE(refused.error().message.ends_with("and 4 of vmette's own")) << refused.error().message;
}

TEST(DevicesTest, OverBudgetIsRefusedWithTheCounts) {
    VmSpec over = with_disks(20);
    over.root.upper = Upper::scratch;
    over.shares = {{"a", "/h", "/1", ShareMode::ro}, {"b", "/h", "/2", ShareMode::ro}};
    auto refused = check_device_budget(over);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::unsupported);
    EXPECT_EQ(refused.error().message,
              "the manifest needs 27 devices, and the microvm machine takes 23: 22 disks (root and scratch included), "
              "2 shares, 0 networks, and 3 of vmette's own");
}

}  // namespace
}  // namespace vmette::vm
