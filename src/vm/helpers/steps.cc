#include "vm/helpers/steps.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/syscall.h>

namespace vmette::helper {
namespace {

/// The user id alone does not tell: root in a container usually may not.
bool may_administer() {
    __user_cap_header_struct head{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {};
    return syscall(SYS_capget, &head, sets) == 0 && (sets[0].effective & 1U << CAP_SYS_ADMIN) != 0 &&
           (sets[0].effective & 1U << CAP_NET_ADMIN) != 0;
}

}  // namespace

void write_control(const char* path, const char* text, bool may_miss) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && may_miss) return;
    if (fd < 0 || write(fd, text, strlen(text)) < 0) {
        char what[200];
        snprintf(what, sizeof what, "write %s", path);
        die(what);
    }
    close(fd);
}

void become_root() {
    if (may_administer()) return;
    // The numbers are read before: inside, both are the overflow id until the maps are written.
    uid_t uid = geteuid();
    gid_t gid = getegid();
    if (unshare(CLONE_NEWUSER) != 0)
        die("make a user namespace",
            "; allow it (sysctl kernel.unprivileged_userns_clone=1, user.max_user_namespaces above 0, and no AppArmor "
            "restriction of user namespaces), or run vmette as root",
            kUnsupported);
    char map[64];
    // Without this the kernel lets no unprivileged process map groups.
    write_control("/proc/self/setgroups", "deny");
    snprintf(map, sizeof map, "0 %u 1\n", uid);
    write_control("/proc/self/uid_map", map);
    snprintf(map, sizeof map, "0 %u 1\n", gid);
    write_control("/proc/self/gid_map", map);
}

}  // namespace vmette::helper
