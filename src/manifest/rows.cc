#include "manifest/rows.h"

#include <algorithm>
#include <set>

namespace vmette::manifest {

std::optional<RecordFormat> Rows::format_of(std::string_view path) {
    if (path.ends_with(".csv")) return RecordFormat::csv;
    if (path.ends_with(".jsonl") || path.ends_with(".ndjson")) return RecordFormat::json_lines;
    return std::nullopt;
}

RecordPlace place_in(const RecordReader::Record& record, std::size_t offset) {
    std::string_view before = record.text.substr(0, offset);
    std::size_t line_start = before.rfind('\n');
    line_start = line_start == before.npos ? 0 : line_start + 1;
    auto is_start = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; };
    RecordPlace place;
    place.line = record.line + static_cast<std::uint32_t>(std::ranges::count(before, '\n'));
    place.column = 1 + static_cast<std::uint32_t>(std::ranges::count_if(before.substr(line_start), is_start));
    place.shown = record.text.substr(line_start);
    place.shown = place.shown.substr(0, place.shown.find('\n'));
    return place;
}

Result<Rows::Row> Rows::read_header() {
    columns_.clear();
    VMETTE_TRY(auto record, reader_.next());
    if (!record) return fail(ErrorCode::bad_input, "empty: the first line must name the columns");
    Row row{*record, {}, {}};
    auto fields = parse_csv_row(record->text);
    if (!fields) {
        row.problem = fields.error();
        return row;
    }
    std::set<std::string_view> names;
    for (const Field& field : *fields) {
        if (!field.value.empty() && !names.insert(field.value).second && !row.problem)
            row.problem = RowProblem{field.offset, fmt::format("another column is named \"{}\" too", field.value)};
        columns_.push_back(field.value);
    }
    return row;
}

Result<std::optional<Rows::Row>> Rows::next() {
    VMETTE_TRY(auto record, reader_.next());
    if (!record) return std::nullopt;
    Row row{*record, {}, {}};
    bool csv = format_ == RecordFormat::csv;
    auto fields = csv ? parse_csv_row(record->text) : parse_json_row(record->text);
    if (!fields) {
        row.problem = fields.error();
    } else if (csv && fields->size() != columns_.size()) {
        row.problem =
            RowProblem{0, fmt::format("{} fields where the first line names {}", fields->size(), columns_.size())};
    } else {
        row.fields = *std::move(fields);
        for (std::size_t i = 0; csv && i < columns_.size(); ++i) row.fields[i].name = columns_[i];
    }
    return row;
}

Result<> Rows::rewind() { return reader_.rewind(); }

Result<std::uint64_t> Rows::count(std::uint64_t limit) {
    bool header = format_ == RecordFormat::csv;
    VMETTE_TRY(std::uint64_t records, reader_.count(limit + (header ? 1 : 0)));
    return header && records > 0 ? records - 1 : records;
}

}  // namespace vmette::manifest
