#include <set>

#include "manifest/host_paths.h"
#include "manifest/loading.h"
#include "manifest/text_rules.h"

namespace vmette::manifest {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kMaxMadeTag = 26;  ///< leaves room for "-1024" in a tag's 31 bytes

/// A tag from the path's last part, unlike all others.
std::string make_tag(const fs::path& host, const std::set<std::string>& taken) {
    std::string base = fit_name(host.filename().native(), kMaxMadeTag, "_-");
    if (base.empty()) base = "share";
    if (!kTagRule.fits(base)) base = "share-" + base;
    std::string tag = base;
    for (int n = 2; taken.contains(tag); ++n) tag = fmt::format("{}-{}", base, n);
    return tag;
}

/// The real path as far as it is there, without a slash at its end.
fs::path real_path(const fs::path& path, const Loading& loading) {
    std::error_code error;
    fs::path real = loading.request.check_host ? fs::weakly_canonical(path, error) : path.lexically_normal();
    if (error) real = path.lexically_normal();
    return real.has_filename() ? real : real.parent_path();
}

const std::vector<fs::path>& own_folders(Loading& loading) {
    auto& found = loading.host.own_folders;
    if (found) return *found;
    found.emplace();
    for (const fs::path& folder : loading.request.forbidden_shares)
        if (!folder.empty()) found->push_back(real_path(folder, loading));
    return *found;
}

/// Folders that hold vmette's own state, in any direction: a guest that writes there could change its own history.
void refuse_own_folders(const fs::path& host, const std::string& what, Place place, Loading& loading) {
    if (host == "/") return loading.report.add(place, "{}: the whole file system of the host cannot be shared", what);
    for (const fs::path& own : own_folders(loading)) {
        bool inside = is_within(host, own);
        if (!inside && !is_within(own, host)) continue;
        return loading.report.add(place, "{}: {} {} vmette's own folder {}, which cannot be shared", what,
                                  host.native(), inside ? "lies in" : "holds", own.native());
    }
}

/// Fills share.host and returns the path as it was written, made absolute; empty when there is none.
fs::path read_host(const Value& table, const std::string& what, Loading& loading, Share& share) {
    const Value* host = get(table, "host");
    if (host == nullptr) {
        if (table.find("host") == nullptr)
            loading.report.add(table.place, "{}.host is missing: a folder to share", what);
        return {};
    }
    auto path = host_path(host->text, host->place, loading);
    if (!path) return {};
    share.host = path->full;
    if (loading.request.check_host) {
        auto real = resolve_share(*path, loading.host.real_folders);
        if (!real) {
            loading.report.add(host->place, "{}.host: {}", what, real.error().message);
            return {};
        }
        if (!fs::is_directory(*real)) {
            loading.report.add(host->place, "{}.host: {} is not a folder", what, real->native());
            return {};
        }
        share.host = *real;
    }
    refuse_own_folders(share.host, what, host->place, loading);
    return path->full;
}

void read_shares(const Value& root, Loading& loading, Sandbox& sandbox) {
    const Value* list = get(root, "shares");
    if (list == nullptr) return;
    std::set<std::string> tags;
    for (std::size_t i = 0; i < list->items.size(); ++i) {
        const Value* tag = get(list->items[i], "tag");
        if (tag != nullptr && !tags.insert(tag->text).second)
            loading.report.add(tag->place, "shares[{}].tag: another share has the tag \"{}\"", i, tag->text);
    }
    for (std::size_t i = 0; i < list->items.size(); ++i) {
        const Value& table = list->items[i];
        if (table.bad) continue;
        std::string what = fmt::format("shares[{}]", i);
        Share share;
        fs::path written = read_host(table, what, loading, share);
        read(table, "tag", share.tag);
        if (table.find("tag") == nullptr && !written.empty()) {
            share.tag = make_tag(written, tags);
            tags.insert(share.tag);
        }
        const Value* guest = get(table, "guest");
        share.guest = guest != nullptr ? normal_guest_path(guest->text) : "/mnt/" + share.tag;
        bool named = guest != nullptr || (table.find("guest") == nullptr && !share.tag.empty());
        if (named) claim_guest_path(loading, guest != nullptr ? guest->place : table.place, what, share.guest);
        read_choice(table, "mode", share.mode);
        sandbox.shares.push_back(std::move(share));
    }
}

void read_disks(const Value& root, Loading& loading, Sandbox& sandbox) {
    const Value* list = get(root, "disks");
    if (list == nullptr) return;
    for (std::size_t i = 0; i < list->items.size(); ++i) {
        const Value& table = list->items[i];
        if (table.bad) continue;
        std::string what = fmt::format("disks[{}]", i);
        Disk disk;
        if (const Value* path = get(table, "path")) {
            if (auto resolved = host_path(path->text, path->place, loading)) {
                disk.path = resolved->full;
                expect_on_host(disk.path, Expect::disk, what + ".path", path->place, loading);
                refuse_own_folders(real_path(disk.path, loading), what, path->place, loading);
            }
        } else if (table.find("path") == nullptr) {
            loading.report.add(table.place, "{}.path is missing: a disk image", what);
        }
        if (const Value* guest = get(table, "guest")) {
            disk.guest = normal_guest_path(guest->text);
            claim_guest_path(loading, guest->place, what, disk.guest);
        }
        read(table, "read_only", disk.read_only);
        sandbox.disks.push_back(std::move(disk));
    }
}

/// Both claim places in the guest.
void read_folders(const Value& root, Loading& loading, Sandbox& sandbox) {
    read_shares(root, loading, sandbox);
    read_disks(root, loading, sandbox);
}

constexpr std::array<std::string_view, 2> kKeys{"shares", "disks"};

}  // namespace

constinit const Section kFoldersSection{kKeys, read_folders};

}  // namespace vmette::manifest
