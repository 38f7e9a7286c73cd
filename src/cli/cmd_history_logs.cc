/// vmette history logs: what a run wrote.

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/fd.h"
#include "base/text.h"
#include "cli/harmless_stream.h"
#include "cli/verbs.h"

namespace vmette::cli {
namespace {

class HistoryLogsCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        auto& id = arguments.operand("ID", id_, "an id, the beginning of one, or a name (its newest run)");
        id.required = true;
        id.completes = Completes::runs;
        arguments.flag("--stderr", stderr_, "what it wrote to stderr");
        arguments.flag("--console", console_, "what the guest's kernel said");
    }

    Result<int> run(Context& context) override {
        if (stderr_ && console_) return fail(ErrorCode::bad_input, "--stderr and --console exclude each other");
        VMETTE_TRY(store::Store * store, context.swept_store());
        VMETTE_TRY(auto run, store->find_run(*id_));
        const auto& path = stderr_ ? run.log_stderr : console_ ? run.log_console : run.log_stdout;
        if (path.empty()) return fail(ErrorCode::not_found, "run {} kept no logs", run.id);
        auto file = open_file(path, O_RDONLY);
        if (!file) {
            // A run that failed before it had a machine has the names of its logs, and no logs.
            bool gone = file.error().code == ErrorCode::not_found;
            if (gone && !run.error.empty())
                return fail(ErrorCode::not_found, "run {} wrote nothing: {}", run.id, run.error);
            return Failure(file.error());
        }
        VMETTE_CHECK_OK(copy(file->get(), path, context.console()));
        return 0;
    }

private:
    /// As it is to a file or a pipe, harmless to a terminal.
    static Result<> copy(int fd, const std::string& path, Console& console) {
        std::string buffer(std::size_t{64} << 10, '\0');
        HarmlessStream stream;
        while (!console.reader_gone()) {
            ssize_t count = ::read(fd, buffer.data(), buffer.size());
            if (count < 0 && errno == EINTR) continue;
            if (count < 0) return fail_errno("read " + path);
            if (count == 0) break;
            std::string_view bytes(buffer.data(), static_cast<std::size_t>(count));
            VMETTE_CHECK_OK(console.out_is_terminal() ? console.write(stream.next(bytes)) : console.write(bytes));
        }
        return console.write(stream.rest());
    }

    std::optional<std::string> id_;
    bool stderr_ = false, console_ = false;
};

}  // namespace

const Verb kHistoryLogsVerb{
    .name = "history logs",
    .summary = "print what a run wrote",
    .description =
        "Its stdout, unless a flag says otherwise. On a terminal, control sequences of the guest are shown as\n"
        "text; a pipe or a file gets the bytes as they were.",
    .example = "vmette history logs hello --stderr",
    .exit_codes = "0  printed\n1  there is no such run, or its logs were not kept\n2  wrong usage, or several runs fit",
    .make = make_command<HistoryLogsCommand>,
};

}  // namespace vmette::cli
