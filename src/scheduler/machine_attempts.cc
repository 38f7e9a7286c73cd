#include "scheduler/machine_attempts.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <utility>

#include "scheduler/run.h"
#include "scheduler/stored_job.h"

namespace vmette::scheduler {
namespace {

std::optional<std::string> process_environment(const std::string& name) {
    const char* value = ::getenv(name.c_str());
    return value != nullptr ? std::optional<std::string>(value) : std::nullopt;
}

}  // namespace

/// Passes on what a run says of itself.
class MachineAttempts::Teller final : public RunObserver {
public:
    Teller(MachineAttempts& attempts, std::uint32_t job) : attempts_(attempts), job_(job) {}

    void on_phase(std::string_view phase) override {
        attempts_.tell({.job = job_, .kind = AttemptEvent::Kind::phase, .text = std::string(phase)});
    }
    void on_image_progress(const rootfs::Progress&) override {}
    void on_image_notice(std::string_view notice) override { on_warning(notice); }
    void on_warning(std::string_view message) override {
        attempts_.tell({.job = job_, .kind = AttemptEvent::Kind::warning, .text = std::string(message)});
    }

private:
    MachineAttempts& attempts_;
    std::uint32_t job_;
};

MachineAttempts::MachineAttempts(const AttemptSetting& setting, Fd wake)
    : setting_(setting),
      cache_({setting.layout, setting.clock, setting.providers, process_environment, setting.batch_id,
              setting.batch_name, setting.offline, setting.reuse}),
      wake_(std::move(wake)) {}

Result<std::unique_ptr<MachineAttempts>> MachineAttempts::make(const AttemptSetting& setting) {
    Fd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!wake) return fail_errno("eventfd");
    return std::unique_ptr<MachineAttempts>(new MachineAttempts(setting, std::move(wake)));
}

MachineAttempts::~MachineAttempts() {
    {
        std::lock_guard lock(mutex_);
        over_ = true;
        orders_.clear();
        for (auto& [job, stop] : stops_) {
            stop->request(SIGTERM);
            stop->request(SIGTERM);
        }
    }
    work_waits_.notify_all();
}

void MachineAttempts::start(AttemptOrder order) {
    auto stop = StopRequests::open();
    if (!stop) return tell({.job = order.job, .kind = AttemptEvent::Kind::ended, .text = stop.error().text()});
    std::lock_guard lock(mutex_);
    stops_[order.job] = std::make_unique<StopRequests>(*std::move(stop));
    orders_.push_back(std::move(order));
    if (idle_ < orders_.size()) threads_.emplace_back([this] { work(); });
    work_waits_.notify_one();
}

void MachineAttempts::stop(std::uint32_t job, int signal) {
    std::lock_guard lock(mutex_);
    if (auto found = stops_.find(job); found != stops_.end()) found->second->request(signal);
}

std::vector<AttemptEvent> MachineAttempts::take() {
    std::uint64_t count = 0;
    [[maybe_unused]] auto drained = ::read(wake_.get(), &count, sizeof count);
    std::lock_guard lock(mutex_);
    return std::exchange(events_, {});
}

void MachineAttempts::tell(AttemptEvent event) {
    std::lock_guard lock(mutex_);
    if (event.kind == AttemptEvent::Kind::ended) stops_.erase(event.job);
    events_.push_back(std::move(event));
    std::uint64_t one = 1;
    [[maybe_unused]] auto written = ::write(wake_.get(), &one, sizeof one);
}

std::optional<AttemptOrder> MachineAttempts::next_order() {
    std::unique_lock lock(mutex_);
    ++idle_;
    work_waits_.wait(lock, [this] { return over_ || !orders_.empty(); });
    --idle_;
    if (over_) return std::nullopt;
    auto order = std::move(orders_.front());
    orders_.pop_front();
    return order;
}

void MachineAttempts::work() {
    std::optional<store::Store> store;
    while (auto order = next_order()) {
        StopSource* stop = nullptr;
        {
            std::lock_guard lock(mutex_);
            stop = stops_.at(order->job).get();
        }
        tell(carry_out(store, *order, *stop));
    }
}

AttemptEvent MachineAttempts::carry_out(std::optional<store::Store>& store, const AttemptOrder& order,
                                        StopSource& stop) {
    AttemptEvent event{.job = order.job, .kind = AttemptEvent::Kind::ended};
    auto done = [&]() -> Result<> {
        if (!store) {
            VMETTE_TRY(store, store::Store::open(setting_.layout.database(), setting_.clock));
        }
        return reuse_or_run(*store, order, stop, event);
    }();
    if (!done) {
        store.reset();
        event.text = done.error().text();
        return event;
    }
    if (setting_.results != nullptr) {
        // The run ended as it did: results that cannot be copied are in its own folder all the same.
        if (auto put = setting_.results->put(order.name, event.record); !put) warn(order.job, put.error().text());
    }
    return event;
}

Result<> MachineAttempts::reuse_or_run(store::Store& store, const AttemptOrder& order, StopSource& stop,
                                       AttemptEvent& event) {
    store::Batches batches(store);
    VMETTE_TRY(auto sandbox, stored_sandbox(batches, setting_.batch_id, order.job));
    ResultCache::Answer answer;
    if (order.cache) {
        answer = cache_.ask(store, sandbox, order, stop);
        if (answer.stored) {
            event.record = *std::move(answer.stored);
            event.reused = true;
            return {};
        }
    }
    RunHost host{setting_.layout, setting_.clock, store, setting_.providers};
    RunOptions options;
    options.offline = setting_.offline;
    options.stop = &stop;
    options.run_id = order.run_id;
    options.batch = setting_.batch_id;
    options.job = order.name;
    options.attempt = order.attempt;
    Teller teller(*this, order.job);
    VMETTE_TRY(auto outcome, run_sandbox(host, sandbox, options, teller));
    event.record = std::move(outcome.record);
    if (!order.cache) return {};
    auto not_kept = cache_.keep(store, sandbox, order, answer, event.record, stop);
    if (!not_kept.empty()) warn(order.job, "its result is not stored for reuse: " + not_kept);
    return {};
}

void MachineAttempts::warn(std::uint32_t job, std::string text) {
    tell({.job = job, .kind = AttemptEvent::Kind::warning, .text = std::move(text)});
}

}  // namespace vmette::scheduler
