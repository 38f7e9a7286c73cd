#include "rootfs/oci/settings.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <span>
#include <tuple>

#include <toml++/toml.h>

#include "base/fd.h"
#include "base/text.h"
#include "base/units.h"
#include "rootfs/oci/reference.h"

namespace vmette::rootfs::oci {
namespace {

constexpr std::size_t kMaxFile = kMiB;
/// toml++ recurses into dotted keys without a bound: no line of ours needs as many dots.
constexpr std::ptrdiff_t kMaxDotsInLine = 2000;
constexpr std::size_t kMaxProblems = 20;
constexpr std::array<std::string_view, 3> kCompressions{"zstd", "lz4", "gzip"};  // in the enum's order

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

std::string shown(const toml::node& node) {
    if (const auto* text = node.as_string()) return in_quotes(text->get());
    if (const auto* number = node.as_integer()) return std::to_string(number->get());
    return std::string(type_name(node));
}

/// Days are for the ages of images alone: nothing in a manifest runs so long. At most ten years, as parse_duration.
Result<Duration> parse_duration_or_days(std::string_view text) {
    constexpr unsigned kMaxDays = 3660;
    if (!text.ends_with('d')) return parse_duration(text);
    text.remove_suffix(1);
    unsigned days = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), days);
    if (error != std::errc{} || end != text.data() + text.size() || days > kMaxDays)
        return fail(ErrorCode::bad_input, "no number of days");
    return std::chrono::days(days);
}

/// Reads a parsed config.toml. What is wrong is collected, each with its place.
class Reader {
public:
    explicit Reader(const std::filesystem::path& file) : file_(file) {}

    Result<ImageSettings> read(const toml::table& document) {
        if (const toml::table* images = table(document, "images", "images")) read_images(*images);
        if (const toml::table* registries = table(document, "registries", "registries"))
            for (auto&& [host, node] : *registries) read_registry(host, node);
        if (problems_.empty()) return std::move(settings_);
        return Failure(Error{ErrorCode::bad_input, text_of_problems(), nullptr});
    }

private:
    struct Problem {
        toml::source_position place;
        std::string message;
    };

    template <typename... Args>
    void add(const toml::source_region& region, fmt::format_string<Args...> format, Args&&... args) {
        problems_.push_back({region.begin, fmt::format(format, std::forward<Args>(args)...)});
    }

    void must_be(const toml::node& node, std::string_view path, std::string_view expected) {
        add(node.source(), "{} must be {}, not {}", path, expected, shown(node));
    }

    const toml::table* table(const toml::table& parent, std::string_view key, std::string_view path) {
        const toml::node* node = parent.get(key);
        if (node == nullptr) return nullptr;
        if (!node->is_table()) must_be(*node, path, "a table");
        return node->as_table();
    }

    void unknown_key(const toml::key& key, std::string_view where, std::span<const std::string_view> names) {
        auto near = nearest_name(key.str(), names);
        add(key.source(), "unknown key {} in {}{}", in_quotes(key.str()), where,
            near ? fmt::format("; did you mean \"{}\"?", *near) : "");
    }

    void read_images(const toml::table& images) {
        constexpr std::array<std::string_view, 7> kKeys{"compression", "ttl",        "max_download", "max_unpacked",
                                                        "max_entries", "cache_size", "cache_age"};
        for (auto&& [key, node] : images) {
            std::string path = fmt::format("images.{}", key.str());
            if (key == "compression")
                read_compression(node, path);
            else if (key == "ttl")
                read_duration(node, path, settings_.ttl);
            else if (key == "max_download")
                read_bound(node, path, settings_.max_download);
            else if (key == "max_unpacked")
                read_bound(node, path, settings_.max_unpacked);
            else if (key == "max_entries")
                read_count(node, path, settings_.max_entries);
            else if (key == "cache_size")
                read_size(node, path, settings_.cache_size);
            else if (key == "cache_age")
                read_duration(node, path, settings_.cache_age);
            else
                unknown_key(key, "images", kKeys);
        }
    }

    void read_compression(const toml::node& node, const std::string& path) {
        const auto* text = node.as_string();
        auto found =
            text == nullptr ? kCompressions.end() : std::find(kCompressions.begin(), kCompressions.end(), text->get());
        if (found != kCompressions.end()) {
            settings_.compression = static_cast<Compression>(found - kCompressions.begin());
            return;
        }
        auto near = text == nullptr ? std::nullopt : nearest_name(text->get(), kCompressions);
        std::string hint = near ? fmt::format("; did you mean \"{}\"?", *near) : "";
        add(node.source(), "{} must be one of \"zstd\", \"lz4\" and \"gzip\", not {}{}", path, shown(node), hint);
    }

    bool read_size(const toml::node& node, const std::string& path, std::uint64_t& out) {
        Result<std::uint64_t> size = fail(ErrorCode::bad_input, "");
        if (const auto* text = node.as_string()) size = parse_size(text->get());
        if (const auto* mib = node.as_integer()) size = size_from_mib(mib->get());
        if (size)
            out = *size;
        else
            must_be(node, path, "a size such as \"64G\", or a whole number of MiB");
        return size.has_value();
    }

    /// A limit of 0 would let nothing through.
    void read_bound(const toml::node& node, const std::string& path, std::uint64_t& out) {
        if (read_size(node, path, out) && out == 0) add(node.source(), "{} must be more than 0", path);
    }

    void read_count(const toml::node& node, const std::string& path, std::uint64_t& out) {
        const auto* number = node.as_integer();
        if (number == nullptr || number->get() <= 0) return must_be(node, path, "a whole number above 0");
        out = static_cast<std::uint64_t>(number->get());
    }

    void read_duration(const toml::node& node, const std::string& path, std::chrono::seconds& out) {
        Result<Duration> duration = fail(ErrorCode::bad_input, "");
        if (const auto* text = node.as_string()) duration = parse_duration_or_days(text->get());
        if (const auto* seconds = node.as_integer()) duration = duration_from_seconds(seconds->get());
        if (!duration || duration->count() % 1000 != 0)
            return must_be(node, path, "a duration such as \"1h\" or \"30d\", or a whole number of seconds");
        out = std::chrono::duration_cast<std::chrono::seconds>(*duration);
    }

    void read_registry(const toml::key& host, const toml::node& node) {
        std::string path = fmt::format("registries.{}", in_quotes(host.str()));
        std::string name(canonical_registry(host.str()));
        if (!is_registry_host(name))
            return add(host.source(), "{}: no registry, which is a host, with or without a port", path);
        const toml::table* entry = node.as_table();
        if (entry == nullptr) return must_be(node, path, "a table");
        auto [made, is_new] = settings_.registries.try_emplace(name);
        if (!is_new) return add(host.source(), "{}: {} stands here under another name already", path, name);
        RegistrySettings& registry = made->second;
        constexpr std::array<std::string_view, 3> kKeys{"mirrors", "plain_http", "ca_certs"};
        for (auto&& [key, value] : *entry) {
            std::string where = fmt::format("{}.{}", path, key.str());
            if (key == "mirrors")
                read_mirrors(value, where, registry.mirrors);
            else if (key == "plain_http")
                read_flag(value, where, registry.plain_http);
            else if (key == "ca_certs")
                read_path(value, where, registry.ca_certs);
            else
                unknown_key(key, path, kKeys);
        }
    }

    void read_mirrors(const toml::node& node, const std::string& path, std::vector<std::string>& out) {
        const toml::array* list = node.as_array();
        if (list == nullptr) return must_be(node, path, "an array of strings");
        for (const toml::node& item : *list) {
            const auto* text = item.as_string();
            if (text == nullptr || !is_registry_host(text->get()))
                add(item.source(), "{} must hold hosts, with or without a port, not {}", path, shown(item));
            else
                out.push_back(text->get());
        }
    }

    void read_flag(const toml::node& node, const std::string& path, bool& out) {
        if (const auto* flag = node.as_boolean())
            out = flag->get();
        else
            must_be(node, path, "true or false");
    }

    void read_path(const toml::node& node, const std::string& path, std::filesystem::path& out) {
        const auto* text = node.as_string();
        if (text == nullptr || text->get().empty() || text->get().find('\0') != std::string::npos)
            return must_be(node, path, "a path");
        out = (file_.parent_path() / text->get()).lexically_normal();
    }

    std::string text_of_problems() {
        std::stable_sort(problems_.begin(), problems_.end(), [](const Problem& a, const Problem& b) {
            return std::tie(a.place.line, a.place.column) < std::tie(b.place.line, b.place.column);
        });
        std::string out;
        for (std::size_t i = 0; i < std::min(problems_.size(), kMaxProblems); ++i) {
            const Problem& problem = problems_[i];
            out += fmt::format("{}{}:{}:{}: {}", i == 0 ? "" : "\n", harmless_line(file_.string()), problem.place.line,
                               problem.place.column, harmless_line(problem.message));
        }
        if (problems_.size() > kMaxProblems)
            out += fmt::format("\n{} more are not shown", problems_.size() - kMaxProblems);
        return out;
    }

    std::filesystem::path file_;
    ImageSettings settings_;
    std::vector<Problem> problems_;
};

bool too_many_dots(std::string_view text) {
    while (!text.empty()) {
        std::string_view line = text.substr(0, text.find('\n'));
        if (std::count(line.begin(), line.end(), '.') > kMaxDotsInLine) return true;
        text.remove_prefix(std::min(line.size() + 1, text.size()));
    }
    return false;
}

Result<toml::table> parse_file(const std::filesystem::path& file, const std::string& text) {
    std::string name = harmless_line(file.string());
    if (too_many_dots(text)) return fail(ErrorCode::bad_input, "{}: nested too deeply", name);
    try {
        return toml::parse(text);
    } catch (const toml::parse_error& e) {
        const auto& place = e.source().begin;
        return fail(ErrorCode::bad_input, "{}:{}:{}: not valid TOML: {}", name, place.line, place.column,
                    harmless_line(e.description()));
    } catch (const std::exception& e) {
        return fail(ErrorCode::bad_input, "{}: cannot be parsed: {}", name, harmless_line(e.what()));
    }
}

}  // namespace

const ImageSettings& default_image_settings() {
    static const ImageSettings kDefaults;
    return kDefaults;
}

RegistrySettings ImageSettings::of(const std::string& registry) const {
    auto found = registries.find(std::string(canonical_registry(registry)));
    return found == registries.end() ? RegistrySettings{} : found->second;
}

Result<ImageSettings> load_image_settings(const std::filesystem::path& config_file) {
    auto text = read_file(config_file, kMaxFile);
    if (!text && text.error().code == ErrorCode::not_found) return ImageSettings{};
    if (!text) return Failure(text.error());
    VMETTE_TRY(toml::table document, parse_file(config_file, *text));
    return Reader(config_file).read(document);
}

}  // namespace vmette::rootfs::oci
