#include "scheduler/calls/command_desk.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "base/log.h"

namespace vmette::scheduler::calls {
namespace {

/// From the machine's end, by which the commands' input ends too, to SIGKILL.
constexpr std::chrono::seconds kFarewell{5};

std::vector<std::string> own_environment() {
    std::vector<std::string> out;
    for (char** variable = ::environ; variable != nullptr && *variable != nullptr; ++variable)
        out.emplace_back(*variable);
    return out;
}

}  // namespace

CommandDesk::CommandDesk(asio::io_context& io, std::string command, std::string_view run_id, Warn warn)
    : Desk(io, kFarewell),
      command_(std::move(command)),
      environment_(own_environment()),
      warn_(std::move(warn)),
      rate_timer_(io),
      turns_(kMaxCommands, kCommandsPerSecond, std::chrono::steady_clock::now()) {
    environment_.push_back(fmt::format("VMETTE_RUN_ID={}", run_id));
}

bool CommandDesk::take_turn() {
    if (turns_.take(std::chrono::steady_clock::now())) return true;
    rate_waits_ = true;
    rate_timer_.expires_after(turns_.wait());
    rate_timer_.async_wait([this](asio::error_code stopped) {
        if (stopped) return;
        rate_waits_ = false;
        serve();
    });
    return false;
}

void CommandDesk::serve() {
    while (anybody_waits() && !is_leaving() && !rate_waits_ && running_.size() < kMaxCommands && take_turn()) {
        auto link = next_caller();
        auto begun = begin(link);
        if (begun) continue;
        if (!std::exchange(failure_told_, true)) warn_("--vsock-exec: " + begun.error().text());
        link->guest_gone();
    }
}

Result<> CommandDesk::begin(const std::shared_ptr<Link>& link) {
    VMETTE_TRY(auto input, make_pipe());
    VMETTE_TRY(auto output, make_pipe());
    ProcessSpec spec;
    spec.argv = {"/bin/sh", "-c", command_};
    spec.environment = environment_;
    spec.descriptors = {{input[0].get(), 0}, {output[1].get(), 1}, {STDERR_FILENO, 2}};
    VMETTE_TRY(Process process, spawn(spec));
    VMETTE_TRY(Fd end, duplicate(process.pidfd()));
    auto command = *running_.insert(std::make_shared<Running>(io(), std::move(process), link)).first;
    asio::error_code failed;
    command->end.assign(end.release(), failed);
    await_end(command);
    link->join(std::move(output[0]), std::move(input[1]));
    return {};
}

void CommandDesk::await_end(const std::shared_ptr<Running>& command) {
    command->end.async_wait(asio::posix::stream_descriptor::wait_read,
                            [this, waited = std::weak_ptr(command)](asio::error_code stopped) {
                                auto running = waited.lock();
                                if (stopped || !running) return;
                                // Not on Asio's word alone (is_readable()): a command that is let go of is killed.
                                if (auto status = running->process.try_wait()) return ended(running, *status);
                                await_end(running);
                            });
}

void CommandDesk::ended(const std::shared_ptr<Running>& command, int status) {
    log(LogLevel::info, "the command of --vsock-exec {}", describe_status(status));
    auto link = command->link;
    running_.erase(command);
    link->host_gone();
    if (is_leaving())
        finish_if_done();
    else
        serve();
}

void CommandDesk::give_up() {
    if (running_.empty()) return;
    warn_(fmt::format("--vsock-exec: {} did not end within {} s of the run, and {} killed",
                      running_.size() == 1 ? "a command" : fmt::format("{} commands", running_.size()),
                      kFarewell.count(), running_.size() == 1 ? "was" : "were"));
    for (const auto& command : running_) {
        // The whole group: a pipeline is more than its shell.
        ::kill(-command->process.pid(), SIGKILL);
        command->process.kill();
    }
    running_.clear();
}

}  // namespace vmette::scheduler::calls
