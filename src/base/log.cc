#include "base/log.h"

#include <atomic>

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace vmette {
namespace {

std::atomic<LogLevel> current_level{LogLevel::warn};

spdlog::logger& logger() {
    static spdlog::logger instance = [] {
        spdlog::logger made("vmette", std::make_shared<spdlog::sinks::stderr_sink_mt>());
        made.set_level(spdlog::level::trace);
        made.set_pattern("vmette: %H:%M:%S.%e %l: %v");
        return made;
    }();
    return instance;
}

}  // namespace

void set_log_level(LogLevel level) { current_level = level; }

std::optional<LogLevel> parse_log_level(std::string_view text) {
    if (text == "off") return LogLevel::off;
    if (text == "warn") return LogLevel::warn;
    if (text == "info") return LogLevel::info;
    if (text == "debug") return LogLevel::debug;
    return std::nullopt;
}

bool log_enabled(LogLevel level) { return level != LogLevel::off && level <= current_level; }

void log_line(LogLevel level, std::string_view line) {
    auto severity = level == LogLevel::debug  ? spdlog::level::debug
                    : level == LogLevel::info ? spdlog::level::info
                                              : spdlog::level::warn;
    logger().log(severity, line);
}

}  // namespace vmette
