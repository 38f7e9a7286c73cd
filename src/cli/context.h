#pragma once
/// What every verb may use, opened when it is first asked for: a verb that needs no database pays for none.

#include <optional>
#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "base/layout.h"
#include "cli/console.h"
#include "store/store.h"

namespace vmette::cli {

/// Borrowed references outlive it. Not thread-safe.
class Context {
public:
    Context(Console& console, const Clock& clock) : console_(console), clock_(clock) {}

    Console& console() const { return console_; }
    const Clock& clock() const { return clock_; }
    Result<const Layout*> layout();
    /// The database, made when it is missing.
    Result<store::Store*> store();
    /// The same after a sweep: runs whose process is gone are `lost`, and what they left is removed. A sweep that
    /// fails is logged; it does not keep a command from its work.
    Result<store::Store*> swept_store();
    /// Pointers of store() are void then; the next call opens it again. Before a fork(2) whose child goes on with this.
    void close_store() { store_.reset(); }

private:
    Console& console_;
    const Clock& clock_;
    std::optional<Layout> layout_;
    std::optional<store::Store> store_;
};

/// The value of an environment variable; absent when it is not set.
std::optional<std::string> environment_variable(const std::string& name);

}  // namespace vmette::cli
