#pragma once
/// The user's config.toml: parsed once, read table by table by those whose settings stand there. What is wrong is
/// collected, each with its place.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <toml++/toml.h>

#include "base/error.h"

namespace vmette {

/// One complaint about one place.
struct SettingsProblem {
    std::uint32_t line = 0, column = 0;  ///< from 1; 0: the file as a whole
    std::string message;
    bool operator==(const SettingsProblem&) const = default;
};

/// Each read_… complains of a value that is none and leaves `out` as it was; `path` ("images.ttl") names it.
class SettingsFile {
public:
    /// A file that is not there is an empty one. What is no TOML is a problem, and the document then empty. Errors:
    /// `io` for a file that cannot be read, `bad_input` for one of more than 1 MiB.
    static Result<SettingsFile> read(const std::filesystem::path& file);

    const std::filesystem::path& path() const { return path_; }
    const toml::table& document() const { return document_; }
    /// One line of the text, without its end; empty when there is no such line.
    std::string_view line(std::uint32_t number) const;

    /// The table of that name; null when there is none, or when it is none, which is said.
    const toml::table* table(std::string_view name);
    void unknown_key(const toml::key& key, std::string_view where, std::span<const std::string_view> names);
    template <typename... Args>
    void add(const toml::source_region& region, fmt::format_string<Args...> format, Args&&... args) {
        add_text(region, fmt::format(format, std::forward<Args>(args)...));
    }
    void must_be(const toml::node& node, std::string_view path, std::string_view expected);

    void read_flag(const toml::node& node, std::string_view path, bool& out);
    /// A whole number above 0.
    void read_count(const toml::node& node, std::string_view path, std::uint64_t& out);
    /// Bytes, spelt as in a manifest. True when it was one.
    bool read_size(const toml::node& node, std::string_view path, std::uint64_t& out);
    /// Spelt as in a manifest, or in days ("30d"); whole seconds.
    void read_age(const toml::node& node, std::string_view path, std::chrono::seconds& out);
    /// `out` becomes the number of the choice.
    void read_choice(const toml::node& node, std::string_view path, std::span<const std::string_view> choices,
                     std::size_t& out);
    /// Taken from the file's folder.
    void read_path(const toml::node& node, std::string_view path, std::filesystem::path& out);

    /// In the order of their places.
    std::vector<SettingsProblem> problems() const;
    /// `bad_input` with a line "FILE:LINE:COLUMN: …" for each problem, at most 20.
    Result<> verdict() const;

private:
    void parse();
    void add_text(const toml::source_region& region, std::string_view message);

    std::filesystem::path path_;
    std::string text_;
    toml::table document_;
    std::vector<SettingsProblem> problems_;
};

/// A value as a message repeats it.
std::string shown_value(const toml::node& node);

}  // namespace vmette
