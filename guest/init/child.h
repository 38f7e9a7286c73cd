#pragma once
/// The child's half of a launch: from clone to exec.

#include <sys/types.h>

#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "../protocol.h"
#include "accounts.h"
#include "cgroup.h"
#include "launch.h"
#include "support.h"

namespace vmette::guest {

/// The child's ends of its descriptors.
struct ChildEnds {
    Fd in, out, err;
};

/// Borrows everything it is given.
class Child {
public:
    Child(const wire::Exec& exec, const Account& account, const ChildEnds& ends);
    /// Starts the process inside the group and returns once it has become the program, or says why it has not.
    ///
    /// The child borrows init's memory until exec, as vfork(2) does, and leaves the reason there: copying it, and
    /// moving a process to a cgroup afterwards, took 20 ms under emulation.
    std::expected<pid_t, LaunchFailure> start(const CommandGroup& group);

private:
    static void enter(void* self);
    [[noreturn]] void run();
    [[noreturn]] void give_up(wire::FailureKind kind, std::string_view message);
    [[noreturn]] void give_up_errno(wire::FailureKind kind, std::string_view what);
    void reset_process();
    void take_descriptors();
    void enter_workdir();
    void become_user();
    [[noreturn]] void run_tool();
    [[noreturn]] void run_program();
    void search_path();
    void try_program(const char* path);

    const wire::Exec& exec_;
    const Account& account_;
    const ChildEnds& ends_;
    const std::string workdir_;
    const std::string tool_name_;
    const std::string owner_;  ///< "uid:gid", of what a tool makes
    const std::vector<std::string> environment_;
    std::vector<char*> environment_pointers_, argument_pointers_;
    std::string candidate_;  ///< a path being tried; made before clone, so that the child allocates nothing on its way
    int refused_ = 0;        ///< errno of a candidate that is there and cannot be executed
    std::optional<LaunchFailure> failure_;
};

}  // namespace vmette::guest
