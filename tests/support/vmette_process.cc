#include "support/vmette_process.h"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <ostream>
#include <stdexcept>

#include "support/processes.h"

namespace vmette::testing {
namespace {

constexpr std::size_t kShown = 4000;
constexpr Duration kPollStep{20};

template <typename T>
T expect(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().text());
    return *std::move(result);
}

/// The test's environment with the given variables in place of those of the same names.
std::vector<std::string> merged_environment(const std::vector<std::string>& ours) {
    auto name = [](std::string_view variable) { return variable.substr(0, variable.find('=')); };
    std::vector<std::string> merged;
    for (char** entry = ::environ; *entry != nullptr; ++entry) {
        bool replaced = std::ranges::any_of(ours, [&](const auto& one) { return name(one) == name(*entry); });
        if (!replaced) merged.emplace_back(*entry);
    }
    merged.insert(merged.end(), ours.begin(), ours.end());
    return merged;
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const Finished& finished) {
    auto tail = [](const std::string& text) {
        return text.size() <= kShown ? text : "…" + text.substr(text.size() - kShown);
    };
    return out << fmt::format("code {}, signal {}, in time: {}, {} ms\n--- stdout\n{}\n--- stderr\n{}\n---",
                              finished.code, finished.signal, finished.in_time, finished.took.count(),
                              tail(finished.out), tail(finished.err));
}

VmetteProcess::VmetteProcess(std::vector<std::string> argv, const StartOptions& options) {
    ProcessSpec spec;
    spec.argv = options.wrapper;
    spec.argv.insert(spec.argv.end(), argv.begin(), argv.end());
    spec.environment = merged_environment(options.environment);
    spec.directory = options.directory;
    std::array<Fd, 2> out, err;
    if (options.stdout_fd < 0) out = expect(make_pipe());
    if (options.stderr_fd < 0) err = expect(make_pipe());
    if (options.stdin_fd >= 0) spec.descriptors.emplace_back(options.stdin_fd, 0);
    spec.descriptors.emplace_back(options.stdout_fd >= 0 ? options.stdout_fd : out[1].get(), 1);
    spec.descriptors.emplace_back(options.stderr_fd >= 0 ? options.stderr_fd : err[1].get(), 2);
    began_ = std::chrono::steady_clock::now();
    process_ = expect(spawn(spec));
    // Only our ends do not block: the child gets a pipe as any shell would make it.
    for (auto* pipe : {&out, &err})
        if ((*pipe)[0]) (void)set_non_blocking((*pipe)[0].get(), true);
    out_pipe_ = std::move(out[0]);
    err_pipe_ = std::move(err[0]);
}

void VmetteProcess::signal(int number) { (void)process_.signal(number); }

void VmetteProcess::read_available(Fd& pipe, std::string& into) {
    std::array<char, 65536> buffer;
    while (pipe) {
        ssize_t n = ::read(pipe.get(), buffer.data(), buffer.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return;
        if (n == 0) return pipe.reset();
        into.append(buffer.data(), static_cast<std::size_t>(n));
    }
}

void VmetteProcess::pump_once(Duration limit) {
    std::array<pollfd, 3> polled{pollfd{out_pipe_.get(), POLLIN, 0}, pollfd{err_pipe_.get(), POLLIN, 0},
                                 pollfd{process_.pidfd(), POLLIN, 0}};
    ::poll(polled.data(), polled.size(), static_cast<int>(std::clamp(limit, Duration(0), kPollStep).count()));
    if (auto peak = peak_memory_kib(process_.pid()); peak > 0) peak_rss_kib_ = peak;
    status_ = process_.try_wait();
    if (status_) ended_ = std::chrono::steady_clock::now();
    // After its end: whatever it wrote is in the pipes now, whoever else may still hold them.
    read_available(out_pipe_, out_);
    read_available(err_pipe_, err_);
}

bool VmetteProcess::until(const std::function<bool()>& condition, Duration limit) {
    auto deadline = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
        auto left = std::chrono::duration_cast<Duration>(deadline - std::chrono::steady_clock::now());
        if (status_ || left.count() <= 0) return false;
        pump_once(left);
    }
    return true;
}

bool VmetteProcess::until_err(std::string_view text, Duration limit) {
    return until([&] { return err_.find(text) != err_.npos; }, limit);
}

bool VmetteProcess::until_out(std::string_view text, Duration limit) {
    return until([&] { return out_.find(text) != out_.npos; }, limit);
}

Finished VmetteProcess::finish(Duration limit) {
    Finished result;
    result.in_time = until([&] { return status_.has_value(); }, limit);
    if (!result.in_time) {
        process_.kill();
        ended_ = std::chrono::steady_clock::now();
        read_available(out_pipe_, out_);
        read_available(err_pipe_, err_);
    } else if (WIFEXITED(*status_)) {
        result.code = WEXITSTATUS(*status_);
    } else {
        result.signal = WTERMSIG(*status_);
    }
    result.out = out_;
    result.err = err_;
    result.took = std::chrono::duration_cast<Duration>(ended_ - began_);
    result.peak_rss_kib = peak_rss_kib_;
    return result;
}

bool eventually(const std::function<bool()>& condition, Duration limit) {
    auto deadline = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
        if (std::chrono::steady_clock::now() >= deadline) return false;
        ::poll(nullptr, 0, 5);
    }
    return true;
}

}  // namespace vmette::testing
