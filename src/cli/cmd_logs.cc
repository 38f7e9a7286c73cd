/// vmette logs: what a run has written until now, and what it goes on to write.

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <cerrno>
#include <climits>

#include "base/fd.h"
#include "base/text.h"
#include "cli/harmless_stream.h"
#include "cli/live_runs.h"
#include "cli/times.h"
#include "cli/verbs.h"
#include "scheduler/log_times.h"

namespace vmette::cli {
namespace {

/// Until a run has its log: it fetches an image, or boots.
constexpr Duration kLookAgain{50};

/// One log, copied to stdout: as it is to a file or a pipe, harmless to a terminal.
class LogCopy {
public:
    LogCopy(Console& console, std::string path) : console_(console), path_(std::move(path)) {}

    /// False while there is no such file yet.
    Result<bool> open() {
        if (file_) return true;
        auto opened = open_file(path_, O_RDONLY);
        if (!opened && opened.error().code == ErrorCode::not_found) return false;
        VMETTE_TRY(file_, std::move(opened));
        return true;
    }
    Result<> skip_to(WallTime since) {
        VMETTE_TRY(auto offset, scheduler::offset_since(path_, since));
        if (::lseek(file_.get(), static_cast<off_t>(offset), SEEK_SET) < 0) return fail_errno(path_);
        return {};
    }
    /// All that is there now.
    Result<> copy() {
        std::string buffer(64 * 1024, '\0');
        while (!console_.reader_gone()) {
            ssize_t count = ::read(file_.get(), buffer.data(), buffer.size());
            if (count < 0 && errno == EINTR) continue;
            if (count < 0) return fail_errno("read " + path_);
            if (count == 0) break;
            std::string_view bytes(buffer.data(), static_cast<std::size_t>(count));
            VMETTE_CHECK_OK(console_.out_is_terminal() ? console_.write(stream_.next(bytes)) : console_.write(bytes));
        }
        return {};
    }
    Result<> finish() { return console_.write(stream_.rest()); }
    const std::string& path() const { return path_; }

private:
    Console& console_;
    std::string path_;
    Fd file_;
    HarmlessStream stream_;
};

class LogsCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        auto& id = arguments.operand("ID", id_, "an id, the beginning of one, or a name (its newest run)");
        id.required = true;
        id.completes = Completes::runs;
        arguments.flag("-f,--follow", follow_, "go on with what it writes, until it ends");
        arguments.flag("--stderr", stderr_, "what it wrote to stderr");
        arguments.flag("--console", console_, "what the guest's kernel said");
        arguments.option("--since", "WHEN", since_, "leave out what is older: 5m, 2h, a date or a time");
    }

    Result<int> run(Context& context) override {
        if (stderr_ && console_) return fail(ErrorCode::bad_input, "--stderr and --console exclude each other");
        std::optional<WallTime> since;
        if (since_) {
            VMETTE_TRY(since, parse_when(*since_, context.clock().now()));
        }
        VMETTE_TRY(auto run, find_any_run(context, *id_));
        LogCopy copy(context.console(), stderr_ ? run.log_stderr : console_ ? run.log_console : run.log_stdout);
        if (copy.path().empty()) return fail(ErrorCode::not_found, "run {} kept no logs", run.id);
        std::optional<EndWatch> watch;
        if (follow_) watch.emplace(context, run.id);
        VMETTE_TRY(bool there, open_log(copy, watch));
        if (there && since) VMETTE_CHECK_OK(copy.skip_to(*since));
        if (there) VMETTE_CHECK_OK(watch ? follow(context, copy, *watch) : copy.copy());
        if (there) VMETTE_CHECK_OK(copy.finish());
        if (there) return 0;
        if (run.status == store::RunStatus::running && !follow_) return 0;
        // A run that failed before it had a machine has the names of its logs, and no logs.
        return fail(ErrorCode::not_found, "run {} wrote nothing{}", run.id, run.error.empty() ? "" : ": " + run.error);
    }

private:
    /// Waits for the log when it is followed. False: there is none.
    static Result<bool> open_log(LogCopy& copy, std::optional<EndWatch>& watch) {
        for (;;) {
            VMETTE_TRY(bool there, copy.open());
            if (there || !watch) return there;
            VMETTE_TRY(auto end, watch->look(kLookAgain));
            if (end) return copy.open();
        }
    }

    static Result<> follow(Context& context, LogCopy& copy, EndWatch& watch) {
        Fd changes(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
        if (!changes || ::inotify_add_watch(changes.get(), copy.path().c_str(), IN_MODIFY) < 0)
            return fail_errno("watch " + copy.path());
        while (!context.console().reader_gone()) {
            VMETTE_TRY(auto end, watch.look(Duration{0}));
            VMETTE_CHECK_OK(copy.copy());
            if (end) return {};
            // A reader that goes away while nothing is written is seen too.
            pollfd waits[] = {{changes.get(), POLLIN, 0}, {watch.fd(), POLLIN, 0}, {context.console().out_fd(), 0, 0}};
            ::poll(waits, 3, watch.fd() < 0 ? 200 : -1);
            if ((waits[2].revents & (POLLERR | POLLHUP)) != 0) return {};
            char events[sizeof(inotify_event) + NAME_MAX + 1];
            while (::read(changes.get(), events, sizeof events) > 0) {
            }
        }
        return {};
    }

    std::optional<std::string> id_, since_;
    bool follow_ = false, stderr_ = false, console_ = false;
};

}  // namespace

const Verb kLogsVerb{
    .name = "logs",
    .summary = "print what a run writes, and follow it",
    .description =
        "Its stdout, unless a flag says otherwise; of a run that has ended too. On a terminal, control sequences of "
        "the\n"
        "guest are shown as text; a pipe or a file gets the bytes as they were.",
    .example = "vmette logs -f web --since 5m",
    .exit_codes = "0  printed\n1  there is no such run, or its logs were not kept\n2  wrong usage, or several runs fit",
    .make = make_command<LogsCommand>,
};

}  // namespace vmette::cli
