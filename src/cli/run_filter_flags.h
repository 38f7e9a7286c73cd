#pragma once
/// Which runs are meant: the flags that `history` and its verbs share.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "cli/arguments.h"
#include "cli/context.h"
#include "store/store.h"

namespace vmette::cli {

struct RunFilterFlags {
    /// What selects.
    void define(Arguments& arguments);
    /// --limit and --sort.
    void define_order(Arguments& arguments, std::string limit_help);

    /// Shows on stderr where an expression is wrong before it returns the error. All errors are `bad_input`.
    Result<store::RunFilter> filter(Context& context) const;
    /// Whether a limit was given.
    bool has_limit() const { return limit_.has_value(); }

private:
    Result<> add_order(store::RunFilter& filter) const;

    std::optional<std::string> since_, until_, status_, reason_, name_, batch_, image_, grep_, where_;
    std::optional<std::int64_t> exit_code_, limit_;
    std::vector<std::string> labels_, sort_;
    bool failed_ = false;
};

/// "a,b" and "c" as "a", "b", "c".
std::vector<std::string> split_commas(const std::vector<std::string>& texts);

}  // namespace vmette::cli
