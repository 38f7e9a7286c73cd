#pragma once
/// The built vmette program as a child of a test: its streams captured, its time limited.

#include <functional>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include "base/process.h"

namespace vmette::testing {

/// How a child ended, and what it said.
struct Finished {
    int code = -1;                   ///< exit code; -1 when a signal killed it, or when it did not end in time
    int signal = 0;                  ///< that killed vmette itself; 0: none
    bool in_time = true;             ///< false: it was still running at the limit, and was killed
    std::string out, err;            ///< empty for a stream that the test gave a descriptor of its own
    Duration took{};                 ///< from its start to its end
    std::uint64_t peak_rss_kib = 0;  ///< VmHWM of vmette itself as last seen
};
std::ostream& operator<<(std::ostream& out, const Finished& finished);

struct StartOptions {
    std::vector<std::string> environment;  ///< "K=V", beside or instead of the test's own
    std::vector<std::string> wrapper;      ///< words before the program: {"unshare", "-m", …}
    std::filesystem::path directory;       ///< working directory; empty: the test's
    int stdin_fd = -1;                     ///< borrowed; -1: /dev/null
    int stdout_fd = -1;                    ///< borrowed; -1: captured
    int stderr_fd = -1;                    ///< borrowed; -1: captured
};

/// One child. Dropping it kills it. Not thread-safe.
class VmetteProcess {
public:
    /// Fails the test (by throwing std::runtime_error) when it cannot be started.
    VmetteProcess(std::vector<std::string> argv, const StartOptions& options);

    pid_t pid() const { return process_.pid(); }
    void signal(int number);
    const std::string& out() const { return out_; }
    const std::string& err() const { return err_; }
    /// Pumps its streams until the condition holds, it has ended, or the limit is over; returns the condition.
    bool until(const std::function<bool()>& condition, Duration limit);
    /// Until its stderr (stdout) holds the text.
    bool until_err(std::string_view text, Duration limit = std::chrono::seconds(30));
    bool until_out(std::string_view text, Duration limit = std::chrono::seconds(30));
    /// Until it has ended; kills it at the limit.
    Finished finish(Duration limit = std::chrono::seconds(60));

private:
    void read_available(Fd& pipe, std::string& into);
    void pump_once(Duration limit);

    Process process_;
    MonotonicTime began_;
    Fd out_pipe_, err_pipe_;
    std::string out_, err_;
    std::optional<int> status_;
    MonotonicTime ended_{};
    std::uint64_t peak_rss_kib_ = 0;
};

/// True as soon as the condition holds, asked again every few milliseconds; false at the limit.
bool eventually(const std::function<bool()>& condition, Duration limit);

}  // namespace vmette::testing
