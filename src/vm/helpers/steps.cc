#include "vm/helpers/steps.h"

#include <fcntl.h>
#include <sched.h>

namespace vmette::helper {

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

void unshare_as_root(int flags) {
    if (unshare(flags) == 0) return;
    if (errno != EPERM) die("make a namespace");
    // The numbers are read before: inside, both are the overflow id until the maps are written.
    uid_t uid = geteuid();
    gid_t gid = getegid();
    if (unshare(CLONE_NEWUSER | flags) != 0)
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
