#pragma once
/// When PID 1 gets the processor. Its children are ordinary processes, whatever is chosen here.

namespace vmette::guest {

/// Before everything else, at once: nothing is between the host and what it waits for, and the start of the run's own
/// command is told when it happens.
void take_priority();

/// Within a tick whatever the commands do, but without interrupting a program for each of its writes, nor three times
/// on its way out: every switch of the address space costs 0.1 ms under emulation. A program that prints lines runs six
/// times as fast.
void give_way();

}  // namespace vmette::guest
