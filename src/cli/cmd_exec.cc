/// vmette exec and vmette shell: commands in a live run.

#include <unistd.h>

#include "cli/live_command.h"
#include "cli/live_runs.h"
#include "cli/manifest_source.h"
#include "cli/verbs.h"
#include "scheduler/run.h"

namespace vmette::cli {
namespace {

using scheduler::live::Kind;
using scheduler::live::Request;

/// What both take.
struct GuestFlags {
    std::optional<std::string> id, workdir, user;
    std::vector<std::string> env;

    void define(Arguments& arguments) {
        auto& operand = arguments.operand("ID", id, "an id, the beginning of one, or a name of a live run");
        operand.required = true;
        operand.completes = Completes::runs;
        arguments.option("-e,--env", "K=V", env, "set a variable, beside those of the run's own command");
        arguments.option("-w,--workdir", "DIR", workdir,
                         "the working directory, made when it is not there; default: that of the "
                         "run's command");
        arguments.option("-u,--user", "USER", user, "name or uid[:gid]; default: that of the run's command");
    }

    Result<Request> request() const {
        Request request;
        request.kind = static_cast<std::uint8_t>(Kind::exec);
        request.workdir = workdir;
        request.user = user;
        if (workdir && !workdir->starts_with('/'))
            return fail(ErrorCode::bad_input, "--workdir {}: it must begin with /", *workdir);
        for (const auto& variable : env) {
            VMETTE_TRY(auto pair, environment_pair(variable));
            request.env.push_back(std::move(pair));
        }
        return request;
    }

private:
    /// K alone takes its value from here.
    static Result<std::string> environment_pair(const std::string& variable) {
        auto equals = variable.find('=');
        if (variable.empty() || equals == 0) return fail(ErrorCode::bad_input, "--env {}: it is written K=V", variable);
        if (equals != variable.npos) return variable;
        auto value = environment_variable(variable);
        if (!value) return fail(ErrorCode::bad_input, "--env {}: the variable is not set here", variable);
        return variable + "=" + *value;
    }
};

Result<int> run_it(Context& context, const std::string& id, Request request, bool tty, bool stdin_wanted) {
    request.tty = tty;
    CommandStreams streams;
    streams.in = stdin_wanted ? STDIN_FILENO : -1;
    streams.out = context.console().out_fd();
    streams.err = context.console().err_fd();
    streams.harmless = !tty;
    streams.terminal = tty && ::isatty(STDIN_FILENO) == 1;
    if (tty)
        if (auto term = environment_variable("TERM")) request.env.insert(request.env.begin(), "TERM=" + *term);
    VMETTE_TRY(auto run_id, find_live_id(context, id));
    auto end = run_in_guest(context, run_id, std::move(request), streams);
    if (end) return end->exit_code;
    // Where nobody is behind the socket, the history knows why.
    if (end.error().code == ErrorCode::not_found) VMETTE_CHECK_OK(find_live_run(context, id));
    return Failure(end.error());
}

class ExecCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        guest_.define(arguments);
        arguments.flag("-t,--tty", tty_, "a terminal for the command, which follows the size of this one");
        arguments.flag("-i,--stdin", stdin_, "join stdin, as is done without it");
        arguments.flag("-n,--no-stdin", no_stdin_, "leave stdin alone: the command reads nothing");
        arguments.command(command_);
    }

    Result<int> run(Context& context) override {
        if (command_.empty()) return fail(ErrorCode::bad_input, "a command is missing: `vmette exec ID -- CMD...`");
        if (stdin_ && no_stdin_) return fail(ErrorCode::bad_input, "--stdin and --no-stdin exclude each other");
        VMETTE_TRY(auto request, guest_.request());
        request.argv = command_;
        return run_it(context, *guest_.id, std::move(request), tty_, !no_stdin_);
    }

private:
    GuestFlags guest_;
    std::vector<std::string> command_;
    bool tty_ = false, stdin_ = false, no_stdin_ = false;
};

class ShellCommand final : public Command {
public:
    void define(Arguments& arguments) override { guest_.define(arguments); }

    Result<int> run(Context& context) override {
        VMETTE_TRY(auto request, guest_.request());
        // The image's better shell, where it has one.
        request.argv = {"/bin/sh", "-c", "test -x /bin/bash && exec /bin/bash; exec /bin/sh"};
        return run_it(context, *guest_.id, std::move(request), true, true);
    }

private:
    GuestFlags guest_;
};

constexpr std::string_view kExitCodes =
    "0-255    the command's own\n"
    "128+N    the command died of signal N\n"
    "2        wrong usage, or several live runs fit\n"
    "125      there is no such live run, or it ended\n"
    "126/127  the command cannot be executed / is not there";

}  // namespace

const Verb kExecVerb{
    .name = "exec",
    .summary = "run a command in a live run, beside its own",
    .description =
        "It has streams and an exit code of its own, and the run's environment, folder and user unless a flag says\n"
        "otherwise. SIGINT and SIGTERM go to the command; the third ends the connection. When this process is gone, "
        "the\n"
        "command gets SIGHUP, and SIGKILL two seconds later. What it leaves in the background stays with the run.",
    .example = "vmette exec web -- ps aux",
    .exit_codes = kExitCodes,
    .failure_code = scheduler::kExitFailure,
    .make = make_command<ExecCommand>,
};

const Verb kShellVerb{
    .name = "shell",
    .summary = "open a shell in a live run",
    .description =
        "On a terminal that follows the size of this one: bash where the image has it, else sh. Ctrl-C and Ctrl-Z are\n"
        "the guest's.",
    .example = "vmette shell web --user root",
    .exit_codes = kExitCodes,
    .failure_code = scheduler::kExitFailure,
    .make = make_command<ShellCommand>,
};

}  // namespace vmette::cli
