#pragma once
/// A job's [job.matrix]: a job for every combination of its variables' values.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "manifest/templates.h"

namespace vmette::manifest {

struct Matrix {
    struct Variable {
        VariableId id = 0;
        Place place;
        std::vector<std::string> values;
    };
    /// Leaves out every combination that has all of these (variable, value), by their indices.
    using Exclude = std::vector<std::pair<std::size_t, std::size_t>>;

    std::vector<Variable> variables;
    std::vector<Exclude> excludes;

    /// How many combinations there are before any is left out; at most 2^64-1.
    std::uint64_t combinations() const;
    /// `chosen` has the index of a value for each variable.
    bool excluded(const std::vector<std::size_t>& chosen) const;
    /// The next combination, the last variable first; false after the last.
    bool advance(std::vector<std::size_t>& chosen) const;
};

/// Reads the table; its strings are expanded. Reports what is wrong with it.
Matrix read_matrix(Value& table, TemplateContext context);

}  // namespace vmette::manifest
