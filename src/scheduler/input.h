#pragma once
/// The command's stdin: bytes of a descriptor, passed on as the guest has room for them.

#include <functional>
#include <optional>
#include <string_view>

#include "base/fd.h"
#include "scheduler/fd_watch.h"
#include "vm/session.h"

namespace vmette::scheduler {

/// Reads only while there is credit: a command that does not read its stdin costs nothing but one buffer.
class StdinPump {
public:
    /// `fd` and `session` are borrowed. Starts at once; the end of the input is passed on.
    StdinPump(asio::io_context& io, int fd, vm::Session& session);
    /// The guest has given credit.
    void on_room();
    void stop();

private:
    void pump();
    void read_once();

    int fd_;
    vm::Session& session_;
    std::optional<FdWatch> watch_;
    bool waiting_ = false;
    bool ended_ = false;
};

}  // namespace vmette::scheduler
