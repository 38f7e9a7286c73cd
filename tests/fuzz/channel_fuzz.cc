// libFuzzer target of the guest channel's host side. Built with clang, for instance:
//   clang++ -std=c++20 -fsanitize=fuzzer,address,undefined -Isrc -I. … tests/fuzz/channel_fuzz.cc
//   src/vm/guest_protocol.cc
//
// The first byte says how far the session is, so that every state is reached from the first input on; the second how
// the rest is cut into reads.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "vm/guest_protocol.h"

namespace {

using namespace vmette;
using namespace vmette::vm;

class StillClock final : public Clock {
public:
    WallTime now() const override { return {}; }
    MonotonicTime monotonic() const override { return {}; }
};

/// The same of the commands beside the run's own.
class SideChecker final : public SideEvents {
public:
    void side_started(std::uint16_t stream) override {
        if (++started_[stream] != 1) std::abort();
    }
    void side_output(std::uint16_t stream, Stream, std::string_view bytes) override {
        if (started_[stream] != 1 || bytes.empty()) std::abort();
        bytes_[stream] += bytes.size();
        if (bytes_[stream] > 2 * wire::kInitialCredit) std::abort();
    }
    void side_stdin_room(std::uint16_t) override {}
    void side_exited(std::uint16_t stream, const wire::Exited&) override {
        if (started_[stream]++ != 1) std::abort();
    }
    void side_failed(std::uint16_t stream, const wire::Failure&) override {
        if (started_[stream]++ != 0) std::abort();
    }

private:
    std::map<std::uint16_t, int> started_;
    std::map<std::uint16_t, std::size_t> bytes_;
};

/// And of the guest's calls.
class CallChecker final : public CallEvents {
public:
    std::size_t granted = 0;
    void call_opened(std::uint16_t stream) override {
        if (stream < wire::kFirstCallStream || !open_.emplace(stream, false).second) std::abort();
        if (open_.size() > wire::kMaxCalls) std::abort();
    }
    void call_bytes(std::uint16_t stream, std::string_view bytes) override {
        if (open_.at(stream) || bytes.empty() || bytes.size() > granted) std::abort();
        granted -= bytes.size();
    }
    void call_ended(std::uint16_t stream) override {
        if (std::exchange(open_.at(stream), true)) std::abort();
    }
    void call_room(std::uint16_t stream) override {
        if (!open_.contains(stream)) std::abort();
    }
    void call_gone(std::uint16_t stream) override {
        if (open_.erase(stream) != 1) std::abort();
        gone.push_back(stream);
    }
    std::vector<std::uint16_t> gone;

private:
    std::map<std::uint16_t, bool> open_;
};

/// Holds the promises that the session builds on.
class Checker final : public GuestEvents {
public:
    std::size_t granted = 2 * wire::kInitialCredit;
    void heard() override {}
    void hello(const wire::GuestHello&) override {}
    void ready(const wire::Ready&) override {}
    void started() override { started_ = true; }
    void output(Stream, std::string_view bytes) override {
        if (!started_ || exited_ || bytes.empty() || bytes.size() > granted) std::abort();
        granted -= bytes.size();
    }
    void exited(const wire::Exited&) override {
        if (!started_ || exited_) std::abort();
        exited_ = true;
    }
    void failed(const wire::Failure&) override {}
    void finished(const wire::Usage&) override {}
    void stdin_room() override {}

private:
    bool started_ = false, exited_ = false;
};

/// Holds the promises that files are written by.
class ArtifactChecker final : public ArtifactSink {
public:
    Result<> begin(std::string_view path, std::uint64_t bytes) override {
        if (over_ || left_ || !wire::artifact_path_problem(path).empty() || !path.starts_with("out/")) std::abort();
        room_ = bytes <= room_ ? room_ - bytes : (std::abort(), 0);
        left_ = bytes;
        return {};
    }
    void data(std::string_view bytes) override {
        if (!left_ || bytes.size() > *left_) std::abort();
        *left_ -= bytes.size();
    }
    void end() override {
        if (left_ != 0U) std::abort();
        left_.reset();
    }
    void abandon(std::string_view) override { left_.reset(); }
    void report(const ArtifactSummary&) override { over_ = true; }
    void cut() override { over_ = true; }

private:
    std::uint64_t room_ = 1 << 20;
    std::optional<std::uint64_t> left_;
    bool over_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    StillClock clock;
    Checker checker;
    SideChecker side_checker;
    CallChecker call_checker;
    GuestProtocol protocol(clock, checker, &side_checker, &call_checker);
    ArtifactChecker artifacts;
    unsigned reached = data[0] % 6;
    std::size_t step = data[1] == 0 ? size : data[1];
    auto feed = [&](wire::Type type, std::uint16_t stream, const std::string& payload) {
        if (!protocol.feed(wire::frame(type, stream, payload))) std::abort();
    };
    if (reached >= 1) feed(wire::Type::hello, 0, wire::encode(wire::GuestHello{}));
    if (reached >= 2) protocol.sent_setup();
    if (reached >= 3) {
        feed(wire::Type::ready, 0, wire::encode(wire::Ready{}));
        protocol.sent_exec();
    }
    if (reached >= 4) {
        feed(wire::Type::started, kCommandStream, wire::encode(wire::Started{}));
        protocol.sent_stdin(1000);
        protocol.sent_finish(reached == 4 ? ArtifactRequest{} : ArtifactRequest{{{"/out/**", 1 << 20}}, &artifacts});
        for (int i = 0; i < 3; ++i) protocol.sides().open();
        protocol.sides().sent_stdin(kFirstSideStream, 1000);
        // One call that was accepted; of the others nobody takes anything.
        feed(wire::Type::call, wire::kFirstCallStream, "");
        protocol.calls().granted(wire::kFirstCallStream, call_checker.granted = 1000);
        protocol.calls().sent(wire::kFirstCallStream, 1000);
    }
    std::string_view rest(reinterpret_cast<const char*>(data + 2), size - 2);
    while (!rest.empty()) {
        auto piece = rest.substr(0, step);
        rest.remove_prefix(piece.size());
        if (!protocol.feed(piece)) return 0;
        if (protocol.stdin_room() > wire::kInitialCredit) std::abort();
        if (protocol.sides().stdin_room(kFirstSideStream) > wire::kInitialCredit) std::abort();
        if (protocol.calls().room(wire::kFirstCallStream) > wire::kInitialCredit) std::abort();
        for (auto stream : std::exchange(call_checker.gone, {})) protocol.calls().hung_up(stream);
    }
    return 0;
}
