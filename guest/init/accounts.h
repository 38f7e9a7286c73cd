#pragma once
/// Users and groups of the image, read from its own /etc/passwd and /etc/group: no name service, no trust.

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "support.h"

namespace vmette::guest {

/// Who a command runs as.
struct Account {
    uid_t uid = 0;
    gid_t gid = 0;
    std::vector<gid_t> groups;  ///< supplementary ones
    std::string home = "/";
};

/// `user` is a name or a uid, with an optional ":" and a group's name or gid; empty is root. A number needs no entry in
/// `passwd`. Supplementary groups come from `group`, unless the group is named. Both texts are hostile: lines that do
/// not parse are skipped. Fails when a name is not there, or a number does not fit.
Outcome<Account> find_account(std::string_view user, std::string_view passwd, std::string_view group);

}  // namespace vmette::guest
