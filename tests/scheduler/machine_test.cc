#include "scheduler/machine.h"

#include <gtest/gtest.h>

#include <fstream>

namespace vmette::scheduler {
namespace {

std::optional<std::string> no_environment(const std::string&) { return std::nullopt; }

manifest::Sandbox sandbox() {
    manifest::Sandbox made;
    made.name = "demo";
    made.rootfs.source = "./root";
    made.exec = manifest::ShellCommand{"echo hi"};
    return made;
}

std::string value_of(const vm::GuestCommand& command, std::string_view name) {
    for (const auto& [key, value] : command.env)
        if (key == name) return value;
    return "(unset)";
}

TEST(MachineSpecTest, WritesGoToScratchThenMemoryThenNowhere) {
    rootfs::Resolved root{.kind = rootfs::RootKind::block_image, .path = "/img"};
    auto made = sandbox();
    made.scratch = 2 * kGiB;
    auto with_scratch = machine_spec(made, root, {}, "id");
    ASSERT_TRUE(with_scratch);
    EXPECT_EQ(with_scratch->root.upper, vm::Upper::scratch);
    EXPECT_EQ(with_scratch->scratch_bytes, 2 * kGiB);
    made.scratch = 0;
    EXPECT_EQ(machine_spec(made, root, {}, "id")->root.upper, vm::Upper::memory);
    made.rootfs.read_only = true;
    auto read_only = machine_spec(made, root, {}, "id");
    EXPECT_EQ(read_only->root.upper, vm::Upper::none);
    EXPECT_EQ(read_only->scratch_bytes, 0u);
}

TEST(MachineSpecTest, MoreDevicesThanTheMachineTakesAreRefusedWithTheCount) {
    auto made = sandbox();
    for (int i = 0; i < 40; ++i) made.disks.push_back({"/d", "", true});
    auto spec = machine_spec(made, {}, {}, "id");
    ASSERT_FALSE(spec);
    EXPECT_EQ(spec.error().code, ErrorCode::unsupported);
    EXPECT_TRUE(spec.error().message.starts_with("the manifest needs 44 devices, and the microvm machine takes 23: "))
        << spec.error().message;
}

TEST(MachineSpecTest, ProgramsCallTheHostUnlessThatIsOff) {
    manifest::Sandbox made;
    EXPECT_EQ(machine_spec(made, {}, {}, "id")->call_port, 0u) << "any number";
    made.vm.vsock = manifest::VsockMode::port;
    made.vm.vsock_port = 4000;
    EXPECT_EQ(machine_spec(made, {}, {}, "id")->call_port, 4000u);
    made.vm.vsock = manifest::VsockMode::off;
    EXPECT_EQ(machine_spec(made, {}, {}, "id")->call_port, std::nullopt);
}

TEST(MachineSpecTest, VsockIsForMachinesThatBootAndHaveAPlaceForIt) {
    manifest::Sandbox made;
    vm::VmSpec spec = *machine_spec(made, {}, {}, "id");
    EXPECT_FALSE(wants_vsock(made, spec)) << "a snapshot may start it";
    spec.accel = vm::Accel::kvm;
    EXPECT_TRUE(wants_vsock(made, spec));
    spec.accel = vm::Accel::tcg;
    made.snapshot.warm = false;
    EXPECT_TRUE(wants_vsock(made, spec));
    spec.disks.resize(20);
    EXPECT_FALSE(wants_vsock(made, spec)) << "no place is left";
    spec.disks.clear();
    spec.call_port.reset();
    EXPECT_FALSE(wants_vsock(made, spec));
}

TEST(GuestCommandTest, StringRunsUnderAShellAndAnArrayAsItIs) {
    auto made = sandbox();
    EXPECT_EQ(guest_command(made, {}, "id", "", no_environment)->argv,
              (std::vector<std::string>{"/bin/sh", "-c", "echo hi"}));
    made.exec = manifest::Argv{{"printf", "%s", "a b"}};
    EXPECT_EQ(guest_command(made, {}, "id", "", no_environment)->argv,
              (std::vector<std::string>{"printf", "%s", "a b"}));
}

TEST(GuestCommandTest, ImagesOwnCommandStandsInWhereTheManifestHasNone) {
    auto made = sandbox();
    made.exec.reset();
    rootfs::ImageConfig image{.entrypoint = {"/entry"}, .command = {"serve"}, .user = "app", .workdir = "/srv"};
    auto command = guest_command(made, image, "id", "", no_environment);
    ASSERT_TRUE(command);
    EXPECT_EQ(command->argv, (std::vector<std::string>{"/entry", "serve"}));
    EXPECT_EQ(command->user, "app");
    EXPECT_EQ(command->workdir, "/srv");
    auto nothing = guest_command(made, {}, "id", "", no_environment);
    ASSERT_FALSE(nothing);
    EXPECT_EQ(nothing.error().message,
              "there is nothing to run: the manifest has no exec, and the image names no command of its own");
}

TEST(GuestCommandTest, EnvironmentHasItsOrderOfPrecedence) {
    auto made = sandbox();
    made.env = {{"A", "manifest"}, {"VMETTE_RUN_ID", "forged"}};
    made.secrets = {manifest::Secret{.name = "TOKEN", .env = "HOST_TOKEN"}};
    rootfs::ImageConfig image{.env = {{"A", "image"}, {"PATH", "/opt/bin"}}};
    auto command = guest_command(made, image, "run-1", "job-1", [](const std::string& name) {
        return name == "HOST_TOKEN" ? std::optional<std::string>("s3cret") : std::nullopt;
    });
    ASSERT_TRUE(command);
    EXPECT_EQ(value_of(*command, "A"), "manifest");
    EXPECT_EQ(value_of(*command, "PATH"), "/opt/bin");
    EXPECT_EQ(value_of(*command, "TOKEN"), "s3cret");
    EXPECT_EQ(value_of(*command, "VMETTE_RUN_ID"), "run-1");
    EXPECT_EQ(value_of(*command, "VMETTE_JOB"), "job-1");
    EXPECT_EQ(value_of(*command, "VMETTE_VSOCK_PORT"), "");
    name_call_port(*command, 4000);
    EXPECT_EQ(value_of(*command, "VMETTE_VSOCK_PORT"), "4000");
}

TEST(GuestCommandTest, SecretThatIsNotSetNamesItselfAndItsVariable) {
    auto made = sandbox();
    made.secrets = {manifest::Secret{.name = "TOKEN", .env = "HOST_TOKEN"}};
    auto command = guest_command(made, {}, "id", "", no_environment);
    ASSERT_FALSE(command);
    EXPECT_EQ(command.error().message, "the secret TOKEN comes from the variable HOST_TOKEN, which is not set");
}

TEST(ChosenAssetsTest, MissingKernelIsNamed) {
    manifest::Vm vm;
    vm.kernel = "/nowhere/vmlinux";
    vm.initramfs = "/nowhere/initramfs";
    auto assets = chosen_assets(vm, fail(ErrorCode::not_found, "none"));
    ASSERT_FALSE(assets);
    EXPECT_EQ(assets.error().message, "the kernel /nowhere/vmlinux does not exist");
}

TEST(ChosenAssetsTest, KernelOfTheManifestGetsNoParametersOfOurs) {
    auto folder = TempDir::make();
    ASSERT_TRUE(folder);
    for (const char* name : {"ours", "theirs", "initramfs"}) std::ofstream(folder->path() / name) << "x";
    Assets found{folder->path() / "ours", folder->path() / "initramfs", true, true, "vmette"};
    manifest::Vm vm;
    vm.kernel = folder->path() / "theirs";
    auto assets = chosen_assets(vm, found);
    ASSERT_TRUE(assets);
    EXPECT_EQ(assets->kernel, folder->path() / "theirs");
    EXPECT_EQ(assets->initramfs, folder->path() / "initramfs");
    EXPECT_FALSE(assets->kernel_has_timer_patch);
    EXPECT_FALSE(assets->kernel_has_mmio_cmdline);
}

TEST(GuestSetupTest, CertificatesComeInOrderOfTheirNamesAndOnlyFromCertificateFiles) {
    auto folder = TempDir::make();
    ASSERT_TRUE(folder);
    std::ofstream(folder->path() / "b.crt") << "BBB";
    std::ofstream(folder->path() / "a.pem") << "AAA";
    std::ofstream(folder->path() / "notes.txt") << "no";
    auto made = sandbox();
    made.vm.ca_certs = folder->path();
    auto setup = guest_setup(made, Layout{}, no_environment);
    ASSERT_TRUE(setup);
    EXPECT_EQ(setup->ca_certs, (std::vector<std::string>{"AAA", "BBB"}));
    EXPECT_EQ(setup->hostname, "demo");
}

TEST(GuestSetupTest, FolderOfCertificatesThatWasNamedMustExist) {
    auto made = sandbox();
    made.vm.ca_certs = "/nowhere/certs";
    auto setup = guest_setup(made, Layout{}, no_environment);
    ASSERT_FALSE(setup);
    EXPECT_EQ(setup.error().message, "the folder of certificates /nowhere/certs does not exist");
}

}  // namespace
}  // namespace vmette::scheduler
