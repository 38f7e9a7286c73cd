#pragma once
/// What the readers of the manifest's sections share.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "manifest/diagnostics.h"
#include "manifest/load.h"
#include "manifest/toml_tree.h"

namespace vmette::manifest {

/// One load() under way. Borrowed references live as long as the call.
struct Loading {
    const LoadRequest& request;
    const std::vector<Origin>& origins;
    Report& report;
    std::map<std::string, std::string> guest_paths{};  ///< mount point in the guest → "shares[0]"
};

/// The child that is there and good; null otherwise (what is wrong with it was said before).
const Value* get(const Value& table, std::string_view key);

void read(const Value& table, std::string_view key, bool& out);
void read(const Value& table, std::string_view key, std::string& out);
void read(const Value& table, std::string_view key, std::uint32_t& out);
void read(const Value& table, std::string_view key, std::uint64_t& out);
void read(const Value& table, std::string_view key, Duration& out);
/// An enum whose names stand in keys.h in its order.
template <typename Enum>
void read_choice(const Value& table, std::string_view key, Enum& out) {
    if (const Value* value = get(table, key)) out = static_cast<Enum>(value->number);
}

/// The sections. Each reads its keys of a checked tree into the sandbox and reports what the table of keys cannot say.
void read_machine(const Value& root, Loading& loading, Sandbox& sandbox);  ///< limits, vm, snapshot, artifacts
void read_shares(const Value& root, Loading& loading, Sandbox& sandbox);
void read_disks(const Value& root, Loading& loading, Sandbox& sandbox);
void read_network(const Value& root, Loading& loading, Sandbox& sandbox);  ///< net, ports
void read_maps(const Value& root, Loading& loading, Sandbox& sandbox);     ///< env, secrets, labels, metadata
void read_root(const Value& root, Loading& loading, Sandbox& sandbox);     ///< the plain keys, rootfs, scratch

/// Rules that span sections. Runs last.
void validate(const Value& root, Loading& loading, const Sandbox& sandbox);

/// Says so when two mounts share a place in the guest.
void claim_guest_path(Loading& loading, Place place, const std::string& what, const std::string& path);

}  // namespace vmette::manifest
