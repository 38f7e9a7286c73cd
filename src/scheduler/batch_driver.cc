#include "scheduler/batch_driver.h"

#include <poll.h>

#include <algorithm>
#include <csignal>

#include "base/digest.h"
#include "base/units.h"
#include "scheduler/needs.h"
#include "scheduler/retry.h"

namespace vmette::scheduler {
namespace {

/// How often the view is redrawn, and with it the loop goes round at least.
constexpr Duration kTick{100};
constexpr Duration kReadCancels{500};
constexpr Duration kReadPressure{1000};
/// Another process holds the shared pool's last place: how soon it is asked again.
constexpr Duration kAskPoolAgain{200};
/// How long a queue that cannot be written is tried again before the batch is given up.
constexpr Duration kWritePatience = std::chrono::seconds(30);

PlanState plan_state(store::JobState state) {
    switch (state) {
        case store::JobState::pending:
        case store::JobState::running:  // no attempt of it lives: recall() has seen to that
            return PlanState::pending;
        case store::JobState::succeeded:
            return PlanState::succeeded;
        case store::JobState::failed:
            return PlanState::failed;
        case store::JobState::skipped:
            return PlanState::skipped;
        case store::JobState::cancelled:
            return PlanState::cancelled;
        case store::JobState::unknown:
            return PlanState::unknown;
    }
    return PlanState::failed;
}

}  // namespace

BatchDriver::BatchDriver(const BatchHost& host, const store::BatchRecord& batch, manifest::BatchRules rules)
    : host_(host),
      batch_(batch),
      rules_(std::move(rules)),
      queue_(host.store),
      self_(own_identity()),
      bound_(pool_room(rules_.pool, host.size)),
      throttle_(bound_.vms, host.size.processors) {}

Result<BatchOutcome> BatchDriver::drive() {
    VMETTE_CHECK_OK(load());
    began_ = host_.clock.monotonic();
    tell(event(BatchEvent::Kind::batch_started));
    warn_of_small_room();
    note_settled();
    loop();
    bool resumable = ending_ == Ending::interrupted || ending_ == Ending::broken;
    if (!resumable) plan_->cancel_pending();
    note_settled();
    flush();
    if (broken_) return Failure(*broken_);
    BatchOutcome outcome{final_status(), counts()};
    outcome.reused = static_cast<std::uint32_t>(std::ranges::count_if(
        jobs_, [](const auto& job) { return job.reused && job.state == store::JobState::succeeded; }));
    VMETTE_CHECK_OK(queue_.release(batch_.id, self_, outcome.status));
    tell(event(BatchEvent::Kind::batch_ended));
    return outcome;
}

Result<> BatchDriver::load() {
    VMETTE_TRY(jobs_, queue_.jobs(batch_.id));
    for (std::uint32_t i = 0; i < jobs_.size(); ++i)
        if (jobs_[i].index != i) return fail(ErrorCode::io, "the queue of batch {} lacks job {}", batch_.id, i);
    build_plan();
    return {};
}

void BatchDriver::build_plan() {
    auto jobs = static_cast<std::uint32_t>(jobs_.size());
    std::uint32_t groups = 1;
    for (const auto& job : jobs_) groups = std::max(groups, job.group + 1);
    plan_.emplace(groups);
    auto wall = host_.clock.now();
    for (const auto& job : jobs_) {
        PlanJob planned{.priority = job.priority, .group = job.group, .state = plan_state(job.state)};
        planned.room = {1, job.vcpus, job.memory_mib + kMachineOverheadMib, job.scratch_mib};
        // The wall clock may have been set meanwhile: no wait is longer than the longest there is.
        if (job.not_before && *job.not_before > wall)
            planned.not_before = now() + std::min<Duration>(*job.not_before - wall, kMaxBackoff).count();
        plan_->add_job(planned);
        if (job.state == store::JobState::failed || job.state == store::JobState::unknown) ++failures_;
    }
    for (const auto& job : jobs_)
        for (const auto& need : parse_needs(job.needs, jobs, groups))
            need.group ? plan_->needs_group(job.index, need.index) : plan_->needs_job(job.index, need.index);
    plan_->seal();
}

/// A pool that stays half empty without a word is a riddle.
void BatchDriver::warn_of_small_room() {
    std::uint64_t largest = 0;
    std::uint32_t open = 0;
    for (const auto& job : jobs_) {
        if (job.state != store::JobState::pending) continue;
        ++open;
        largest = std::max<std::uint64_t>(largest, job.scratch_mib);
    }
    auto wanted = std::min(rules_.pool.vms, open);
    if (bound_.vms < wanted)
        warn(fmt::format("the limit of open files, {}, lets {} of {} machines run at once (`ulimit -n`)",
                         host_.size.descriptors, bound_.vms, wanted));
    auto disk = host_.free_disk_mib ? host_.free_disk_mib() : std::nullopt;
    if (!disk || largest == 0) return;
    auto fitting = std::max<std::uint64_t>(*disk / largest, 1);
    if (fitting < wanted)
        warn(fmt::format(
            "{} of free disk space let {} of {} machines run at once, as the scratch disk of each may grow to "
            "{} (sandbox.scratch)",
            human_size(*disk * kMiB), fitting, wanted, human_size(largest * kMiB)));
}

void BatchDriver::loop() {
    while (true) {
        hear_attempts();
        hear_stop();
        hear_cancels();
        auto time = host_.clock.monotonic();
        if (rules_.deadline.count() > 0 && time - began_ >= rules_.deadline && ending_ == Ending::none) {
            end_early(Ending::deadline, "the batch's deadline is over");
            plan_->cancel_pending();
            stop_running(SIGTERM, true);
        }
        if (finish_until_ && time >= *finish_until_) {
            finish_until_.reset();
            stop_running(SIGTERM, false);
        }
        if (ending_ == Ending::none) admit();
        note_settled();
        flush();
        host_.observer.on_tick();
        bool nothing_runs = running_.empty();
        if (nothing_runs && (plan_->done() || ending_ != Ending::none)) return;
        wait();
    }
}

void BatchDriver::wait() {
    Duration limit = kTick;
    if (auto at = plan_->wakes_at(); at && ending_ == Ending::none)
        limit = std::clamp(Duration(*at - now()), Duration(0), limit);
    pollfd watched[] = {{host_.stop.fd(), POLLIN, 0}, {host_.attempts.fd(), POLLIN, 0}};
    ::poll(watched, std::size(watched), static_cast<int>(limit.count()));
}

void BatchDriver::hear_stop() {
    while (auto signal = host_.stop.take()) {
        if (*signal == SIGWINCH) continue;
        if (++stops_ > 1) {
            stop_running(*signal, false);
            stop_running(*signal, false);
            finish_until_.reset();
            continue;
        }
        end_early(Ending::interrupted, "no new jobs are started; what runs may finish, or is stopped after a while");
        if (*signal == SIGINT)
            finish_until_ = host_.clock.monotonic() + kFinishGrace;
        else
            stop_running(*signal, false);
    }
}

void BatchDriver::hear_cancels() {
    auto time = host_.clock.monotonic();
    if (time - cancels_read_ < kReadCancels) return;
    cancels_read_ = time;
    auto requests = queue_.take_cancel_requests(batch_.id);
    if (!requests) return warn("requests to cancel cannot be read: " + requests.error().text());
    for (const auto& job : *requests) {
        if (job) {
            if (*job < jobs_.size()) cancel_job(*job);
            continue;
        }
        end_early(Ending::cancelled, "the batch was cancelled");
        plan_->cancel_pending();
        stop_running(SIGTERM, true);
    }
}

void BatchDriver::cancel_job(std::uint32_t job) {
    if (plan_->cancel(job)) return;
    auto found = running_.find(job);
    if (found == running_.end()) return;
    found->second.cancelled = true;
    host_.attempts.stop(job, SIGTERM);
}

void BatchDriver::end_early(Ending why, std::string_view text) {
    // What can be resumed stays so, whatever else would end it.
    bool replaces = ending_ == Ending::none || (why == Ending::interrupted && ending_ == Ending::max_failures);
    if (!replaces) return;
    ending_ = why;
    auto stopping = event(BatchEvent::Kind::stopping);
    stopping.text = text;
    tell(std::move(stopping));
}

void BatchDriver::stop_running(int signal, bool for_good) {
    for (auto& [job, running] : running_) {
        running.cancelled = running.cancelled || for_good;
        host_.attempts.stop(job, signal);
    }
}

Room BatchDriver::free_room() const {
    auto running = static_cast<std::uint32_t>(running_.size());
    Room free = kUnbounded;
    free.vms = throttle_.window() - std::min(throttle_.window(), running);
    // Alone, a job may have what there is, or it would wait for ever.
    if (running == 0) return free;
    free.vcpus = bound_.vcpus - std::min(bound_.vcpus, used_.vcpus);
    free.memory_mib = bound_.memory_mib - std::min(bound_.memory_mib, used_.memory_mib);
    if (auto disk = host_.free_disk_mib ? host_.free_disk_mib() : std::nullopt)
        free.scratch_mib = *disk - std::min(*disk, used_.scratch_mib);
    return free;
}

void BatchDriver::admit() {
    auto time = host_.clock.monotonic();
    if (time - pressure_read_ >= kReadPressure) {
        pressure_read_ = time;
        throttle_.sample(host_pressure(), now());
    }
    if (write_failed_ || time - claim_refused_ < kAskPoolAgain) return;
    while (auto job = plan_->next(now(), free_room())) {
        std::int64_t claim = 0;
        if (rules_.pool.shared && !claim_room(*job, claim)) {
            plan_->put_back(*job);
            claim_refused_ = time;
            return;
        }
        begin(*job, claim);
    }
}

bool BatchDriver::claim_room(std::uint32_t job, std::int64_t& claim) {
    const Room& room = plan_->room(job);
    auto bounded = [](auto value, auto unbounded) { return value == unbounded ? 0 : value; };
    auto made = queue_.claim(
        self_, {1, room.vcpus, room.memory_mib},
        {bound_.vms, bounded(bound_.vcpus, kUnbounded.vcpus), bounded(bound_.memory_mib, kUnbounded.memory_mib)},
        is_alive);
    if (!made) {
        warn("the shared pool cannot be asked: " + made.error().text());
        return false;
    }
    claim = made->value_or(0);
    return made->has_value();
}

void BatchDriver::begin(std::uint32_t job, std::int64_t claim) {
    auto& record = jobs_[job];
    auto wall = host_.clock.now();
    record.state = store::JobState::running;
    record.run_id = make_ulid(wall.time_since_epoch().count());
    ++record.attempts;
    if (!record.started_at) record.started_at = wall;
    store::JobChange change{.index = job, .state = record.state, .attempts = record.attempts};
    change.run_id = record.run_id;
    change.at = wall;
    changes_.push_back(std::move(change));
    orders_.push_back({job, record.attempts, record.name, record.run_id, record.cache});
    running_[job] = {record.run_id, host_.clock.monotonic(), claim, false};
    used_ += plan_->room(job);
}

void BatchDriver::flush() {
    if (!changes_.empty()) {
        auto time = host_.clock.monotonic();
        if (auto written = queue_.apply(batch_.id, self_, changes_, durable_); !written) {
            // What has not begun need not be remembered. What ended is in the history too, should we not come back.
            if (!write_failed_) warn("the queue cannot be written: " + written.error().text());
            write_failed_ = write_failed_.value_or(time);
            for (const auto& order : orders_) {
                std::erase_if(changes_, [&](const auto& change) { return change.run_id == order.run_id; });
                if (auto claim = running_[order.job].claim; claim != 0) (void)queue_.release_claim(claim);
                running_.erase(order.job);
                used_ -= plan_->room(order.job);
                jobs_[order.job].state = store::JobState::pending;
                --jobs_[order.job].attempts;
                plan_->put_back(order.job);
            }
            orders_.clear();
            bool lost = written.error().code == ErrorCode::busy;
            if (!lost && time - *write_failed_ < kWritePatience && ending_ == Ending::none) return;
            broken_ = written.error();
            end_early(Ending::broken, "the queue cannot be written");
            stop_running(SIGTERM, false);
            return;
        }
        write_failed_.reset();
        changes_.clear();
        durable_ = false;
    }
    for (auto& order : std::exchange(orders_, {})) {
        auto started = event(BatchEvent::Kind::job_started, order.job);
        started.attempt = order.attempt;
        started.run_id = order.run_id;
        started.state = store::JobState::running;
        tell(std::move(started));
        host_.attempts.start(std::move(order));
    }
}

PlanTime BatchDriver::now() const {
    return std::chrono::duration_cast<Duration>(host_.clock.monotonic().time_since_epoch()).count();
}

}  // namespace vmette::scheduler
