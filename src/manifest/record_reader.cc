#include "manifest/record_reader.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace vmette::manifest {

Result<> RecordReader::rewind() {
    if (::lseek(file_.get(), 0, SEEK_SET) < 0)
        return fail(ErrorCode::io, "cannot be read twice: {}", std::strerror(errno));
    buffer_ = {};
    start_ = scanned_ = 0;
    line_ = 1;
    in_quotes_ = at_end_ = false;
    at_start_ = true;
    return {};
}

Result<std::uint64_t> RecordReader::count(std::uint64_t limit) {
    VMETTE_CHECK_OK(rewind());
    std::uint64_t records = 0;
    while (records < limit) {
        VMETTE_TRY(auto record, next());
        if (!record) break;
        ++records;
    }
    VMETTE_CHECK_OK(rewind());
    return records;
}

Result<> RecordReader::fill() {
    constexpr std::size_t kChunk = 128 << 10;
    buffer_.erase(0, start_);
    scanned_ -= start_;
    start_ = 0;
    std::size_t before = buffer_.size();
    buffer_.resize(before + kChunk);
    ssize_t got = 0;
    do got = ::read(file_.get(), buffer_.data() + before, kChunk);
    while (got < 0 && errno == EINTR);
    buffer_.resize(before + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got < 0) return fail(ErrorCode::io, "cannot be read: {}", std::strerror(errno));
    at_end_ = got == 0;
    if (at_start_ && std::string_view(buffer_).starts_with("\xEF\xBB\xBF")) start_ = scanned_ = 3;
    at_start_ = false;
    return {};
}

/// Offset of the line break that ends the record.
std::optional<std::size_t> RecordReader::find_end() {
    std::string_view text = buffer_;
    while (scanned_ < text.size()) {
        std::size_t at = text.find_first_of(format_ == RecordFormat::csv ? "\n\"" : "\n", scanned_);
        if (at == text.npos) break;
        scanned_ = at + 1;
        if (text[at] == '"')
            in_quotes_ = !in_quotes_;
        else if (!in_quotes_)
            return at;
    }
    scanned_ = text.size();
    return std::nullopt;
}

Result<std::optional<RecordReader::Record>> RecordReader::next() {
    while (true) {
        auto end = find_end();
        if (!end && !at_end_) {
            if (buffer_.size() - start_ > kMaxRecordBytes)
                return fail(ErrorCode::bad_input, "longer than {} bytes{}", kMaxRecordBytes,
                            in_quotes_ ? ": is a quote not closed?" : "");
            VMETTE_CHECK_OK(fill());
            continue;
        }
        if (!end && start_ == buffer_.size()) return std::nullopt;
        std::size_t stop = end.value_or(buffer_.size());
        Record record{line_, std::string_view(buffer_).substr(start_, stop - start_)};
        if (record.text.size() > kMaxRecordBytes)
            return fail(ErrorCode::bad_input, "longer than {} bytes", kMaxRecordBytes);
        line_ += static_cast<std::uint32_t>(std::count(record.text.begin(), record.text.end(), '\n')) + 1;
        start_ = scanned_ = end ? stop + 1 : stop;
        in_quotes_ = false;
        if (record.text.ends_with('\r')) record.text.remove_suffix(1);
        if (record.text.find_first_not_of(" \t\r") != record.text.npos) return record;
    }
}

}  // namespace vmette::manifest
