#pragma once
/// What of a run one may ask by: the documented fields of its document, and what each is in SQL. The one table from
/// which conditions and orders take the names that become SQL.

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace vmette::store {

/// What a field holds, and with that which values it can be compared with.
enum class FieldKind {
    text,
    number,
    boolean,
    milliseconds,  ///< a duration; a bare number is in milliseconds
    bytes,         ///< a size; a bare number is in bytes
    mebibytes,     ///< a size; a bare number is in MiB
    time,          ///< milliseconds since the Unix epoch
};

struct RunField {
    std::string_view name;   ///< as in the run's document, "usage.cpu_ms"
    std::string_view alias;  ///< a shorter one; may be empty
    FieldKind kind = FieldKind::text;
    std::string_view sql;
    bool largest_first = true;  ///< the order when none is said
};

std::span<const RunField> run_fields();
/// By name or alias; null: there is none.
const RunField* find_run_field(std::string_view name);
/// All names and aliases.
std::vector<std::string_view> run_field_names();

}  // namespace vmette::store
