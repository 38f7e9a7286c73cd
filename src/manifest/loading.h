#pragma once
/// What the readers of the manifest's sections share.

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "manifest/diagnostics.h"
#include "manifest/load.h"
#include "manifest/toml_tree.h"

namespace vmette::manifest {

/// What was found out about the host once, for all sandboxes of a manifest.
struct HostCache {
    std::optional<std::vector<std::filesystem::path>> own_folders{};        ///< real, of vmette
    std::map<std::filesystem::path, std::filesystem::path> real_folders{};  ///< anchors of shares
    std::map<std::string, std::string, std::less<>> sources{};              ///< source → what is wrong with it
};

/// One load() under way. Borrowed references live as long as the call.
struct Loading {
    const LoadRequest& request;
    const std::vector<Origin>& origins;
    Report& report;
    HostCache& host;
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

/// A part of the manifest that is read on its own: keys of a checked root table that go into the sandbox. Each reports
/// what the table of keys cannot say.
struct Section {
    std::span<const std::string_view> keys;
    void (*read)(const Value& root, Loading& loading, Sandbox& sandbox);
};

extern const Section kCommandSection;  ///< exec, workdir, user, tty, stdin
extern const Section kRootfsSection;   ///< rootfs, scratch
extern const Section kFoldersSection;  ///< shares, disks
extern const Section kNetworkSection;  ///< net, ports
extern const Section kMapsSection;     ///< env, secrets, labels, metadata
extern const Section kMachineSection;  ///< limits, vm, snapshot, artifacts

/// In the order in which they are read. Together they have every key but `schema` and `name`.
inline constexpr std::array kSections{&kCommandSection, &kRootfsSection, &kFoldersSection,
                                      &kNetworkSection, &kMapsSection,   &kMachineSection};

/// `name`, else one made from the first manifest's file name; reports when neither does.
std::string read_name(const Value& root, Loading& loading);

/// The first manifest that is no config.toml, as a whole.
Place whole_manifest(const std::vector<Origin>& origins);

/// Rules that span sections. Runs last.
void validate(const Value& root, Loading& loading, const Sandbox& sandbox);

/// Says so when two mounts share a place in the guest.
void claim_guest_path(Loading& loading, Place place, const std::string& what, const std::string& path);

}  // namespace vmette::manifest
