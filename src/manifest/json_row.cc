/// The adapter around nlohmann::json: one object as flat fields, every value with its place.

#include <algorithm>

#include <nlohmann/json.hpp>

#include "manifest/rows.h"

namespace vmette::manifest {
namespace {

using Json = nlohmann::json;

/// Goes over the text and says how far the parser has come.
class Tracked {
public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = char;
    using difference_type = std::ptrdiff_t;
    using pointer = const char*;
    using reference = const char&;

    Tracked(const char* at, const char** reached) : at_(at), reached_(reached) {}
    reference operator*() const { return *at_; }
    Tracked& operator++() {
        *reached_ = ++at_;
        return *this;
    }
    Tracked operator++(int) {
        Tracked before = *this;
        ++*this;
        return before;
    }
    bool operator==(const Tracked& other) const { return at_ == other.at_; }

private:
    const char* at_;
    const char** reached_;
};

/// "syntax error while parsing value - invalid literal; last read: …" without what a user knows or need not.
std::string plain_message(std::string_view text) {
    if (std::size_t column = text.find("column "); column != text.npos)
        if (std::size_t colon = text.find(": ", column); colon != text.npos) text.remove_prefix(colon + 2);
    constexpr std::string_view kOpening = "syntax error while parsing ";
    if (text.starts_with(kOpening)) text.remove_prefix(kOpening.size());
    text = text.substr(0, text.find("; last read"));
    return fmt::format("not valid JSON: {}", text);
}

/// Collects the fields of the outermost object; false stops the parser.
class Collector {
public:
    Collector(std::string_view text, const char*& reached) : text_(text), reached_(reached) {}

    std::vector<Field> fields;
    std::optional<RowProblem> problem;

    bool null() { return scalar("", true); }
    bool boolean(bool value) { return scalar(value ? "true" : "false"); }
    bool number_integer(Json::number_integer_t value) { return scalar(std::to_string(value)); }
    bool number_unsigned(Json::number_unsigned_t value) { return scalar(std::to_string(value)); }
    bool number_float(Json::number_float_t, const Json::string_t& spelling) { return scalar(spelling); }
    bool string(Json::string_t& value) {
        if (value.find('\0') == value.npos) return scalar(std::move(value));
        problem = RowProblem{value_start(), "a NUL byte in a string"};
        return false;
    }
    bool binary(Json::binary_t&) { return false; }
    bool key(Json::string_t& name) {
        if (depth_ > 1) return true;
        key_end_ = offset();
        if (std::ranges::any_of(fields, [&](const Field& field) { return field.name == name; })) {
            problem = RowProblem{key_end_ - 1, fmt::format("the field \"{}\" is there twice", name)};
            return false;
        }
        if (fields.size() == kMaxFields) {
            problem = RowProblem{key_end_ - 1, fmt::format("more than {} fields", kMaxFields)};
            return false;
        }
        fields.push_back({.name = std::move(name), .offset = value_start()});
        return true;
    }
    bool start_object(std::size_t) { return open(true); }
    bool start_array(std::size_t) { return open(false); }
    bool end_object() { return close(); }
    bool end_array() { return close(); }
    bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& error) {
        problem = RowProblem{std::min(position > 0 ? position - 1 : 0, text_.size()), plain_message(error.what())};
        return false;
    }

private:
    std::size_t offset() const { return static_cast<std::size_t>(reached_ - text_.data()); }
    /// Past the colon after the last key. The text up to there has been found good, or the parser will say otherwise.
    std::size_t value_start() const {
        std::size_t at = std::min(text_.find_first_not_of(" \t\r\n:", key_end_), text_.size());
        return at;
    }
    bool scalar(std::string value, bool null = false) {
        if (depth_ == 0) return not_an_object();
        if (depth_ > 1) return true;
        fields.back().value = std::move(value);
        fields.back().null = null;
        return true;
    }
    bool open(bool object) {
        if (depth_ == 0 && !object) return not_an_object();
        ++depth_;
        return true;
    }
    bool close() {
        // What is nested is one value, as it stands there.
        if (--depth_ == 1) fields.back().value = text_.substr(fields.back().offset, offset() - fields.back().offset);
        return true;
    }
    bool not_an_object() {
        problem = RowProblem{0, "a line must be an object: {\"name\": value, ...}"};
        return false;
    }

    std::string_view text_;
    const char*& reached_;
    std::size_t depth_ = 0;
    std::size_t key_end_ = 0;
};

}  // namespace

std::expected<std::vector<Field>, RowProblem> parse_json_row(std::string_view record) {
    const char* reached = record.data();
    Collector collector(record, reached);
    try {
        Json::sax_parse(Tracked(record.data(), &reached), Tracked(record.data() + record.size(), &reached), &collector);
    } catch (const std::exception& error) {
        collector.problem = RowProblem{0, plain_message(error.what())};
    }
    if (collector.problem) return std::unexpected(*std::move(collector.problem));
    return std::move(collector.fields);
}

}  // namespace vmette::manifest
