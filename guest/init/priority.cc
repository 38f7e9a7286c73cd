#include "priority.h"

#include <errno.h>
#include <sched.h>
#include <sys/resource.h>

#include "console.h"
#include "support.h"

namespace vmette::guest {

namespace {

void schedule(int policy, int priority) {
    sched_param wanted{};
    wanted.sched_priority = priority;
    if (sched_setscheduler(0, policy | SCHED_RESET_ON_FORK, &wanted) != 0) say("no priority: ", describe_errno(errno));
}

}  // namespace

void take_priority() {
    constexpr int kHighest = -20;
    if (setpriority(PRIO_PROCESS, 0, kHighest) != 0) say("no priority: ", describe_errno(errno));
    schedule(SCHED_FIFO, 1);
}

void give_way() { schedule(SCHED_BATCH, 0); }

}  // namespace vmette::guest
