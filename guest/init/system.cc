/// What every Linux program expects in its root: /proc, /sys, /dev and the rest.

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "root.h"

namespace vmette::guest {

namespace {

struct SystemMount {
    const char* path;
    const char* type;
    unsigned long flags;
    const char* options;
};

constexpr unsigned long kPlain = MS_NOSUID | MS_NODEV | MS_NOEXEC;

/// In order: later ones lie in earlier ones. Group 5 is "tty" in every distribution.
constexpr SystemMount kMounts[] = {
    {"proc", "proc", kPlain, ""},
    {"sys", "sysfs", kPlain, ""},
    {"sys/fs/cgroup", "cgroup2", kPlain, "nsdelegate"},
    {"dev", "devtmpfs", MS_NOSUID, "mode=0755"},
    {"dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"},
    {"dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777"},
    {"dev/mqueue", "mqueue", kPlain, ""},
    {"run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755"},
};

struct Link {
    const char* target;
    const char* path;
};

constexpr Link kLinks[] = {
    {"/proc/self/fd", "fd"},
    {"/proc/self/fd/0", "stdin"},
    {"/proc/self/fd/1", "stdout"},
    {"/proc/self/fd/2", "stderr"},
};

}  // namespace

Outcome<> prepare_system_folders(const Tree& tree) {
    for (const char* path : {"proc", "sys", "dev", "run"}) GUEST_CHECK(tree.make_directory(path));
    GUEST_CHECK(tree.make_directory("tmp", 01777));
    Fd tmp = tree.open_at("tmp", O_RDONLY | O_DIRECTORY);
    struct stat status{};
    if (!tmp || fstat(tmp.get(), &status) != 0) return fail_errno("look at /tmp");
    // mkdir obeys the umask, and some images leave /tmp to root.
    if ((status.st_mode & 07777) != 01777 && fchmod(tmp.get(), 01777) != 0) return fail_errno("mode of /tmp");
    return {};
}

Outcome<> Root::mount_system(bool read_only) {
    for (const SystemMount& m : kMounts) GUEST_CHECK(tree_.mount_at(m.path, m.type, m.type, m.flags, m.options));
    if (read_only) GUEST_CHECK(tree_.mount_at("tmp", "tmpfs", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777"));
    Fd dev = tree_.open_at("dev", O_RDONLY | O_DIRECTORY);
    for (const Link& link : kLinks)
        if (symlinkat(link.target, dev.get(), link.path) != 0 && errno != EEXIST)
            return fail_errno("make /dev/", link.path);
    return {};
}

}  // namespace vmette::guest
