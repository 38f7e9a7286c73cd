#include "base/settings_file.h"

#include <algorithm>
#include <tuple>

#include "base/fd.h"
#include "base/text.h"
#include "base/units.h"

namespace vmette {
namespace {

constexpr std::size_t kMaxFile = kMiB;
/// toml++ recurses into dotted keys without a bound: no line of ours needs as many dots.
constexpr std::ptrdiff_t kMaxDotsInLine = 2000;
constexpr std::size_t kMaxProblems = 20;

std::string in_quotes(std::string_view text) { return fmt::format("\"{}\"", harmless_line(text, 100)); }

std::string_view type_name(const toml::node& node) {
    switch (node.type()) {
        case toml::node_type::table:
            return "a table";
        case toml::node_type::array:
            return "an array";
        case toml::node_type::string:
            return "a string";
        case toml::node_type::integer:
            return "an integer";
        case toml::node_type::floating_point:
            return "a float";
        case toml::node_type::boolean:
            return "a boolean";
        default:
            return "a date or time";
    }
}

bool too_many_dots(std::string_view text) {
    while (!text.empty()) {
        std::string_view line = text.substr(0, text.find('\n'));
        if (std::count(line.begin(), line.end(), '.') > kMaxDotsInLine) return true;
        text.remove_prefix(std::min(line.size() + 1, text.size()));
    }
    return false;
}

std::string did_you_mean(std::string_view word, std::span<const std::string_view> names) {
    auto near = nearest_name(word, names);
    return near ? fmt::format("; did you mean \"{}\"?", *near) : "";
}

}  // namespace

std::string shown_value(const toml::node& node) {
    if (const auto* text = node.as_string()) return in_quotes(text->get());
    if (const auto* number = node.as_integer()) return std::to_string(number->get());
    return std::string(type_name(node));
}

Result<SettingsFile> SettingsFile::read(const std::filesystem::path& file) {
    SettingsFile settings;
    settings.path_ = file;
    auto text = read_file(file, kMaxFile);
    if (!text && text.error().code == ErrorCode::not_found) return settings;
    if (!text) return Failure(text.error());
    settings.text_ = *std::move(text);
    settings.parse();
    return settings;
}

void SettingsFile::parse() {
    if (too_many_dots(text_)) {
        problems_.push_back({0, 0, "nested too deeply"});
        return;
    }
    try {
        document_ = toml::parse(text_);
    } catch (const toml::parse_error& e) {
        add(e.source(), "not valid TOML: {}", e.description());
    } catch (const std::exception& e) {
        problems_.push_back({0, 0, fmt::format("cannot be parsed: {}", harmless_line(e.what()))});
    }
}

std::string_view SettingsFile::line(std::uint32_t number) const {
    std::string_view left = text_;
    for (std::uint32_t i = 1; i < number; ++i) {
        std::size_t end = left.find('\n');
        if (end == left.npos) return {};
        left.remove_prefix(end + 1);
    }
    left = left.substr(0, left.find('\n'));
    if (left.ends_with('\r')) left.remove_suffix(1);
    return left;
}

void SettingsFile::add_text(const toml::source_region& region, std::string_view message) {
    problems_.push_back({region.begin.line, region.begin.column, harmless_line(message)});
}

void SettingsFile::must_be(const toml::node& node, std::string_view path, std::string_view expected) {
    add(node.source(), "{} must be {}, not {}", path, expected, shown_value(node));
}

const toml::table* SettingsFile::table(std::string_view name) {
    const toml::node* node = document_.get(name);
    if (node == nullptr) return nullptr;
    if (!node->is_table()) must_be(*node, name, "a table");
    return node->as_table();
}

void SettingsFile::unknown_key(const toml::key& key, std::string_view where, std::span<const std::string_view> names) {
    add(key.source(), "unknown key {} in {}{}", in_quotes(key.str()), where, did_you_mean(key.str(), names));
}

void SettingsFile::read_flag(const toml::node& node, std::string_view path, bool& out) {
    if (const auto* flag = node.as_boolean())
        out = flag->get();
    else
        must_be(node, path, "true or false");
}

void SettingsFile::read_count(const toml::node& node, std::string_view path, std::uint64_t& out) {
    const auto* number = node.as_integer();
    if (number == nullptr || number->get() <= 0) return must_be(node, path, "a whole number above 0");
    out = static_cast<std::uint64_t>(number->get());
}

bool SettingsFile::read_size(const toml::node& node, std::string_view path, std::uint64_t& out) {
    Result<std::uint64_t> size = fail(ErrorCode::bad_input, "");
    if (const auto* text = node.as_string()) size = parse_size(text->get());
    if (const auto* mib = node.as_integer()) size = size_from_mib(mib->get());
    if (size)
        out = *size;
    else
        must_be(node, path, "a size such as \"64G\", or a whole number of MiB");
    return size.has_value();
}

void SettingsFile::read_age(const toml::node& node, std::string_view path, std::chrono::seconds& out) {
    Result<Duration> duration = fail(ErrorCode::bad_input, "");
    if (const auto* text = node.as_string()) duration = parse_age(text->get());
    if (const auto* seconds = node.as_integer()) duration = duration_from_seconds(seconds->get());
    if (!duration || duration->count() % 1000 != 0)
        return must_be(node, path, "a duration such as \"1h\" or \"30d\", or a whole number of seconds");
    out = std::chrono::duration_cast<std::chrono::seconds>(*duration);
}

void SettingsFile::read_choice(const toml::node& node, std::string_view path, std::span<const std::string_view> choices,
                               std::size_t& out) {
    const auto* text = node.as_string();
    auto found = text == nullptr ? choices.end() : std::find(choices.begin(), choices.end(), text->get());
    if (found != choices.end()) {
        out = static_cast<std::size_t>(found - choices.begin());
        return;
    }
    std::string names;
    for (std::size_t i = 0; i < choices.size(); ++i)
        names += fmt::format("{}\"{}\"", i == 0 ? "" : i + 1 == choices.size() ? " and " : ", ", choices[i]);
    add(node.source(), "{} must be one of {}, not {}{}", path, names, shown_value(node),
        text == nullptr ? "" : did_you_mean(text->get(), choices));
}

void SettingsFile::read_path(const toml::node& node, std::string_view path, std::filesystem::path& out) {
    const auto* text = node.as_string();
    if (text == nullptr || text->get().empty() || text->get().find('\0') != std::string::npos)
        return must_be(node, path, "a path");
    out = (path_.parent_path() / text->get()).lexically_normal();
}

std::vector<SettingsProblem> SettingsFile::problems() const {
    auto sorted = problems_;
    std::stable_sort(sorted.begin(), sorted.end(), [](const SettingsProblem& a, const SettingsProblem& b) {
        return std::tie(a.line, a.column) < std::tie(b.line, b.column);
    });
    return sorted;
}

Result<> SettingsFile::verdict() const {
    auto sorted = problems();
    if (sorted.empty()) return {};
    std::string out;
    for (std::size_t i = 0; i < std::min(sorted.size(), kMaxProblems); ++i) {
        const SettingsProblem& problem = sorted[i];
        std::string place = problem.line == 0 ? "" : fmt::format(":{}:{}", problem.line, problem.column);
        out += fmt::format("{}{}{}: {}", i == 0 ? "" : "\n", harmless_line(path_.string()), place, problem.message);
    }
    if (sorted.size() > kMaxProblems) out += fmt::format("\n{} more are not shown", sorted.size() - kMaxProblems);
    return Failure(Error{ErrorCode::bad_input, std::move(out), nullptr});
}

}  // namespace vmette
