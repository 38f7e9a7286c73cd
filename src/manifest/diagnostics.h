#pragma once
/// Collects what is wrong with a manifest, each with the place it was said at.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "manifest/load.h"

namespace vmette::manifest {

/// Where a value stands: an index into the origins, and a line and column from 1 (0: the origin as a whole).
struct Place {
    std::uint32_t origin = 0;
    std::uint32_t line = 0;
    std::uint32_t column = 0;
    bool operator==(const Place&) const = default;
};

/// A file or a --set flag that values came from, in the order of precedence.
struct Origin {
    std::string name;              ///< as the user knows it
    std::filesystem::path folder;  ///< absolute
    std::string_view text;         ///< of a file; empty for a flag
    bool defaults = false;         ///< the user's config.toml
    bool flag = false;             ///< --set
};

/// Complaints past this many are counted, not kept.
constexpr std::size_t kMaxDiagnostics = 100;

/// One line of a file, fit for a terminal, and how many cells of it stand left of `column`.
struct Excerpt {
    std::string line;
    std::uint32_t caret = 0;
};

/// The list that grows while a manifest is read. The origins are borrowed.
class Report {
public:
    struct Problem {
        Place place;
        std::string message;
        std::optional<Excerpt> shown;  ///< of a place in a file whose text its origin does not hold
    };

    explicit Report(const std::vector<Origin>& origins) : origins_(origins) {}

    template <typename... Args>
    void add(Place place, fmt::format_string<Args...> format, Args&&... args) {
        add_text(place, fmt::format(format, std::forward<Args>(args)...));
    }
    /// What was said already of the same place in the same words is not said again.
    void add_text(Place place, std::string_view message) { add_problem({place, std::string(message), {}}); }
    /// The same with the line that the place is in.
    void add_shown(Place place, std::string_view message, std::string_view line);
    /// What somebody else said of an origin.
    void add_known(std::uint32_t origin, const Diagnostic& known);
    bool empty() const { return problems_.empty(); }
    const std::vector<Problem>& problems() const { return problems_; }
    /// True when what is said now will only be counted: no need to find good words for it.
    bool full() const { return problems_.size() >= kMaxDiagnostics; }
    /// How often something was said.
    std::size_t count() const { return problems_.size() + dropped_; }
    /// Everything said so far, sorted by place.
    std::vector<Diagnostic> diagnostics() const;

private:
    void add_problem(Problem problem);

    const std::vector<Origin>& origins_;
    std::vector<Problem> problems_;
    std::size_t dropped_ = 0;
};

/// Tabs become one space, controls, broken bytes and text-direction marks U+FFFD; a long line is cut around `column`.
Excerpt excerpt(std::string_view line, std::uint32_t column);

}  // namespace vmette::manifest
