#pragma once
/// Init's half of handing out artifacts: a process searches and reads, init passes on what comes, within the credit.

#include <cstdint>

#include "../protocol.h"
#include "channel.h"
#include "loop.h"
#include "support.h"

namespace vmette::guest {

class CollectObserver {
public:
    /// Nothing more comes.
    virtual void on_collected() = 0;

protected:
    ~CollectObserver() = default;
};

class Collector {
public:
    Collector(Loop& loop, Channel& channel, CollectObserver& observer)
        : loop_(loop), channel_(channel), observer_(observer) {}
    /// The observer is called once, unless stop() comes before; when nothing is wanted, before this returns.
    void start(const wire::Finish& wanted);
    /// Lets go of what is still to come. The process ends when it next writes; one that hangs is left behind.
    void stop();
    void on_credit(std::uint32_t bytes);
    /// The channel takes bulk data again.
    void on_room() { update(); }

private:
    void on_stream();
    void update();
    void end();

    Loop& loop_;
    Channel& channel_;
    CollectObserver& observer_;
    Fd stream_;
    std::uint64_t credit_ = wire::kInitialCredit;
    bool watched_ = false;
    On<Collector, &Collector::on_stream> watcher_{*this};
};

}  // namespace vmette::guest
