/// vmette-share: binds a folder, with limits, in a mount namespace of its own and becomes virtiofsd on it.
///
///     vmette-share ro|rw FOLDER VIRTIOFSD ARGUMENT…
///
/// Descriptors it is started with: 2 messages; 3 the folder as vmette opened it; 4 virtiofsd's listening socket.
/// virtiofsd is told to serve kShareMountPoint.

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "vm/helpers/contract.h"
#include "vm/helpers/steps.h"

namespace vmette::helper {
namespace {

int run(bool read_only, const char* folder, char** virtiofsd) {
    pid_t vmette = getppid();
    become_root();
    if (unshare(CLONE_NEWNS) != 0) die("make a mount namespace", "", kUnsupported);
    die_with(vmette);

    // Nothing mounted here may appear on the host, and nothing mounted on the host later may appear in the share.
    if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) die("make the mounts private");

    // A mount can only be cloned inside its own namespace, so the folder is looked up again here, and must still be the
    // one that vmette checked.
    int tree = open_tree(AT_FDCWD, folder, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW);
    if (tree < 0) die("bind the shared folder");
    struct stat checked, bound;
    if (fstat(kFolderFd, &checked) != 0 || fstat(tree, &bound) != 0) die("look at the shared folder");
    if (checked.st_dev != bound.st_dev || checked.st_ino != bound.st_ino) {
        dprintf(2, "the shared folder was replaced while it was being opened\n");
        return kFailed;
    }

    // Before the tree is attached anywhere. Everything mounted below the folder gets the same limits: setuid programs
    // and device nodes that a guest writes have no force through this mount.
    mount_attr limits{};
    limits.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (read_only ? MOUNT_ATTR_RDONLY : 0);
    if (mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &limits, sizeof limits) != 0)
        die("limit the shared folder's mounts", " (Linux 5.12 is needed)", kUnsupported);

    // The program is opened first: the mount may hide where it is.
    int program = open(virtiofsd[0], O_PATH | O_CLOEXEC);
    if (program < 0) die("open virtiofsd");
    if (move_mount(tree, "", AT_FDCWD, kShareMountPoint, MOVE_MOUNT_F_EMPTY_PATH) != 0) die("mount the shared folder");
    close(tree);
    close(kFolderFd);
    // Our working directory is the host's; virtiofsd needs none of it.
    if (chdir("/") != 0) die("change the working directory");
    syscall(SYS_execveat, program, "", virtiofsd, environ, AT_EMPTY_PATH);
    die("execute virtiofsd");
}

}  // namespace
}  // namespace vmette::helper

int main(int argc, char** argv) {
    bool read_only = argc > 1 && strcmp(argv[1], "ro") == 0;
    if (argc < 4 || (!read_only && strcmp(argv[1], "rw") != 0)) {
        dprintf(2, "vmette-share is started by vmette alone\n");
        return 2;
    }
    return vmette::helper::run(read_only, argv[2], argv + 3);
}
