/// RFC 4180, strictly: a quote stands at both ends of a field or is doubled within one.

#include "base/text.h"
#include "manifest/rows.h"

namespace vmette::manifest {
namespace {

using Problem = std::unexpected<RowProblem>;

Problem problem(std::size_t offset, std::string message) { return Problem(RowProblem{offset, std::move(message)}); }

/// Reads a field that opens with a quote at `at`; `at` ends past the closing one.
std::expected<Field, RowProblem> quoted(std::string_view record, std::size_t& at) {
    Field field{.offset = at};
    std::size_t open = at++;
    while (true) {
        std::size_t quote = record.find('"', at);
        if (quote == record.npos) return problem(open, "the quote is not closed");
        field.value += record.substr(at, quote - at);
        at = quote + 1;
        if (at == record.size() || record[at] != '"') break;
        field.value += '"';
        ++at;
    }
    if (at < record.size() && record[at] != ',')
        return problem(at,
                       "after a closing quote only a comma or the end of the line may stand (a quote is written \"\")");
    return field;
}

std::expected<Field, RowProblem> unquoted(std::string_view record, std::size_t& at) {
    Field field{.offset = at};
    std::size_t end = std::min(record.find(',', at), record.size());
    field.value = record.substr(at, end - at);
    if (std::size_t quote = field.value.find('"'); quote != std::string::npos)
        return problem(at + quote, "a quote within a field that has none around it (write \"a \"\"b\"\"\")");
    if (std::size_t cr = field.value.find('\r'); cr != std::string::npos)
        return problem(at + cr, "a carriage return in the middle of a line");
    at = end;
    return field;
}

}  // namespace

std::expected<std::vector<Field>, RowProblem> parse_csv_row(std::string_view record) {
    if (std::size_t nul = record.find('\0'); nul != record.npos) return problem(nul, "a NUL byte");
    if (!valid_utf8(record)) return problem(0, "a byte that is not valid UTF-8");
    std::vector<Field> fields;
    for (std::size_t at = 0;; ++at) {
        if (fields.size() == kMaxFields) return problem(at, fmt::format("more than {} fields", kMaxFields));
        auto field = at < record.size() && record[at] == '"' ? quoted(record, at) : unquoted(record, at);
        if (!field) return std::unexpected(field.error());
        fields.push_back(*std::move(field));
        if (at == record.size()) return fields;
    }
}

}  // namespace vmette::manifest
