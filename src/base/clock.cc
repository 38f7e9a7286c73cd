#include "base/clock.h"

#include <ctime>

#include <cstdio>
#include <string>

namespace vmette {

WallTime SystemClock::now() const {
    return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

MonotonicTime SystemClock::monotonic() const { return std::chrono::steady_clock::now(); }

std::string format_rfc3339(WallTime time) {
    using namespace std::chrono;
    auto day = floor<days>(time);
    year_month_day date(day);
    hh_mm_ss clock(time - day);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
                       clock.minutes().count(), clock.seconds().count(), clock.subseconds().count());
}

Result<WallTime> parse_rfc3339(std::string_view text) {
    using namespace std::chrono;
    std::string copy(text);
    int y = 0, h = 0, m = 0, s = 0, used = 0;
    unsigned mo = 0, d = 0;
    auto bad = [&] { return fail(ErrorCode::bad_input, "\"{}\" is not a date or time (RFC 3339)", text); };
    if (std::sscanf(copy.c_str(), "%4d-%2u-%2u%n", &y, &mo, &d, &used) != 3 || used != 10) return bad();
    year_month_day date{year(y), month(mo), day(d)};
    if (!date.ok()) return bad();
    WallTime out{sys_days(date)};
    std::string_view rest = std::string_view(copy).substr(10);
    if (rest.empty()) return out;
    if (std::sscanf(rest.data() + 1, "%2d:%2d:%2d%n", &h, &m, &s, &used) != 3 || used != 8 || h > 23 || m > 59 ||
        s > 60 || (rest[0] != 'T' && rest[0] != 't' && rest[0] != ' '))
        return bad();
    out += hours(h) + minutes(m) + seconds(s);
    rest.remove_prefix(9);
    if (rest.starts_with('.')) {
        rest.remove_prefix(1);
        int scale = 100, digits = 0;
        for (; !rest.empty() && rest[0] >= '0' && rest[0] <= '9'; rest.remove_prefix(1), scale /= 10, ++digits)
            out += milliseconds((rest[0] - '0') * scale);
        if (digits == 0) return bad();
    }
    if (rest == "Z" || rest == "z") return out;
    if (rest.size() != 6 || (rest[0] != '+' && rest[0] != '-') ||
        std::sscanf(rest.data() + 1, "%2d:%2d%n", &h, &m, &used) != 2 || used != 5 || h > 23 || m > 59)
        return bad();
    auto offset = hours(h) + minutes(m);
    return rest[0] == '+' ? out - offset : out + offset;
}

}  // namespace vmette
