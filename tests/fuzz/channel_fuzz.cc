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
#include <string_view>

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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    StillClock clock;
    Checker checker;
    SideChecker side_checker;
    GuestProtocol protocol(clock, checker, &side_checker);
    unsigned reached = data[0] % 5;
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
        protocol.sent_finish();
        for (int i = 0; i < 3; ++i) protocol.sides().open();
        protocol.sides().sent_stdin(kFirstSideStream, 1000);
    }
    std::string_view rest(reinterpret_cast<const char*>(data + 2), size - 2);
    while (!rest.empty()) {
        auto piece = rest.substr(0, step);
        rest.remove_prefix(piece.size());
        if (!protocol.feed(piece)) return 0;
        if (protocol.stdin_room() > wire::kInitialCredit) std::abort();
        if (protocol.sides().stdin_room(kFirstSideStream) > wire::kInitialCredit) std::abort();
    }
    return 0;
}
