#include "vm/side_streams.h"

#include <gtest/gtest.h>

#include "vm/guest_protocol.h"
#include "vm/protocol_doubles.h"

namespace vmette::vm {
namespace {

using wire::Type;

class SideLog final : public SideEvents {
public:
    std::vector<std::string> calls;
    void side_started(std::uint16_t stream) override { calls.push_back(fmt::format("{} started", stream)); }
    void side_output(std::uint16_t stream, Stream kind, std::string_view bytes) override {
        calls.push_back(fmt::format("{} {} {}", stream, kind == Stream::out ? "out" : "err", bytes.size()));
    }
    void side_stdin_room(std::uint16_t stream) override { calls.push_back(fmt::format("{} room", stream)); }
    void side_exited(std::uint16_t stream, const wire::Exited& exited) override {
        calls.push_back(fmt::format("{} exited {}", stream, exited.code));
    }
    void side_failed(std::uint16_t stream, const wire::Failure& failure) override {
        calls.push_back(fmt::format("{} failed {}", stream, failure.message));
    }
};

/// A session whose own command runs.
class SideStreamsTest : public ::testing::Test {
protected:
    void SetUp() override {
        feed(wire::frame(Type::hello, 0, wire::encode(wire::GuestHello{})));
        protocol_.sent_setup();
        feed(wire::frame(Type::ready, 0, wire::encode(wire::Ready{})));
        protocol_.sent_exec();
        feed(wire::frame(Type::started, 1, wire::encode(wire::Started{})));
    }
    void feed(std::string_view bytes) {
        auto taken = protocol_.feed(bytes);
        ASSERT_TRUE(taken) << taken.error().text();
    }
    std::string offence(std::string_view bytes) {
        auto taken = protocol_.feed(bytes);
        return taken ? "" : taken.error().text();
    }
    static std::string started(std::uint16_t stream) {
        return wire::frame(Type::started, stream, wire::encode(wire::Started{}));
    }
    static std::string exited(std::uint16_t stream) {
        return wire::frame(Type::exited, stream, wire::encode(wire::Exited{}));
    }
    static std::string credit(std::uint16_t stream, std::uint32_t bytes, Type channel = Type::in) {
        return wire::frame(Type::credit, stream, wire::encode(wire::Credit{static_cast<std::uint8_t>(channel), bytes}));
    }
    SideStreams& sides() { return protocol_.sides(); }

    testing::StillClock clock_;
    testing::IgnoredEvents own_;
    SideLog log_;
    GuestProtocol protocol_{clock_, own_, &log_};
};

TEST_F(SideStreamsTest, CommandsRunBesideEachOther) {
    auto first = sides().open(), second = sides().open();
    EXPECT_NE(first, second);
    feed(started(second) + started(first) + wire::frame(Type::out, first, "abc") + wire::frame(Type::err, second, "d"));
    feed(exited(second) + wire::frame(Type::out, first, "more") + exited(first));
    EXPECT_EQ(log_.calls, (std::vector<std::string>{"3 started", "2 started", "2 out 3", "3 err 1", "3 exited 0",
                                                    "2 out 4", "2 exited 0"}));
    EXPECT_EQ(sides().size(), 0u);
}

TEST_F(SideStreamsTest, NothingComesOnAStreamThatIsNotOpen) {
    EXPECT_EQ(offence(started(2)), "the guest sent 'started' on stream 2");
}

TEST_F(SideStreamsTest, NothingComesAfterTheEnd) {
    auto stream = sides().open();
    feed(started(stream) + exited(stream));
    EXPECT_EQ(offence(wire::frame(Type::out, stream, "x")), "the guest sent 'out' on stream 2");
}

TEST_F(SideStreamsTest, OutputComesBetweenStartAndEndAlone) {
    auto stream = sides().open();
    EXPECT_EQ(offence(wire::frame(Type::out, stream, "x")), "the guest sent 'out' on stream 2 before started");
}

TEST_F(SideStreamsTest, StartComesOnce) {
    auto stream = sides().open();
    feed(started(stream));
    EXPECT_EQ(offence(started(stream)), "the guest sent 'started' on stream 2 after started");
}

TEST_F(SideStreamsTest, SessionsFramesHaveNoStream) {
    auto stream = sides().open();
    EXPECT_EQ(offence(wire::frame(Type::finished, stream, wire::encode(wire::Usage{}))),
              "the guest sent 'finished' on stream 2");
}

TEST_F(SideStreamsTest, OutputBeyondItsCreditIsRefused) {
    auto stream = sides().open();
    feed(started(stream));
    for (std::size_t sent = 0; sent < wire::kInitialCredit; sent += wire::kMaxChunk)
        feed(wire::frame(Type::out, stream, std::string(wire::kMaxChunk, 'x')));
    feed(wire::frame(Type::err, stream, "of its own"));
    sides().granted(stream, Stream::out, 10);
    feed(wire::frame(Type::out, stream, std::string(10, 'x')));
    EXPECT_EQ(offence(wire::frame(Type::out, stream, "x")),
              "the guest sent 1 bytes of output on stream 2 with credit for 0");
}

TEST_F(SideStreamsTest, CreditIsOnlyWhatWasTaken) {
    auto stream = sides().open();
    feed(started(stream));
    sides().sent_stdin(stream, 100);
    feed(credit(stream, 60));
    EXPECT_EQ(sides().stdin_room(stream), wire::kInitialCredit - 40);
    EXPECT_EQ(offence(credit(stream, 41)), "the guest granted 41 bytes of credit on stream 2, having taken 40");
}

TEST_F(SideStreamsTest, CreditForWhatIsNotOursIsRefused) {
    auto stream = sides().open();
    EXPECT_EQ(offence(credit(stream, 1, Type::out)), "the guest sent a malformed 'credit' on stream 2");
}

TEST_F(SideStreamsTest, NumbersComeRoundWithoutMeetingOnesInUse) {
    auto kept = sides().open();
    for (int i = 0; i < 70000; ++i) {
        auto stream = sides().open();
        ASSERT_NE(stream, kept);
        ASSERT_GE(stream, kFirstSideStream);
        feed(wire::frame(Type::failed, stream, wire::encode(wire::Failure{1, "no"})));
    }
    EXPECT_EQ(sides().size(), 1u);
}

}  // namespace
}  // namespace vmette::vm
