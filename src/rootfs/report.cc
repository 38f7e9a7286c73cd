#include "rootfs/report.h"

#include <charconv>
#include <vector>

namespace vmette::rootfs {
namespace {

constexpr std::size_t kMaxErrorText = 4096;

std::string escape(std::string_view text) {
    std::string out;
    for (char c : text) {
        if (c == '\t')
            out += "\\t";
        else if (c == '\n')
            out += "\\n";
        else if (c == '\\')
            out += "\\\\";
        else
            out += c;
    }
    return out;
}

std::string unescape(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\' || i + 1 == text.size()) {
            out += text[i];
            continue;
        }
        char c = text[++i];
        out += c == 't' ? '\t' : c == 'n' ? '\n' : c;
    }
    return out;
}

std::vector<std::string_view> split_tabs(std::string_view text) {
    std::vector<std::string_view> parts;
    while (true) {
        std::size_t tab = text.find('\t');
        parts.push_back(text.substr(0, tab));
        if (tab == text.npos) return parts;
        text.remove_prefix(tab + 1);
    }
}

std::optional<ErrorCode> parse_code(std::string_view name) {
    for (int i = 0; i <= static_cast<int>(ErrorCode::internal); ++i)
        if (auto code = static_cast<ErrorCode>(i); to_string(code) == name) return code;
    return std::nullopt;
}

}  // namespace

std::optional<std::uint64_t> parse_number(std::string_view text) {
    std::uint64_t value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
    return value;
}

std::string encode_fields(const Fields& fields) {
    std::string out;
    for (const auto& [name, value] : fields) {
        if (!out.empty()) out += '\t';
        out += escape(name) + '\t' + escape(value);
    }
    return out;
}

std::optional<Fields> decode_fields(std::string_view text) {
    Fields fields;
    if (text.empty()) return fields;
    auto parts = split_tabs(text);
    if (parts.size() % 2 != 0) return std::nullopt;
    for (std::size_t i = 0; i < parts.size(); i += 2) fields[unescape(parts[i])] = unescape(parts[i + 1]);
    return fields;
}

std::string encode_line(const ReportLine& line) {
    if (const auto* progress = std::get_if<ProgressLine>(&line))
        return fmt::format("P\t{}\t{}\t{}\n", progress->done, progress->total, escape(progress->item));
    if (const auto* notice = std::get_if<NoticeLine>(&line))
        return fmt::format("N\t{}\n", escape(std::string_view(notice->text).substr(0, kMaxErrorText)));
    if (const auto* answer = std::get_if<AnswerLine>(&line))
        return fmt::format("A\t{}\n", encode_fields(answer->fields));
    if (const auto* done = std::get_if<DoneLine>(&line)) return fmt::format("D\t{}\n", encode_fields(done->fields));
    const Error& error = std::get<Error>(line);
    return fmt::format("E\t{}\t{}\n", to_string(error.code), escape(error.text().substr(0, kMaxErrorText)));
}

Result<ReportLine> decode_line(std::string_view line) {
    auto parts = split_tabs(line);
    if (parts[0] == "P" && parts.size() == 4) {
        auto done = parse_number(parts[1]), total = parse_number(parts[2]);
        if (done && total) return ProgressLine{*done, *total, unescape(parts[3])};
    }
    if (parts[0] == "N" && parts.size() == 2) return NoticeLine{unescape(parts[1])};
    if (parts[0] == "E" && parts.size() == 3) {
        if (auto code = parse_code(parts[1])) return Error{*code, unescape(parts[2]), nullptr};
    }
    if (parts[0] == "A" && line.size() >= 2) {
        if (auto fields = decode_fields(line.substr(2))) return AnswerLine{*std::move(fields)};
    }
    if (parts[0] == "D" && line.size() >= 2) {
        if (auto fields = decode_fields(line.substr(2))) return DoneLine{*std::move(fields)};
    }
    return fail(ErrorCode::protocol, "the image worker sent a line that is none");
}

}  // namespace vmette::rootfs
