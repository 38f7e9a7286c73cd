#pragma once
/// An observer that writes everything down, and a loop that runs until something was written.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <asio/io_context.hpp>

#include "base/clock.h"
#include "base/layout.h"
#include "vm/session.h"

namespace vmette::vm::testing {

class FakeLedger final : public ResourceLog {
public:
    std::map<std::int64_t, std::string> live;
    std::map<std::string, ProcessIdentity> seen;

    Result<std::int64_t> process_started(const ProcessIdentity& process, std::string_view what) override {
        live[++last_] = what;
        seen[std::string(what)] = process;
        return last_;
    }
    void process_gone(std::int64_t id) override { live.erase(id); }

private:
    std::int64_t last_ = 0;
};

class SessionRecorder final : public SessionObserver {
public:
    /// The calls in their order: "hello", "ready", "started", "exited 3", "died", …
    std::vector<std::string> calls;
    std::string out, err, console;
    std::size_t out_bytes = 0;
    std::vector<std::string> warnings;
    std::optional<CommandEnd> end;
    std::optional<GuestFailure> failure;
    std::optional<GuestUsage> usage;
    std::optional<Death> death;
    Session* session = nullptr;
    /// False: credit is not given back.
    bool consume = true;
    /// False: output is counted only.
    bool keep_output = true;

    bool has(std::string_view call) const {
        for (const auto& made : calls)
            if (made == call) return true;
        return false;
    }

    void on_hello() override { calls.emplace_back("hello"); }
    void on_ready(const std::vector<std::string>& w) override {
        warnings = w;
        calls.emplace_back("ready");
    }
    void on_started() override { calls.emplace_back("started"); }
    void on_output(Stream stream, std::string_view bytes) override {
        out_bytes += bytes.size();
        if (keep_output) (stream == Stream::out ? out : err).append(bytes);
        if (consume && session != nullptr) session->consumed(stream, bytes.size());
    }
    void on_console(std::string_view bytes) override {
        if (console.size() < 1 * kMiB) console.append(bytes);
    }
    void on_exited(const CommandEnd& e) override {
        end = e;
        calls.emplace_back("exited");
    }
    void on_guest_failure(const GuestFailure& f) override {
        failure = f;
        calls.emplace_back("failed");
    }
    void on_finished(const GuestUsage& u) override {
        usage = u;
        calls.emplace_back("finished");
    }
    void on_silence(bool silent) override { calls.emplace_back(silent ? "silent" : "heard"); }
    void on_stdin_room() override { calls.emplace_back("room"); }
    void on_death(const Death& d) override {
        death = d;
        calls.emplace_back("died");
    }
};

/// Runs the loop until `done()`, at most `limit`. True when it was done in time.
template <class Done>
bool run_until(asio::io_context& io, Done done, std::chrono::milliseconds limit = std::chrono::seconds(20)) {
    auto deadline = std::chrono::steady_clock::now() + limit;
    io.restart();
    while (!done()) {
        if (std::chrono::steady_clock::now() >= deadline) return false;
        if (io.run_one_until(deadline) == 0) return done();
    }
    return true;
}

}  // namespace vmette::vm::testing
