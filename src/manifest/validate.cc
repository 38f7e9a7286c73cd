#include "manifest/loading.h"

namespace vmette::manifest {
namespace {

/// The place of a value that is there, by its path of one or two keys.
Place place_of(const Value& root, std::string_view table, std::string_view key = {}) {
    const Value* found = root.find(table);
    const Value* child = found != nullptr && !key.empty() ? found->find(key) : nullptr;
    return child != nullptr ? child->place : found != nullptr ? found->place : Place{};
}

void validate_network(const Value& root, Loading& loading, const Sandbox& sandbox) {
    const Value* net = root.find("net");
    bool mode_is_wrong = net != nullptr && net->find("mode") != nullptr && net->find("mode")->bad;
    if ((net != nullptr && net->bad) || mode_is_wrong) return;
    bool mode_is_said = net != nullptr && net->find("mode") != nullptr;
    if (!sandbox.ports.empty() && sandbox.net.mode == NetMode::none)
        loading.report.add(place_of(root, "ports"), "ports need a network: net.mode is \"none\"");
    // With an explicit "none" an allow list from elsewhere is merely unused; with "nat" it would promise what is not
    // so.
    bool misleading = sandbox.net.mode == NetMode::nat || (sandbox.net.mode == NetMode::none && !mode_is_said);
    if (!sandbox.net.allow.empty() && misleading)
        loading.report.add(place_of(root, "net", "allow"), "net.allow needs net.mode = \"allowlist\"; it is \"{}\"",
                           sandbox.net.mode == NetMode::nat ? "nat" : "none");
}

}  // namespace

void validate(const Value& root, Loading& loading, const Sandbox& sandbox) {
    if (sandbox.rootfs.read_only && sandbox.vm.switch_root)
        loading.report.add(place_of(root, "vm", "switch_root"),
                           "vm.switch_root cannot be used with rootfs.read_only: it needs a root that can be written");
    // The accelerator of macOS; this build knows Linux hosts alone.
    if (sandbox.vm.accel == Accel::hvf && loading.request.check_host)
        loading.report.add(place_of(root, "vm", "accel"),
                           "vm.accel = \"hvf\" works on macOS alone; on Linux it is \"auto\", \"kvm\" or \"tcg\"");
    validate_network(root, loading, sandbox);
}

}  // namespace vmette::manifest
