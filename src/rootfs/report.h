#pragma once
/// What the image worker tells its parent, line by line: the one protocol between them. The worker reads hostile
/// archives, so the parent takes nothing of this on trust but text to be shown.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/error.h"

namespace vmette::rootfs {

/// Descriptors of the worker.
constexpr int kWorkerInput = 0;   ///< convert: the archive; fetch: the request, fields as in encode_fields();
                                  ///< daemon: likewise; pull: a socket with requests, a line each;
                                  ///< merge: each layer after its length in 8 bytes, the lowest byte first
constexpr int kWorkerReport = 1;  ///< lines as below
constexpr int kWorkerOutput = 3;  ///< convert, merge: the image; fetch: the part file; pull: a memfd for documents;
                                  ///< list-archive: the list; copy-archive: the contents; daemon: the answer's body
constexpr int kWorkerState = 4;   ///< fetch: the part file's validator; pull: the folder of layers;
                                  ///< copy-archive: the list

/// Named values; neither names nor values have a form of their own.
using Fields = std::map<std::string, std::string>;

struct ProgressLine {
    std::uint64_t done = 0;
    std::uint64_t total = 0;
    std::string item;  ///< pull: which layer, its number in the request; else empty
};
/// pull: the answer to one request; the worker waits for the next.
struct AnswerLine {
    Fields fields;
};
/// The worker's last word, on success.
struct DoneLine {
    Fields fields;
};
/// fetch, pull: for a person who waits, on one line.
struct NoticeLine {
    std::string text;
};
using ReportLine = std::variant<ProgressLine, NoticeLine, AnswerLine, DoneLine, Error>;

/// No line is longer, with its newline. The digests of 512 layers fit.
constexpr std::size_t kMaxReportLine = 65536;

/// Each with its newline.
std::string encode_line(const ReportLine& line);
/// `protocol` when it is none.
Result<ReportLine> decode_line(std::string_view line);

std::string encode_fields(const Fields& fields);
std::optional<Fields> decode_fields(std::string_view text);

/// A decimal number of 64 bits, all of the text.
std::optional<std::uint64_t> parse_number(std::string_view text);

}  // namespace vmette::rootfs
