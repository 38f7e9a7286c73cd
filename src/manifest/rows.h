#pragma once
/// The `from` of a job: a JSON Lines or CSV file, a job a row.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "manifest/record_reader.h"

namespace vmette::manifest {

/// A row has no more fields than this.
constexpr std::size_t kMaxFields = 256;

struct Field {
    std::string name;
    std::string value;       ///< no NUL; numbers, arrays and tables of JSON as they are spelled there
    std::size_t offset = 0;  ///< of the value in the record
    bool null = false;       ///< JSON's null: as if the field were not there
};

/// What is wrong with a row, and where in the record.
struct RowProblem {
    std::size_t offset = 0;
    std::string message;
};

/// One object of JSON as fields, in its order.
std::expected<std::vector<Field>, RowProblem> parse_json_row(std::string_view record);

/// One record of RFC 4180. Names are left empty.
std::expected<std::vector<Field>, RowProblem> parse_csv_row(std::string_view record);

/// A place in a record: its line and column in the file, and that line.
struct RecordPlace {
    std::uint32_t line = 1, column = 1;
    std::string_view shown;
};
RecordPlace place_in(const RecordReader::Record& record, std::size_t offset);

/// Reads a file of jobs row by row, more than once.
class Rows {
public:
    struct Row {
        RecordReader::Record record;
        std::vector<Field> fields;
        std::optional<RowProblem> problem;  ///< then there are no fields
    };

    /// The format that a file's name ends in: .jsonl, .ndjson or .csv.
    static std::optional<RecordFormat> format_of(std::string_view path);

    Rows(Fd file, RecordFormat format) : reader_(std::move(file), format), format_(format) {}

    /// The names of the columns, of CSV alone: to be called first, and after rewind(). A problem is one of the row.
    Result<Row> read_header();
    const std::vector<std::string>& columns() const { return columns_; }
    Result<std::optional<Row>> next();
    Result<> rewind();
    /// The rows, but no more than `limit`; what is broken in them is not looked at.
    Result<std::uint64_t> count(std::uint64_t limit);
    std::uint32_t line() const { return reader_.line(); }
    RecordFormat format() const { return format_; }

private:
    RecordReader reader_;
    RecordFormat format_;
    std::vector<std::string> columns_;
};

}  // namespace vmette::manifest
