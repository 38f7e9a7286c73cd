#pragma once
/// What a long-lived helper said on stderr before it died, in bounded memory.

#include <string>

#include "base/error.h"
#include "base/fd.h"

namespace vmette::vm {

/// A pipe for a helper's stderr that nobody needs to drain: once it is full (64 KiB) the helper's further writes fail
/// with EAGAIN instead of blocking it. Move-only.
class LastWords {
public:
    LastWords() = default;
    static Result<LastWords> make();

    /// Goes to the child as descriptor 2; close it here with started() once the child has its copy.
    int write_end() const { return write_.get(); }
    void started() { write_.reset(); }
    /// The last line written so far, harmless, without its newline; earlier lines are dropped. Never blocks.
    std::string take();

private:
    LastWords(Fd read, Fd write) : read_(std::move(read)), write_(std::move(write)) {}
    Fd read_, write_;
};

}  // namespace vmette::vm
