#pragma once
/// Where a command's words go: data to stdout, everything else to stderr.

#include <cstddef>
#include <string>
#include <string_view>

#include "base/error.h"

namespace vmette::cli {

enum class ColorMode { automatic, always, never };
enum class Style { plain, bold, dim, red, green, yellow };

/// Both output streams and how they may be used. The descriptors are borrowed.
class Console {
public:
    Console(int out, int err);

    /// Of `--color`; with `automatic`, NO_COLOR and a stream that is no terminal turn colours off.
    void set_color(ColorMode mode) { color_ = mode; }
    void set_quiet(bool quiet) { quiet_ = quiet; }
    bool quiet() const { return quiet_; }

    int out_fd() const { return out_; }
    int err_fd() const { return err_; }
    bool out_is_terminal() const { return out_terminal_; }
    bool err_is_terminal() const { return err_terminal_; }
    /// Columns of the terminal on stdout; 0: no limit, it is not a terminal.
    std::size_t out_width() const { return out_terminal_ ? width(out_) : 0; }
    std::size_t err_width() const { return err_terminal_ ? width(err_) : 0; }
    /// Rows of the terminal on stderr; 0: it is not a terminal.
    std::size_t err_height() const;

    /// Data. A reader that has gone is no error: what follows is dropped (see reader_gone).
    Result<> write(std::string_view text);
    bool reader_gone() const { return reader_gone_; }

    /// "vmette: error: …" and "vmette: warning: …": one harmless line on stderr.
    void error(std::string_view message);
    void warning(std::string_view message);
    /// "vmette: …".
    void note(std::string_view message);
    /// Text that is laid out already. Best effort, as all of stderr.
    void write_err(std::string_view text);

    /// The text in that style where stdout shows colours, else as it is.
    std::string paint(Style style, std::string_view text) const;
    std::string paint_err(Style style, std::string_view text) const;

    /// While the terminal is in raw mode a new line needs a carriage return.
    void set_raw(bool raw) { raw_ = raw; }

private:
    static std::size_t width(int fd);
    bool colored(bool terminal) const;

    int out_;
    int err_;
    bool out_terminal_;
    bool err_terminal_;
    ColorMode color_ = ColorMode::automatic;
    bool quiet_ = false;
    bool reader_gone_ = false;
    bool raw_ = false;
};

}  // namespace vmette::cli
