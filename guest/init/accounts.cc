#include "accounts.h"

#include <optional>

namespace vmette::guest {

namespace {

/// The kernel's own bound on supplementary groups.
constexpr std::size_t kMaxGroups = 65536;
/// -1 means "leave it" to the kernel, so it is nobody's id.
constexpr std::uint64_t kMaxId = 0xFFFFFFFE;

struct PasswdLine {
    std::string_view name, home;
    std::uint64_t uid = 0, gid = 0;
};

std::optional<PasswdLine> parse_passwd(std::string_view line) {
    PasswdLine entry;
    entry.name = take_field(line, ':');
    take_field(line, ':');
    bool numbers = parse_number(take_field(line, ':'), kMaxId, entry.uid);
    numbers = parse_number(take_field(line, ':'), kMaxId, entry.gid) && numbers;
    take_field(line, ':');
    entry.home = take_field(line, ':');
    if (!numbers || entry.name.empty()) return std::nullopt;
    return entry;
}

std::optional<PasswdLine> find_user(std::string_view passwd, std::string_view name, std::optional<std::uint64_t> uid) {
    while (!passwd.empty()) {
        auto entry = parse_passwd(take_field(passwd, '\n'));
        if (entry && (uid ? entry->uid == *uid : entry->name == name)) return entry;
    }
    return std::nullopt;
}

struct GroupLine {
    std::string_view name, members;
    std::uint64_t gid = 0;
};

std::optional<GroupLine> parse_group(std::string_view line) {
    GroupLine entry;
    entry.name = take_field(line, ':');
    take_field(line, ':');
    if (!parse_number(take_field(line, ':'), kMaxId, entry.gid) || entry.name.empty()) return std::nullopt;
    entry.members = take_field(line, ':');
    return entry;
}

Outcome<std::uint64_t> find_group(std::string_view wanted, std::string_view group) {
    std::uint64_t gid = 0;
    if (parse_number(wanted, kMaxId, gid)) return gid;
    while (!group.empty()) {
        auto entry = parse_group(take_field(group, '\n'));
        if (entry && entry->name == wanted) return entry->gid;
    }
    return fail("no group \"", wanted, "\" in the image's /etc/group");
}

bool lists(std::string_view members, std::string_view name) {
    while (!members.empty())
        if (take_field(members, ',') == name) return true;
    return false;
}

std::vector<gid_t> groups_of(std::string_view name, std::string_view group) {
    std::vector<gid_t> groups;
    while (!group.empty() && groups.size() < kMaxGroups) {
        auto entry = parse_group(take_field(group, '\n'));
        if (entry && lists(entry->members, name)) groups.push_back(static_cast<gid_t>(entry->gid));
    }
    return groups;
}

}  // namespace

Outcome<Account> find_account(std::string_view user, std::string_view passwd, std::string_view group) {
    std::string_view wanted_group = user;
    std::string_view wanted_user = take_field(wanted_group, ':');
    const bool group_given = wanted_user.size() < user.size();
    if (wanted_user.empty()) wanted_user = "0";

    std::uint64_t uid = 0;
    const bool numeric = parse_number(wanted_user, kMaxId, uid);
    auto entry = find_user(passwd, wanted_user, numeric ? std::optional(uid) : std::nullopt);
    if (!entry && !numeric) return fail("no user \"", wanted_user, "\" in the image's /etc/passwd");

    Account account;
    account.uid = static_cast<uid_t>(entry ? entry->uid : uid);
    account.gid = static_cast<gid_t>(entry ? entry->gid : 0);
    if (entry && entry->home.starts_with('/')) account.home = entry->home;
    if (!entry && uid == 0) account.home = "/root";
    if (group_given) {
        GUEST_TRY(std::uint64_t gid, find_group(wanted_group, group));
        account.gid = static_cast<gid_t>(gid);
    } else if (entry) {
        account.groups = groups_of(entry->name, group);
    }
    return account;
}

}  // namespace vmette::guest
