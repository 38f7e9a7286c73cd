#pragma once
/// Why a machine is gone, told from the traces it left.

#include <optional>
#include <string>

#include "vm/session.h"

namespace vmette::vm {

/// What is known once QEMU has ended.
struct Traces {
    int qemu_status = 0;                         ///< as of waitpid
    std::string qemu_said;                       ///< last line of its stderr, harmless
    std::optional<std::string> shutdown_reason;  ///< as of QMP's SHUTDOWN
    bool panic_event = false;                    ///< QMP's GUEST_PANICKED came
    std::string panic_line;                      ///< as of find_panic
    std::string helper_failure;                  ///< a helper that ended badly before or with QEMU; else empty
    std::string cut_frame;                       ///< the channel ended inside a frame; else empty
};

Death explain(const Traces& traces);

}  // namespace vmette::vm
