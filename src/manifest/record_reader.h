#pragma once
/// A file of records, one after the other, with little of it in memory.

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"

namespace vmette::manifest {

/// A record longer than this is refused: no more of a file is ever in memory.
constexpr std::size_t kMaxRecordBytes = 1 << 20;

enum class RecordFormat { json_lines, csv };

/// Splits a file into records: lines, but in CSV a line break within quotes is part of the record. Blank lines are
/// skipped, a byte order mark at the start and carriage returns at the ends are taken away.
class RecordReader {
public:
    struct Record {
        std::uint32_t line = 1;  ///< of its first character, from 1
        std::string_view text;   ///< good until the next call
    };

    /// `file` must be one that can be read again from its start.
    RecordReader(Fd file, RecordFormat format) : file_(std::move(file)), format_(format) {}

    /// The next one; nothing at the end. Errors: io, and bad_input for a record that is too long, after which there is
    /// no going on.
    Result<std::optional<Record>> next();
    /// The line that the next record starts in, or the one that could not be read.
    std::uint32_t line() const { return line_; }
    Result<> rewind();
    /// How many records there are, but no more than `limit` are counted. Rewinds before and after.
    Result<std::uint64_t> count(std::uint64_t limit);

private:
    Result<> fill();
    std::optional<std::size_t> find_end();

    Fd file_;
    RecordFormat format_;
    std::string buffer_;
    std::size_t start_ = 0;    ///< of what is not handed out yet
    std::size_t scanned_ = 0;  ///< to here no end of a record was found
    std::uint32_t line_ = 1;
    bool in_quotes_ = false, at_end_ = false, at_start_ = true;
};

}  // namespace vmette::manifest
