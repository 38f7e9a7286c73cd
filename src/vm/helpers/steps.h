#pragma once
/// What the helper programs share. They are small static programs without vmette's libraries: each is one straight list
/// of steps, and a step that fails ends it with a line on stderr, which vmette shows.

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "vm/helpers/contract.h"

namespace vmette::helper {

/// Ends the program: "cannot <what>: <errno's text>", and `hint` after it.
[[noreturn]] inline void die(const char* what, const char* hint = "", int code = kFailed) {
    dprintf(2, "cannot %s: %s%s\n", what, strerror(errno), hint);
    _exit(code);
}

/// Dies (SIGKILL) with `parent`. The kernel forgets this wish when a process gains capabilities by entering a user
/// namespace, so it is made again after such a step; the parent may have gone in between.
inline void die_with(pid_t parent) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) die("ask for the parent's death signal");
    if (getppid() != parent) _exit(kFailed);
}

/// Writes one of the kernel's control files; with `may_miss`, a file that does not exist is no error.
void write_control(const char* path, const char* text, bool may_miss = false);

/// Enters a new user namespace, where the caller's uid and gid become 0, unless this process may already make
/// namespaces and mounts. Nothing else of the host is given up or won by it.
void become_root();

}  // namespace vmette::helper
