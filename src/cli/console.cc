#include "cli/console.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>

#include "base/text.h"

namespace vmette::cli {
namespace {

/// Longer messages are cut: one line that fits no screen helps nobody.
constexpr std::size_t kLongestMessage = 4000;

std::string painted(Style style, std::string_view text) {
    std::string_view code;
    switch (style) {
        case Style::plain:
            return std::string(text);
        case Style::bold:
            code = "1";
            break;
        case Style::dim:
            code = "2";
            break;
        case Style::red:
            code = "31";
            break;
        case Style::green:
            code = "32";
            break;
        case Style::yellow:
            code = "33";
            break;
    }
    return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
}

/// Writes all of it, waiting where the descriptor is non-blocking. 0, or errno.
int write_fully(int fd, std::string_view text) {
    while (!text.empty()) {
        ssize_t written = ::write(fd, text.data(), text.size());
        if (written >= 0) {
            text.remove_prefix(static_cast<std::size_t>(written));
        } else if (errno == EAGAIN) {
            pollfd ready{fd, POLLOUT, 0};
            ::poll(&ready, 1, -1);
        } else if (errno != EINTR) {
            return errno;
        }
    }
    return 0;
}

}  // namespace

Console::Console(int out, int err)
    : out_(out), err_(err), out_terminal_(::isatty(out) == 1), err_terminal_(::isatty(err) == 1) {}

std::size_t Console::width(int fd) {
    winsize size{};
    if (::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
    return 80;
}

std::size_t Console::err_height() const {
    if (!err_terminal_) return 0;
    winsize size{};
    return ::ioctl(err_, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : 24;
}

Result<> Console::write(std::string_view text) {
    if (reader_gone_) return {};
    int problem = write_fully(out_, text);
    if (problem == 0) return {};
    if (problem == EPIPE) {
        reader_gone_ = true;
        return {};
    }
    return Failure(errno_error(problem, "write to standard output"));
}

void Console::write_err(std::string_view text) {
    if (!raw_) {
        write_fully(err_, text);
        return;
    }
    std::string with_returns;
    for (char c : text) {
        if (c == '\n') with_returns += '\r';
        with_returns += c;
    }
    write_fully(err_, with_returns);
}

void Console::error(std::string_view message) {
    write_err(fmt::format("vmette: {} {}\n", paint_err(Style::red, "error:"), harmless_line(message, kLongestMessage)));
}

void Console::warning(std::string_view message) {
    write_err(
        fmt::format("vmette: {} {}\n", paint_err(Style::yellow, "warning:"), harmless_line(message, kLongestMessage)));
}

void Console::note(std::string_view message) {
    write_err(fmt::format("vmette: {}\n", harmless_line(message, kLongestMessage)));
}

bool Console::colored(bool terminal) const {
    if (color_ != ColorMode::automatic) return color_ == ColorMode::always;
    // https://no-color.org: any value that is not empty.
    const char* no_color = ::getenv("NO_COLOR");
    return terminal && (no_color == nullptr || *no_color == '\0');
}

std::string Console::paint(Style style, std::string_view text) const {
    return colored(out_terminal_) ? painted(style, text) : std::string(text);
}

std::string Console::paint_err(Style style, std::string_view text) const {
    return colored(err_terminal_) ? painted(style, text) : std::string(text);
}

}  // namespace vmette::cli
