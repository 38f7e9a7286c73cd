/// The program `vmette`.

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <exception>
#include <string>
#include <vector>

#include "base/clock.h"
#include "cli/console.h"
#include "cli/dispatch.h"

namespace {

/// Descriptors 0 to 2 must be taken before anything is opened: a database that becomes number 1 would be printed into.
/// They are opened the wrong way round, so that using them still fails as it does for a closed one.
void occupy_standard_descriptors() {
    for (int fd = 0; fd <= 2; ++fd) {
        if (::fcntl(fd, F_GETFD) >= 0) continue;
        int opened = ::open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
        if (opened != fd) ::_exit(125);
    }
}

}  // namespace

int main(int argc, char** argv) {
    occupy_standard_descriptors();
    // A reader that goes away is an EPIPE to be handled: the signal would end a run without its teardown.
    ::signal(SIGPIPE, SIG_IGN);
    ::signal(SIGXFSZ, SIG_IGN);  // a file at its limit (ulimit -f) is an error of the write, as a full disk is
    try {
        vmette::cli::Console console(STDOUT_FILENO, STDERR_FILENO);
        vmette::SystemClock clock;
        return vmette::cli::run_cli(std::vector<std::string>(argv + 1, argv + argc), console, clock);
    } catch (const std::exception& error) {
        std::string line = std::string("vmette: error: ") + error.what() + "\n";
        [[maybe_unused]] auto written = ::write(STDERR_FILENO, line.data(), line.size());
        return 125;
    }
}
