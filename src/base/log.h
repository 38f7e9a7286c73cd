#pragma once
/// Diagnostics for the person who looks into vmette (-v, -vv, VMETTE_LOG), on stderr. Not for results and not for
/// errors that end a command. Text from a guest must pass through harmless_line() before it is logged.

#include <optional>
#include <string_view>

#include <fmt/format.h>

namespace vmette {

enum class LogLevel { off, warn, info, debug };

/// Sets what is shown; default `warn`. Thread-safe.
void set_log_level(LogLevel level);
/// Reads "off", "warn", "info" or "debug".
std::optional<LogLevel> parse_log_level(std::string_view text);
bool log_enabled(LogLevel level);
/// One line, without a trailing newline. Thread-safe.
void log_line(LogLevel level, std::string_view line);

template <typename... Args>
void log(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
    if (log_enabled(level)) log_line(level, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace vmette
