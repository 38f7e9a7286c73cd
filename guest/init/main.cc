/// PID 1 of the guest. It greets the host as early as it can, then does what the host says, on one thread.

#include <errno.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string_view>

#include "console.h"
#include "copy_tool.h"
#include "loop.h"
#include "modules.h"
#include "own_program.h"
#include "port.h"
#include "send_tool.h"
#include "session.h"

namespace {

using namespace vmette::guest;

/// Ports register within a millisecond or so of their device; a guest without one is of no use.
constexpr int kPortLimitMs = 10'000;
/// On the kernel's command line: a machine without a port stops at once (what a bare boot costs, measured).
constexpr std::string_view kBareWord = "vmette.bare";

void mount_folder(const char* path, const char* type) {
    mkdir(path, 0755);
    if (mount(type, path, type, MS_NOSUID, "") != 0) say("cannot mount ", path, ": ", describe_errno(errno));
}

/// With `reboot=t -no-reboot` the quickest way out of QEMU.
[[noreturn]] void stop_machine() {
    reboot(RB_AUTOBOOT);
    _exit(1);
}

Fd wait_for_port_or_stop() {
    if (read_file("/proc/cmdline", 4096).find(kBareWord) != std::string::npos) stop_machine();
    auto port = open_port(kPortLimitMs);
    if (port) return std::move(*port);
    say(port.error());
    stop_machine();
}

/// What every program begins with: set once here, and inherited.
void prepare_inheritance() {
    // Roomy, but not so much that programs which close every possible descriptor take seconds.
    constexpr rlimit kOpenFiles{65536, 1048576};
    if (setrlimit(RLIMIT_NOFILE, &kOpenFiles) != 0) say("limit of open files: ", describe_errno(errno));
    umask(022);
}

void prepare_signals() {
    signal(SIGPIPE, SIG_IGN);
    sigset_t ended;
    sigemptyset(&ended);
    sigaddset(&ended, SIGCHLD);
    sigprocmask(SIG_BLOCK, &ended, nullptr);
}

/// What can wait until the host has its hello.
void finish_start() {
    mount_folder("/proc", "proc");
    remember_own_program();
    prepare_inheritance();
}

}  // namespace

int main(int argc, char** argv) {
    // By its name first: a program of a PID namespace may be its PID 1.
    if (argc > 0 && is_send_tool(argv[0])) return run_send_tool(argc, argv);
    if (getpid() != 1) return run_copy_tool(argc, argv);
    mount_folder("/dev", "devtmpfs");
    use_console();
    mount_folder("/sys", "sysfs");
    prepare_signals();
    load_modules(true);

    auto found = open_port(0);
    const bool at_once = found.has_value();
    if (!at_once) finish_start();
    Loop loop;
    Session session(loop, at_once ? std::move(*found) : wait_for_port_or_stop());
    session.greet();
    if (at_once) finish_start();
    if (auto attending = session.attend(); !attending) {
        say(attending.error());
        stop_machine();
    }
    loop.run();
}
