#include "vm/death.h"

#include <sys/wait.h>

#include "base/process.h"

namespace vmette::vm {

Death explain(const Traces& traces) {
    bool clean_exit = WIFEXITED(traces.qemu_status) && WEXITSTATUS(traces.qemu_status) == 0;
    if (clean_exit && (traces.panic_event || !traces.panic_line.empty())) {
        std::string line = traces.panic_line.empty() ? "it left no message" : traces.panic_line;
        return {DeathKind::guest_panicked, "the guest's kernel panicked: " + line};
    }
    if (clean_exit && traces.shutdown_reason == "guest-reset")
        return {DeathKind::guest_reset, "the guest rebooted while its command was not done"};
    if (clean_exit && traces.shutdown_reason == "guest-shutdown")
        return {DeathKind::guest_reset, "the guest powered itself off while its command was not done"};
    if (clean_exit && !traces.cut_frame.empty()) return {DeathKind::protocol, traces.cut_frame};
    bool gave_up = WIFEXITED(traces.qemu_status) && !clean_exit;
    if (gave_up && !traces.helper_failure.empty()) return {DeathKind::helper_died, traces.helper_failure};
    std::string message = "QEMU " + describe_status(traces.qemu_status);
    if (!traces.qemu_said.empty()) message += ": " + traces.qemu_said;
    return {DeathKind::qemu_exited, message};
}

}  // namespace vmette::vm
