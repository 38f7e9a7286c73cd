#pragma once
/// Runs the built program with a home folder of its own.

#include <string>
#include <vector>

#include "base/layout.h"
#include "base/process.h"

namespace vmette::cli {

struct Finished {
    int code = -1;  ///< exit code; 128+N when a signal ended it
    std::string out, err;
};

/// A user who has never run vmette, with a kernel and an initramfs that are only names. Removed at the end.
class VmetteHome {
public:
    VmetteHome();

    /// To its end, within 60 s; `input` is its stdin.
    Finished run(const std::vector<std::string>& words, const std::string& input = {}) const;
    /// A whole shell command; "$V" is the program.
    Finished shell(const std::string& script) const;
    /// The same with stdout and stderr on a terminal of that many columns: what it was sent, both together.
    Finished run_on_terminal(const std::vector<std::string>& words, unsigned short columns = 120) const;

    /// Writes a file below the home folder and returns its path.
    std::string write(const std::string& name, const std::string& text) const;
    std::string path(const std::string& name) const { return (home_.path() / name).string(); }
    void set_environment(const std::string& name, const std::string& value);
    /// Where the program keeps its files.
    Layout layout() const;

private:
    ProcessSpec spec(std::vector<std::string> argv) const;

    TempDir home_;
    std::vector<std::string> environment_;
};

/// The program under test.
std::string vmette_binary();

}  // namespace vmette::cli
