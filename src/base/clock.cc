#include "base/clock.h"

#include <string>

#include "base/text.h"

namespace vmette {
namespace {

/// Takes fixed numbers of digits, and nothing that merely looks like them: no signs, no blanks.
class Scanner {
public:
    explicit Scanner(std::string_view text) : rest_(text) {}
    bool at_end() const { return rest_.empty(); }
    bool failed() const { return failed_; }
    bool take(char c) {
        if (!rest_.starts_with(c)) return false;
        rest_.remove_prefix(1);
        return true;
    }
    int number(int digits) {
        int value = 0;
        for (; digits > 0; --digits) value = value * 10 + digit();
        return value;
    }
    int after(char separator, int digits) {
        if (!take(separator)) failed_ = true;
        return number(digits);
    }
    /// Milliseconds of the digits after a point; finer ones are dropped.
    int fraction() {
        int milliseconds = digit() * 100;
        for (int scale = 10; next_is_digit(); scale /= 10) milliseconds += digit() * scale;
        return milliseconds;
    }

private:
    bool next_is_digit() const { return !rest_.empty() && rest_[0] >= '0' && rest_[0] <= '9'; }
    int digit() {
        if (!next_is_digit()) {
            failed_ = true;
            return 0;
        }
        int value = rest_[0] - '0';
        rest_.remove_prefix(1);
        return value;
    }

    std::string_view rest_;
    bool failed_ = false;
};

}  // namespace

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
    auto bad = [&] {
        return fail(ErrorCode::bad_input, "\"{}\" is not a date or time (RFC 3339)", harmless_line(text, 80));
    };
    Scanner scan(text);
    int y = scan.number(4), mo = scan.after('-', 2), d = scan.after('-', 2);
    year_month_day date{year(y), month(static_cast<unsigned>(mo)), day(static_cast<unsigned>(d))};
    if (scan.failed() || !date.ok()) return bad();
    WallTime out{sys_days(date)};
    if (scan.at_end()) return out;

    if (!scan.take('T') && !scan.take('t') && !scan.take(' ')) return bad();
    int h = scan.number(2), m = scan.after(':', 2), s = scan.after(':', 2);
    // 60 is a leap second; it is taken for the first of the next minute, as the system's clock does.
    if (scan.failed() || h > 23 || m > 59 || s > 60) return bad();
    out += hours(h) + minutes(m) + seconds(s) + milliseconds(scan.take('.') ? scan.fraction() : 0);
    if (scan.take('Z') || scan.take('z')) return scan.failed() || !scan.at_end() ? bad() : Result<WallTime>(out);

    int direction = scan.take('+') ? -1 : scan.take('-') ? 1 : 0;
    int offset_h = scan.number(2), offset_m = scan.after(':', 2);
    if (direction == 0 || scan.failed() || !scan.at_end() || offset_h > 23 || offset_m > 59) return bad();
    return out + direction * (hours(offset_h) + minutes(offset_m));
}

}  // namespace vmette
