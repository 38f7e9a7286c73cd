/// What an image worker that has been taken over may tell vmette: lines of its report and fields of its lists. What is
/// read comes back from its own spelling.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "rootfs/report.h"

namespace {

using namespace vmette;
using namespace vmette::rootfs;

void require(bool holds) {
    if (!holds) std::abort();
}

void check_fields(const Fields& fields) {
    std::string line = encode_fields(fields);
    require(line.find('\n') == line.npos);
    auto again = decode_fields(line);
    require(again && *again == fields);
}

void check_line(std::string_view text) {
    auto line = decode_line(text);
    if (!line) return require(line.error().code == ErrorCode::protocol);
    if (const auto* answer = std::get_if<AnswerLine>(&*line)) check_fields(answer->fields);
    if (const auto* done = std::get_if<DoneLine>(&*line)) check_fields(done->fields);
    std::string once = encode_line(*line);
    require(once.back() == '\n' && once.find('\n') == once.size() - 1);
    auto again = decode_line(std::string_view(once).substr(0, once.size() - 1));
    require(again && again->index() == line->index());
    if (const auto* error = std::get_if<Error>(&*line)) {
        require(std::get<Error>(*again).code == error->code);
        require(error->message.starts_with(std::get<Error>(*again).message));
    } else {
        require(encode_line(*again) == once);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view text(reinterpret_cast<const char*>(data), size);
    if (auto fields = decode_fields(text)) check_fields(*fields);
    while (!text.empty()) {
        std::size_t end = std::min(text.find('\n'), text.size());
        check_line(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return 0;
}
