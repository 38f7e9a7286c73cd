/// vmette cp: files and trees into a live run and out of it.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <thread>

#include "base/text.h"
#include "base/units.h"
#include "cli/live_command.h"
#include "cli/live_runs.h"
#include "cli/verbs.h"
#include "guest/copy/pack.h"
#include "guest/copy/unpack.h"
#include "scheduler/run.h"

namespace vmette::cli {
namespace {

using scheduler::live::Kind;
using scheduler::live::Request;

/// As much as a pipe may hold here without privilege.
constexpr int kPipeSize = 1 << 20;

/// Exit code; also when the stream broke off.
constexpr int kNothingCopied = 2;

/// Of the guest's end: its stdin was empty, and it has said nothing.
constexpr int kToolHadNothing = 3;

/// One side of a copy: a path here, "-", or a path in a run.
struct Side {
    std::string run;  ///< empty: here
    std::string path;
    bool is_stream() const { return run.empty() && path == "-"; }
};

/// A colon behind a word without a slash names a run; `./a:b` does not.
Side parse_side(const std::string& text) {
    auto colon = text.find(':');
    if (colon == 0 || colon > text.find('/')) return {"", text};
    if (colon == text.npos) return {"", text};
    return {text.substr(0, colon), text.substr(colon + 1)};
}

/// Of the tree that a stream from this path holds; as pack() names it.
std::string tree_name(const std::string& path) {
    auto end = path.find_last_not_of('/');
    if (end == path.npos) return ".";
    std::string name = path.substr(0, end + 1);
    if (auto slash = name.rfind('/'); slash != name.npos) name.erase(0, slash + 1);
    return name == ".." ? "." : name;
}

/// Problems of the end that is here.
class Complaints final : public copying::Listener {
public:
    explicit Complaints(Console& console) : console_(console) {}
    void on_problem(const std::string& problem) override { console_.error(harmless_line(problem)); }

private:
    Console& console_;
};

class CpCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        auto& from = arguments.operand("SOURCE", source_, "ID:PATH, a path here, or - for a tar stream on stdin");
        from.required = true;
        from.completes = Completes::files;
        auto& to = arguments.operand("DEST", destination_, "ID:PATH, a path here, or - for a tar stream on stdout");
        to.required = true;
        to.completes = Completes::files;
        arguments.option("--max", "SIZE", max_,
                         "of what is copied out of a run: no more bytes than this (default 64G)");
        arguments.option("-u,--user", "USER", user_, "whose the files in the run are; default: that of its command");
    }

    Result<int> run(Context& context) override {
        Side from = parse_side(*source_), to = parse_side(*destination_);
        if (from.run.empty() == to.run.empty())
            return fail(ErrorCode::bad_input, "one of the two is in a run, written ID:PATH");
        if ((from.run.empty() ? to : from).path.empty())
            return fail(ErrorCode::bad_input, "a path is missing behind {}:", from.run.empty() ? to.run : from.run);
        std::uint64_t most = 64 * kGiB;
        if (max_) {
            VMETTE_TRY(most, parse_size(*max_));
        }
        return from.run.empty() ? copy_in(context, from, to) : copy_out(context, from, to, most);
    }

private:
    Result<int> copy_out(Context& context, const Side& from, const Side& to, std::uint64_t most) {
        VMETTE_TRY(auto run, find_live_run(context, from.run));
        Request request;
        request.kind = static_cast<std::uint8_t>(Kind::pack);
        request.argv = {from.path};
        CommandStreams streams;
        streams.err = context.console().err_fd();
        streams.forward_signals = false;
        if (to.is_stream()) {
            if (context.console().out_is_terminal())
                return fail(ErrorCode::bad_input, "a tar stream is nothing for a terminal: `vmette cp … - | tar -x`");
            streams.out = context.console().out_fd();
            streams.harmless = true;
            streams.max_out = most;
            VMETTE_TRY(auto end, run_in_guest(context, run.id, request, streams));
            if (end.too_much) context.console().error("more than the bytes that are allowed (--max)");
            return exit_code(end);
        }
        copying::UnpackRules rules;
        if (!copying::open_destination(to.path, tree_name(from.path), rules)) return fail_errno(to.path);
        Fd root(rules.root);
        rules.max_bytes = most;
        VMETTE_TRY(auto pipe, open_pipe(1));
        VMETTE_TRY(auto signals, scheduler::SignalQueue::open());
        streams.out = pipe[1].get();
        Complaints complaints(context.console());
        auto outcome = copying::Outcome::nothing;
        Result<CommandEnd> end = CommandEnd{};
        {
            std::jthread unpacker([&, in = std::move(pipe[0])]() mutable {
                outcome = copying::unpack(in.get(), rules, complaints);
                in.reset();  // a stream that was broken off ends the guest's end too
            });
            end = run_in_guest(context, run.id, request, streams, signals);
            pipe[1].reset();
        }
        if (outcome == copying::Outcome::empty && end && end->exit_code == 0)
            context.console().error(from.run + ": the run sent nothing");
        return verdict(end, outcome);
    }

    Result<int> copy_in(Context& context, const Side& from, const Side& to) {
        VMETTE_TRY(auto run, find_live_run(context, to.run));
        Request request;
        request.kind = static_cast<std::uint8_t>(Kind::unpack);
        request.argv = {to.path, from.is_stream() ? "" : tree_name(from.path)};
        request.user = user_;
        CommandStreams streams;
        streams.out = streams.err = context.console().err_fd();
        streams.forward_signals = false;
        if (from.is_stream()) {
            streams.in = STDIN_FILENO;
            VMETTE_TRY(auto end, run_in_guest(context, run.id, request, streams));
            if (end.exit_code == kToolHadNothing) context.console().error("stdin is empty: no tar archive");
            return exit_code(end);
        }
        if (::access(from.path.c_str(), F_OK) != 0) {
            context.console().error(errno_error(errno, from.path).text());
            return kNothingCopied;
        }
        VMETTE_TRY(auto pipe, open_pipe(0));
        VMETTE_TRY(auto signals, scheduler::SignalQueue::open());
        streams.in = pipe[0].get();
        Complaints complaints(context.console());
        auto outcome = copying::Outcome::nothing;
        Result<CommandEnd> end = CommandEnd{};
        {
            std::jthread packer([&, out = std::move(pipe[1])]() mutable {
                outcome = copying::pack(from.path, out.get(), complaints);
                out.reset();
            });
            end = run_in_guest(context, run.id, request, streams, signals);
            pipe[0].reset();
        }
        return verdict(end, outcome);
    }

    /// The end that stays with us (`ours`: 0 reads, 1 writes) does not block.
    static Result<std::array<Fd, 2>> open_pipe(std::size_t ours) {
        VMETTE_TRY(auto pipe, make_pipe());
        VMETTE_CHECK_OK(set_non_blocking(pipe[ours].get(), true));
        ::fcntl(pipe[1].get(), F_SETPIPE_SZ, kPipeSize);
        return pipe;
    }

    static int exit_code(const CommandEnd& end) {
        return end.interrupted ? end.exit_code : std::min(end.exit_code, kNothingCopied);
    }

    /// The worse of both ends.
    static Result<int> verdict(const Result<CommandEnd>& end, copying::Outcome outcome) {
        if (!end) return Failure(end.error());
        if (end->interrupted) return end->exit_code;
        int ours = outcome == copying::Outcome::whole ? 0 : outcome == copying::Outcome::partial ? 1 : kNothingCopied;
        return std::max(ours, exit_code(*end));
    }

    std::optional<std::string> source_, destination_, max_, user_;
};

}  // namespace

const Verb kCpVerb{
    .name = "cp",
    .summary = "copy files and trees into a live run and out of it",
    .description =
        "As cp -r does: into DEST when it is a folder, else as DEST. Permissions and times stay; what is put into the "
        "run\n"
        "belongs to the user of its command. A link at the end of SOURCE is followed, those below it stay links. On "
        "this\n"
        "side nothing is written through a link, links that lead out of the tree are refused, and set-uid bits are "
        "dropped.\n"
        "`-` is a tar stream; put into a run it goes below the folder DEST, with the names it has.",
    .example = "vmette cp web:/var/log ./web-logs",
    .exit_codes =
        "0    copied\n"
        "1    some of it was not; stderr names it\n"
        "2    nothing was, the stream broke off, or wrong usage\n"
        "125  there is no such live run, or it ended",
    .failure_code = scheduler::kExitFailure,
    .make = make_command<CpCommand>,
};

}  // namespace vmette::cli
