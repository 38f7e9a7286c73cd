#include "rootfs/worker_client.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>

#include "base/log.h"
#include "base/text.h"

namespace vmette::rootfs {
namespace {

constexpr const char* kWorkerName = "vmette-image-worker";

/// Beside vmette in a build tree, in libexec/vmette when installed, or where VMETTE_LIBEXEC_DIR says.
Result<std::filesystem::path> find_worker() {
    std::vector<std::filesystem::path> folders;
    if (const char* named = ::getenv("VMETTE_LIBEXEC_DIR"); named != nullptr && *named != 0)
        folders.emplace_back(named);
    std::error_code error;
    auto self = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
    folders.push_back(self);
    folders.push_back(self / "../libexec/vmette");
    std::string searched;
    for (const auto& folder : folders) {
        auto candidate = (folder / kWorkerName).lexically_normal();
        if (::access(candidate.c_str(), X_OK) == 0) return candidate;
        searched += (searched.empty() ? "" : ", ") + folder.lexically_normal().string();
    }
    return fail(ErrorCode::not_found, "the helper program {} is not installed (searched: {})", kWorkerName, searched);
}

}  // namespace

Result<Worker> Worker::start(std::vector<std::string> arguments, int input, std::vector<std::pair<int, int>> files) {
    VMETTE_TRY(auto path, find_worker());
    VMETTE_TRY(auto report, make_pipe());
    VMETTE_CHECK_OK(set_non_blocking(report[0].get(), true));
    ProcessSpec spec;
    spec.argv = std::move(arguments);
    spec.argv.insert(spec.argv.begin(), path.string());
    spec.descriptors = std::move(files);
    spec.descriptors.emplace_back(input, kWorkerInput);
    spec.descriptors.emplace_back(report[1].get(), kWorkerReport);
    // What a library might print is of no use to a user, but may be to who looks for a fault.
    if (log_enabled(LogLevel::debug)) spec.descriptors.emplace_back(STDERR_FILENO, STDERR_FILENO);
    Worker worker;
    VMETTE_TRY(worker.process_, spawn(spec));
    worker.report_ = std::move(report[0]);
    return worker;
}

Result<> Worker::take_line(std::string_view line) {
    VMETTE_TRY(ReportLine decoded, decode_line(line));
    lines_.push_back(std::move(decoded));
    return {};
}

/// Takes what is there without waiting; closes the report at its end.
Result<> Worker::read_report() {
    std::array<char, 4096> buffer;
    while (report_) {
        ssize_t n = ::read(report_.get(), buffer.data(), buffer.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return {};
        if (n <= 0) {
            report_.reset();
            return {};
        }
        pending_.append(buffer.data(), static_cast<std::size_t>(n));
        for (std::size_t end = 0; (end = pending_.find('\n')) != pending_.npos; pending_.erase(0, end + 1))
            VMETTE_CHECK_OK(take_line(std::string_view(pending_).substr(0, end)));
        if (pending_.size() > kMaxReportLine)
            return fail(ErrorCode::protocol, "the image worker sent a line without end");
        // One look is enough: a worker that reports without pause must not keep us from feeding it.
        return {};
    }
    return {};
}

/// A worker that says it is done and then fails has not done it well (a sanitizer's finding, for one).
Result<> Worker::wait_for_end() {
    constexpr std::chrono::seconds kPatience{10};
    auto status = process_.wait_for(kPatience);
    if (!status) return fail(ErrorCode::io, "the image worker said that it is done, but does not end");
    if (*status != 0) return fail(ErrorCode::io, "the image worker {}", describe_status(*status));
    return {};
}

/// Hands out the lines that have come, up to one that ends a run.
Result<std::optional<Fields>> Worker::take_word(const OnProgress& progress) {
    while (!lines_.empty()) {
        ReportLine line = std::move(lines_.front());
        lines_.pop_front();
        if (const auto* at = std::get_if<ProgressLine>(&line); at != nullptr && progress) progress(*at);
        if (const auto* notice = std::get_if<NoticeLine>(&line); notice != nullptr && notice_)
            notice_(harmless_line(notice->text, 500));
        if (auto* answer = std::get_if<AnswerLine>(&line)) return std::move(answer->fields);
        if (auto* error = std::get_if<Error>(&line)) {
            // It ends now by itself; what it held is free when the caller looks.
            [[maybe_unused]] auto ended = wait_for_end();
            return fail(error->code, "{}", harmless_line(error->message, 2000));
        }
        if (auto* done = std::get_if<DoneLine>(&line)) {
            VMETTE_CHECK_OK(wait_for_end());
            return std::move(done->fields);
        }
    }
    return std::nullopt;
}

Result<std::optional<Fields>> Worker::turn(const std::function<Result<int>()>& step, const OnProgress& progress) {
    VMETTE_TRY(auto early, take_word(progress));
    if (early) return early;
    if (report_) VMETTE_CHECK_OK(step());
    VMETTE_CHECK_OK(read_report());
    VMETTE_TRY(auto word, take_word(progress));
    if (word || report_) return word;
    if (auto status = process_.try_wait()) return fail(ErrorCode::io, "the image worker {}", describe_status(*status));
    return std::nullopt;
}

Result<Fields> Worker::run(const std::function<Result<int>()>& step, const OnProgress& progress,
                           const Cancelled& cancelled) {
    constexpr int kCancelPoll = 50;
    // A line that came with the last answer.
    VMETTE_TRY(auto early, take_word(progress));
    if (early) return *std::move(early);
    while (true) {
        if (cancelled && cancelled()) return fail(ErrorCode::cancelled, "cancelled");
        int wants = -1;
        if (report_) {
            VMETTE_TRY(wants, step());
        }
        pollfd fds[3] = {{report_.get(), POLLIN, 0}, {wants, POLLOUT, 0}, {process_.pidfd(), POLLIN, 0}};
        int n = ::poll(fds, 3, kCancelPoll);
        if (n < 0 && errno != EINTR) return fail_errno("poll");
        if (n <= 0) continue;
        VMETTE_CHECK_OK(read_report());
        VMETTE_TRY(auto word, take_word(progress));
        if (word) return *std::move(word);
        if (!report_ && fds[2].revents != 0)
            return fail(ErrorCode::io, "the image worker {}", describe_status(process_.try_wait().value_or(0)));
    }
}

}  // namespace vmette::rootfs
