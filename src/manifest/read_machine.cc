#include "manifest/host_paths.h"
#include "manifest/loading.h"
#include "manifest/text_rules.h"

namespace vmette::manifest {
namespace {

void read_limits(const Value& table, Limits& limits) {
    read(table, "vcpus", limits.vcpus);
    read(table, "memory", limits.memory);
    read(table, "timeout", limits.timeout);
    read(table, "boot_timeout", limits.boot_timeout);
    read(table, "idle_timeout", limits.idle_timeout);
    read(table, "output", limits.output);
    read(table, "pids", limits.pids);
    read(table, "grace", limits.grace);
}

void read_path(const Value& table, std::string_view key, Expect what, Loading& loading, std::filesystem::path& out) {
    const Value* value = get(table, key);
    if (value == nullptr) return;
    auto path = host_path(value->text, value->place, loading);
    if (!path) return;
    out = path->full;
    expect_on_host(out, what, fmt::format("vm.{}", key), value->place, loading);
}

void read_vm(const Value& table, Loading& loading, Vm& vm) {
    read_choice(table, "accel", vm.accel);
    read_path(table, "kernel", Expect::file, loading, vm.kernel);
    read_path(table, "initramfs", Expect::file, loading, vm.initramfs);
    read(table, "cmdline", vm.cmdline);
    read(table, "switch_root", vm.switch_root);
    read_path(table, "ca_certs", Expect::anything, loading, vm.ca_certs);
    const Value* vsock = get(table, "vsock");
    if (vsock == nullptr || vsock->is(Value::Kind::string)) return;
    vm.vsock = vsock->is(Value::Kind::boolean) ? VsockMode::off : VsockMode::port;
    if (vm.vsock == VsockMode::port) vm.vsock_port = static_cast<std::uint32_t>(vsock->number);
}

void read_artifacts(const Value& list, Loading& loading, Sandbox& sandbox) {
    for (std::size_t i = 0; i < list.items.size(); ++i) {
        const Value& table = list.items[i];
        if (table.bad) continue;
        Artifact artifact;
        if (const Value* path = get(table, "path"))
            artifact.path = path->text;
        else if (table.find("path") == nullptr)
            loading.report.add(table.place, "artifacts[{}].path is missing: what to copy out of the guest", i);
        read(table, "max", artifact.max);
        sandbox.artifacts.push_back(std::move(artifact));
    }
}

void read_snapshot(const Value& table, Snapshot& snapshot) {
    if (const Value* warm = get(table, "warm")) snapshot.warm = warm->number != 0;
    if (const Value* setup = get(table, "setup"))
        for (const Value& command : setup->items) snapshot.setup.push_back(command.text);
}

void read_machine(const Value& root, Loading& loading, Sandbox& sandbox) {
    if (const Value* limits = get(root, "limits")) read_limits(*limits, sandbox.limits);
    if (const Value* vm = get(root, "vm")) read_vm(*vm, loading, sandbox.vm);
    if (const Value* artifacts = get(root, "artifacts")) read_artifacts(*artifacts, loading, sandbox);
    if (const Value* snapshot = get(root, "snapshot")) read_snapshot(*snapshot, sandbox.snapshot);
}

constexpr std::array<std::string_view, 4> kKeys{"limits", "vm", "snapshot", "artifacts"};

}  // namespace

constinit const Section kMachineSection{kKeys, read_machine};

}  // namespace vmette::manifest
