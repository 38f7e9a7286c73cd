#include "vm/guest_protocol.h"

#include <gtest/gtest.h>

#include <random>

#include "vm/protocol_doubles.h"

namespace vmette::vm {
namespace {

using wire::Type;

class EventLog final : public GuestEvents {
public:
    std::vector<std::string> calls;
    std::string out, err;
    int frames = 0;
    void heard() override { ++frames; }
    void hello(const wire::GuestHello& hello) override { calls.push_back("hello " + hello.kernel); }
    void ready(const wire::Ready&) override { calls.emplace_back("ready"); }
    void started() override { calls.emplace_back("started"); }
    void output(Stream stream, std::string_view bytes) override { (stream == Stream::out ? out : err).append(bytes); }
    void exited(const wire::Exited& exited) override { calls.push_back(fmt::format("exited {}", exited.code)); }
    void failed(const wire::Failure& failure) override { calls.push_back("failed " + failure.message); }
    void finished(const wire::Usage&) override { calls.emplace_back("finished"); }
    void stdin_room() override { calls.emplace_back("room"); }
};

std::string hello() {
    wire::GuestHello message;
    message.kernel = "6.1";
    return wire::frame(Type::hello, 0, wire::encode(message));
}
std::string ready() { return wire::frame(Type::ready, 0, wire::encode(wire::Ready{})); }
std::string started() { return wire::frame(Type::started, 1, wire::encode(wire::Started{})); }
std::string output(std::size_t bytes, Type type = Type::out) { return wire::frame(type, 1, std::string(bytes, 'x')); }
std::string exited(std::uint32_t code) {
    wire::Exited message;
    message.code = code;
    return wire::frame(Type::exited, 1, wire::encode(message));
}
std::string credit(std::uint8_t channel, std::uint32_t bytes) {
    return wire::frame(Type::credit, 1, wire::encode(wire::Credit{channel, bytes}));
}
std::string finished() { return wire::frame(Type::finished, 0, wire::encode(wire::Usage{})); }
std::string beat() { return wire::frame(Type::beat, 0, {}); }

class GuestProtocolTest : public ::testing::Test {
protected:
    void feed(std::string_view bytes) {
        auto taken = protocol_.feed(bytes);
        ASSERT_TRUE(taken) << taken.error().text();
    }
    std::string offence(std::string_view bytes) {
        auto taken = protocol_.feed(bytes);
        if (taken) return "";
        EXPECT_EQ(taken.error().code, ErrorCode::protocol);
        return taken.error().text();
    }
    void reach_running() {
        feed(hello());
        protocol_.sent_setup();
        feed(ready());
        protocol_.sent_exec();
        feed(started());
    }

    testing::StillClock clock_;
    EventLog events_;
    GuestProtocol protocol_{clock_, events_};
};

TEST_F(GuestProtocolTest, TakesAWholeRun) {
    reach_running();
    feed(output(3) + output(2, Type::err) + beat() + exited(7));
    protocol_.sent_finish({});
    feed(finished());
    EXPECT_EQ(events_.calls, (std::vector<std::string>{"hello 6.1", "ready", "started", "exited 7", "finished"}));
    EXPECT_EQ(events_.out, "xxx");
    EXPECT_EQ(events_.err, "xx");
    EXPECT_EQ(events_.frames, 8);
}

TEST_F(GuestProtocolTest, TakesTheSameByteByByte) {
    auto feed_slowly = [&](const std::string& bytes) {
        for (char c : bytes) feed(std::string_view(&c, 1));
    };
    feed_slowly(hello());
    protocol_.sent_setup();
    feed_slowly(ready());
    protocol_.sent_exec();
    feed_slowly(started() + output(1000) + exited(0));
    EXPECT_EQ(events_.calls, (std::vector<std::string>{"hello 6.1", "ready", "started", "exited 0"}));
    EXPECT_EQ(events_.out.size(), 1000u);
    EXPECT_TRUE(protocol_.end());
}

TEST_F(GuestProtocolTest, WrongMagicIsNamed) {
    wire::GuestHello message;
    message.magic = 0x31313131;
    EXPECT_EQ(offence(wire::frame(Type::hello, 0, wire::encode(message))),
              "the guest does not speak vmette's protocol (magic 0x31313131 instead of 0x74746d76)");
}

TEST_F(GuestProtocolTest, OtherVersionIsNamedEvenWhenItsHelloLooksDifferent) {
    wire::Writer other;
    other.u32(wire::kMagic);
    other.u32(wire::kVersion + 1);
    other.text("fields of the future");
    EXPECT_EQ(offence(wire::frame(Type::hello, 0, other.bytes())),
              fmt::format("the guest speaks version {} of the protocol and this vmette version {}: the initramfs "
                          "belongs to another vmette",
                          wire::kVersion + 1, wire::kVersion));
}

TEST_F(GuestProtocolTest, NothingComesBeforeHello) { EXPECT_EQ(offence(beat()), "the guest sent 'beat' before hello"); }

TEST_F(GuestProtocolTest, LargeHelloIsRefusedByItsHeader) {
    std::string header(wire::kHeaderSize, '\0');
    wire::encode_header(header.data(), {2048, Type::hello, 0});
    EXPECT_EQ(offence(header), "the guest sent 'hello' with 2048 bytes, where 1024 are allowed");
}

TEST_F(GuestProtocolTest, SecondHelloIsRefused) {
    feed(hello());
    EXPECT_EQ(offence(hello()), "the guest sent 'hello' a second time");
}

TEST_F(GuestProtocolTest, UnknownTypesAreRefused) {
    feed(hello());
    EXPECT_EQ(offence(wire::frame(static_cast<Type>(77), 0, {})), "the guest sent a frame of unknown type 77");
}

TEST_F(GuestProtocolTest, HostsOwnTypesAreRefused) {
    feed(hello());
    EXPECT_EQ(offence(wire::frame(Type::exec, 1, {})), "the guest sent a frame of unknown type 33");
}

TEST_F(GuestProtocolTest, UnknownFlagsAreRefused) {
    feed(hello());
    std::string frame = beat();
    frame[5] = 1;
    EXPECT_EQ(offence(frame), "the guest sent a frame with unknown flags");
}

TEST_F(GuestProtocolTest, OversizedFrameIsRefusedBeforeItsPayloadComes) {
    reach_running();
    std::string header(wire::kHeaderSize, '\0');
    wire::encode_header(header.data(), {0x80000000, Type::out, 1});
    EXPECT_EQ(offence(header), "the guest sent 'out' with 2147483648 bytes, where 65536 are allowed");
}

TEST_F(GuestProtocolTest, FramesOnOtherStreamsAreRefused) {
    reach_running();
    EXPECT_EQ(offence(wire::frame(Type::out, 2, "x")), "the guest sent 'out' on stream 2");
}

TEST_F(GuestProtocolTest, SessionFramesOnACommandsStreamAreRefused) {
    reach_running();
    EXPECT_EQ(offence(wire::frame(Type::beat, 1, {})), "the guest sent 'beat' on stream 1");
}

TEST_F(GuestProtocolTest, OutputBeyondItsCreditIsRefused) {
    reach_running();
    for (std::size_t sent = 0; sent < wire::kInitialCredit; sent += wire::kMaxChunk) feed(output(wire::kMaxChunk));
    EXPECT_EQ(offence(output(1)), "the guest sent 1 bytes of 'out' with credit for 0");
}

TEST_F(GuestProtocolTest, StreamsHaveCreditOfTheirOwn) {
    reach_running();
    for (std::size_t sent = 0; sent < wire::kInitialCredit; sent += wire::kMaxChunk) feed(output(wire::kMaxChunk));
    feed(output(1, Type::err));
    protocol_.granted(Stream::out, 10);
    feed(output(10));
    EXPECT_EQ(offence(output(1)), "the guest sent 1 bytes of 'out' with credit for 0");
}

TEST_F(GuestProtocolTest, EmptyOutputIsRefused) {
    reach_running();
    EXPECT_EQ(offence(output(0)), "the guest sent an empty 'out'");
}

TEST_F(GuestProtocolTest, OutputBeforeStartedIsRefused) {
    feed(hello());
    protocol_.sent_setup();
    feed(ready());
    protocol_.sent_exec();
    EXPECT_EQ(offence(output(1)), "the guest sent 'out' before started");
}

TEST_F(GuestProtocolTest, OutputAfterExitedIsRefused) {
    reach_running();
    feed(exited(0));
    EXPECT_EQ(offence(output(1)), "the guest sent 'out' after exited");
}

TEST_F(GuestProtocolTest, AnswersWithoutARequestAreRefused) {
    feed(hello());
    EXPECT_EQ(offence(ready()), "the guest sent 'ready' before it was set up");
}

TEST_F(GuestProtocolTest, StartedWithoutACommandIsRefused) {
    feed(hello());
    protocol_.sent_setup();
    feed(ready());
    EXPECT_EQ(offence(started()), "the guest sent 'started' before a command was given");
}

TEST_F(GuestProtocolTest, FinishedWithoutBeingAskedIsRefused) {
    reach_running();
    EXPECT_EQ(offence(finished()), "the guest sent 'finished' without being asked");
}

TEST_F(GuestProtocolTest, FailureComesOnce) {
    feed(hello());
    protocol_.sent_setup();
    auto failure = wire::frame(Type::failed, 0, wire::encode(wire::Failure{1, "no root"}));
    feed(failure);
    EXPECT_EQ(events_.calls.back(), "failed no root");
    EXPECT_EQ(offence(ready()), "the guest sent 'ready' after failed");
}

TEST_F(GuestProtocolTest, RepeatedFailureIsRefused) {
    feed(hello());
    auto failure = wire::frame(Type::failed, 0, wire::encode(wire::Failure{6, "what?"}));
    feed(failure);
    EXPECT_EQ(offence(failure), "the guest sent 'failed' a second time");
}

TEST_F(GuestProtocolTest, FailedCommandEndsIt) {
    feed(hello());
    protocol_.sent_setup();
    feed(ready());
    protocol_.sent_exec();
    feed(wire::frame(Type::failed, 1, wire::encode(wire::Failure{2, "no such file"})));
    EXPECT_EQ(offence(exited(0)), "the guest sent 'exited' after exited");
}

TEST_F(GuestProtocolTest, MalformedPayloadIsRefused) {
    reach_running();
    EXPECT_EQ(offence(wire::frame(Type::exited, 1, "xyz")), "the guest sent a malformed 'exited' of 3 bytes");
}

TEST_F(GuestProtocolTest, LyingListCountCostsNothing) {
    feed(hello());
    protocol_.sent_setup();
    wire::Writer lie;
    lie.u64(1);
    lie.u32(0xFFFFFFFF);
    EXPECT_EQ(offence(wire::frame(Type::ready, 0, lie.bytes())), "the guest sent a malformed 'ready' of 12 bytes");
}

TEST_F(GuestProtocolTest, CreditIsOnlyWhatItHasTaken) {
    reach_running();
    protocol_.sent_stdin(100);
    EXPECT_EQ(protocol_.stdin_room(), wire::kInitialCredit - 100);
    feed(credit(static_cast<std::uint8_t>(Type::in), 60));
    EXPECT_EQ(protocol_.stdin_room(), wire::kInitialCredit - 40);
    EXPECT_EQ(events_.calls.back(), "room");
    EXPECT_EQ(offence(credit(static_cast<std::uint8_t>(Type::in), 41)),
              "the guest granted 41 bytes of credit for stdin, having taken 40");
}

TEST_F(GuestProtocolTest, CreditForOurOwnChannelsIsRefused) {
    reach_running();
    EXPECT_EQ(offence(credit(static_cast<std::uint8_t>(Type::out), 1)),
              "the guest granted credit for channel 4, which is not ours to fill");
}

TEST_F(GuestProtocolTest, BeatsAtTheirPaceGoOnForever) {
    feed(hello());
    for (int i = 0; i < 20000; ++i) {
        clock_.at += std::chrono::milliseconds(wire::kBeatMilliseconds);
        feed(beat());
    }
}

TEST_F(GuestProtocolTest, FloodOfBeatsIsRefused) {
    feed(hello());
    std::string flood;
    for (int i = 0; i < 1025; ++i) flood += beat();
    EXPECT_EQ(offence(flood), "the guest floods the channel with beats");
}

TEST_F(GuestProtocolTest, CutFrameIsSeenAtTheEnd) {
    feed(hello());
    EXPECT_TRUE(protocol_.end());
    feed(beat().substr(0, 3));
    EXPECT_EQ(protocol_.end().error().text(), "the guest's channel ended inside a frame, after 3 of its bytes");
}

TEST_F(GuestProtocolTest, NoEventComesAfterStop) {
    class Stopper final : public GuestEvents {
    public:
        GuestProtocol* protocol = nullptr;
        int after = 0;
        void heard() override {}
        void hello(const wire::GuestHello&) override { protocol->stop(); }
        void ready(const wire::Ready&) override { ++after; }
        void started() override { ++after; }
        void output(Stream, std::string_view) override { ++after; }
        void exited(const wire::Exited&) override { ++after; }
        void failed(const wire::Failure&) override { ++after; }
        void finished(const wire::Usage&) override { ++after; }
        void stdin_room() override { ++after; }
    } stopper;
    GuestProtocol protocol(clock_, stopper);
    stopper.protocol = &protocol;
    auto failure = wire::frame(Type::failed, 0, wire::encode(wire::Failure{6, "x"}));
    EXPECT_TRUE(protocol.feed(hello() + failure));
    EXPECT_EQ(stopper.after, 0);
}

TEST_F(GuestProtocolTest, GarbageNeverPassesAndNeverGrows) {
    std::mt19937 random(20240131);
    for (int round = 0; round < 2000; ++round) {
        EventLog events;
        GuestProtocol protocol(clock_, events);
        std::string bytes;
        if (round % 2 == 1) bytes = hello();
        for (int i = 0; i < 400; ++i) bytes.push_back(static_cast<char>(random()));
        bool ended = !protocol.feed(bytes) || !protocol.end();
        // 400 random bytes are not a conversation: either an offence or a frame that waits for its rest.
        EXPECT_TRUE(ended);
        EXPECT_TRUE(events.out.empty());
    }
}

/// What wait(2) cannot report would contradict the exit code that is made of it.
struct End {
    bool signaled;
    std::uint32_t code;
    std::string refusal;  ///< empty: taken
};
class EndTest : public GuestProtocolTest, public ::testing::WithParamInterface<End> {};

TEST_P(EndTest, IsTakenWhenTheKernelCanHaveSaidIt) {
    wire::Exited message;
    message.signaled = GetParam().signaled;
    message.code = GetParam().code;
    reach_running();
    EXPECT_EQ(offence(wire::frame(Type::exited, 1, wire::encode(message))), GetParam().refusal);
}

INSTANTIATE_TEST_SUITE_P(
    Ends, EndTest,
    ::testing::Values(End{false, 0, ""}, End{false, 255, ""}, End{true, 1, ""}, End{true, 64, ""},
                      End{false, 256, "the guest told of an end that no command can have (exit code 256)"},
                      End{false, 0xffffff00,
                          "the guest told of an end that no command can have (exit code 4294967040)"},
                      End{true, 0, "the guest told of an end that no command can have (signal 0)"},
                      End{true, 65, "the guest told of an end that no command can have (signal 65)"}));

}  // namespace
}  // namespace vmette::vm
