#include "priority.h"

#include <errno.h>
#include <sched.h>
#include <sys/resource.h>

#include "console.h"
#include "support.h"

namespace vmette::guest {

namespace {

/// In one beat: what costs less than 5 % of it.
constexpr int kManyOutputs = 64;

}  // namespace

void Priority::take() {
    constexpr int kHighest = -20;
    if (setpriority(PRIO_PROCESS, 0, kHighest) != 0) say("no priority: ", describe_errno(errno));
    taken_ = true;
    set_first(true);
}

void Priority::on_output() {
    if (++outputs_ == kManyOutputs) set_first(false);
}

void Priority::on_side_command() {
    outputs_ = kManyOutputs;
    set_first(false);
}

void Priority::on_beat() {
    if (outputs_ < kManyOutputs) set_first(true);
    outputs_ = 0;
}

void Priority::set_first(bool first) {
    if (!taken_ || first == first_) return;
    first_ = first;
    sched_param wanted{};
    wanted.sched_priority = first ? 1 : 0;
    if (sched_setscheduler(0, (first ? SCHED_FIFO : SCHED_BATCH) | SCHED_RESET_ON_FORK, &wanted) != 0)
        say("no priority: ", describe_errno(errno));
}

}  // namespace vmette::guest
