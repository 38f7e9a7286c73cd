#pragma once
/// The end of a session: what the host must not lose is written, by a process that may hang without taking init along.

#include <string>
#include <vector>

#include "loop.h"
#include "shares.h"
#include "support.h"

namespace vmette::guest {

class SyncObserver {
public:
    /// All is written but what these warnings name.
    virtual void on_synced(std::vector<std::string> warnings) = 0;

protected:
    ~SyncObserver() = default;
};

class Syncer {
public:
    Syncer(Loop& loop, SyncObserver& observer) : loop_(loop), observer_(observer) {}
    /// Syncs each of these mounts in a child; the observer is called once. With none, before it returns.
    void start(const std::vector<WrittenThrough>& written);

private:
    void on_report();
    void end();

    Loop& loop_;
    SyncObserver& observer_;
    Fd report_;
    std::string received_;
    On<Syncer, &Syncer::on_report> watcher_{*this};
};

}  // namespace vmette::guest
