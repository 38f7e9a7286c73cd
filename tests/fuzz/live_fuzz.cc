/// What a client says on a run's control socket, and what a run's process says to a client. The first byte says how the
/// rest is cut into reads, and its top bit who is speaking.

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "scheduler/live/frames.h"

namespace {

using namespace vmette::scheduler::live;

/// What was understood means the same when it is said again.
template <class T>
void check(const std::string& payload) {
    if (auto message = unpack<T>(payload); message && pack(*message) != payload) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    FrameReader reader((data[0] & 0x80) == 0);
    std::size_t step = std::max<std::size_t>(data[0] & 0x7F, 1);
    std::string_view rest(reinterpret_cast<const char*>(data + 1), size - 1);
    while (!rest.empty()) {
        reader.feed(rest.substr(0, step));
        rest.remove_prefix(std::min(step, rest.size()));
        for (;;) {
            auto frame = reader.next();
            if (!frame) return 0;
            if (!*frame) break;
            if ((*frame)->payload.size() > limit_of((*frame)->type).value_or(0)) std::abort();
            check<Request>((*frame)->payload);
            check<Accepted>((*frame)->payload);
            check<Refused>((*frame)->payload);
            check<Size>((*frame)->payload);
            check<Number>((*frame)->payload);
            check<CommandExit>((*frame)->payload);
        }
    }
    return 0;
}
