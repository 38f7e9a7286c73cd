#pragma once
/// Attempts as real machines: a thread for each that runs at once, because the processes of a run die with the thread
/// that started them.

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/layout.h"
#include "rootfs/provider.h"
#include "scheduler/attempts.h"
#include "scheduler/result_cache.h"
#include "scheduler/results_folder.h"
#include "scheduler/stop.h"

namespace vmette::scheduler {

/// What all attempts of a batch have in common; borrowed references outlive them.
struct AttemptSetting {
    const Layout& layout;
    const Clock& clock;
    const rootfs::Registry& providers;
    std::string batch_id;
    std::string batch_name;
    const ResultsFolder* results = nullptr;  ///< null: none
    bool offline = false;
    bool reuse = true;  ///< jobs that allow it may take the result of an earlier run
};

/// Destruction stops what still runs, at once, and waits for it. The signals that end a batch must be blocked in the
/// thread that makes this.
class MachineAttempts final : public Attempts {
public:
    static Result<std::unique_ptr<MachineAttempts>> make(const AttemptSetting& setting);
    ~MachineAttempts() override;

    void start(AttemptOrder order) override;
    void stop(std::uint32_t job, int signal) override;
    int fd() const override { return wake_.get(); }
    std::vector<AttemptEvent> take() override;

private:
    class Teller;

    MachineAttempts(const AttemptSetting& setting, Fd wake);
    void work();
    /// Next order to carry out; nothing when all is over.
    std::optional<AttemptOrder> next_order();
    /// `store` is the thread's own connection, opened when it is empty.
    AttemptEvent carry_out(std::optional<store::Store>& store, const AttemptOrder& order, StopSource& stop);
    Result<> reuse_or_run(store::Store& store, const AttemptOrder& order, StopSource& stop, AttemptEvent& event);
    void warn(std::uint32_t job, std::string text);
    void tell(AttemptEvent event);

    AttemptSetting setting_;
    ResultCache cache_;
    Fd wake_;  ///< an eventfd

    std::mutex mutex_;  ///< guards what follows
    std::condition_variable work_waits_;
    std::deque<AttemptOrder> orders_;
    std::map<std::uint32_t, std::unique_ptr<StopRequests>> stops_;  ///< of attempts begun and not ended, by job
    std::vector<AttemptEvent> events_;
    std::size_t idle_ = 0;  ///< threads that wait for an order
    bool over_ = false;
    std::vector<std::jthread> threads_;
};

}  // namespace vmette::scheduler
