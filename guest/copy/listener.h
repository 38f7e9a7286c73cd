#pragma once
/// What both ends of a copy have in common.

#include <cstdint>
#include <string>

namespace vmette::copying {

/// Hears what could not be copied, one line each; the rest goes on.
class Listener {
public:
    virtual void on_problem(const std::string& problem) = 0;

protected:
    ~Listener() = default;
};

/// How much of a copy was done.
enum class Outcome {
    whole,
    partial,  ///< the listener has heard what is missing
    nothing,  ///< the listener has heard why, unless a reader left, who knows it himself; of the destination nothing
              ///< has been touched, or the stream broke off
    empty,    ///< of a stream without one byte; the listener has heard nothing: the other end knows why
};

/// Reads up to `size` bytes, fewer only at the end. -1, with errno, when the descriptor refuses.
long read_fully(int fd, char* into, std::size_t size);

}  // namespace vmette::copying
