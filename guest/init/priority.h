#pragma once
/// When PID 1 gets the processor. Its children are ordinary processes, whatever it has for itself.

namespace vmette::guest {

/// PID 1 goes before everything, so that what a program writes is with the host even when the machine dies right after.
///
/// That interrupts the program each time, and every switch of the address space costs 0.1 ms under emulation. While
/// there is much to pass on, and while commands are run beside the run's own, PID 1 waits its turn instead, which comes
/// within a tick (4 ms) whatever the commands do: programs that print lines run six times as fast, `exec` of something
/// short takes a tenth less.
class Priority {
public:
    /// From now on; later calls do nothing before this one.
    void take();
    /// Something was passed on to the host.
    void on_output();
    /// A command begins beside the run's own.
    void on_side_command();
    /// Some time has passed (wire::kBeatMilliseconds).
    void on_beat();

private:
    void set_first(bool first);

    bool taken_ = false;
    bool first_ = false;  ///< goes before everything
    int outputs_ = 0;     ///< since the last beat
};

}  // namespace vmette::guest
