#include "vm/call_streams.h"

#include <gtest/gtest.h>

#include "vm/guest_protocol.h"
#include "vm/protocol_doubles.h"

namespace vmette::vm {
namespace {

using wire::Type;

constexpr std::uint16_t kFirst = wire::kFirstCallStream;

class CallLog final : public CallEvents {
public:
    std::vector<std::string> calls;
    void call_opened(std::uint16_t stream) override { note(stream, "opened"); }
    void call_bytes(std::uint16_t stream, std::string_view bytes) override {
        note(stream, fmt::format("bytes {}", bytes.size()));
    }
    void call_ended(std::uint16_t stream) override { note(stream, "ended"); }
    void call_room(std::uint16_t stream) override { note(stream, "room"); }
    void call_gone(std::uint16_t stream) override { note(stream, "gone"); }
    std::vector<std::string> take() { return std::exchange(calls, {}); }

private:
    void note(std::uint16_t stream, std::string_view what) {
        calls.push_back(fmt::format("{} {}", stream - kFirst, what));
    }
};

using Notes = std::vector<std::string>;

/// A session whose command runs.
class CallStreamsTest : public ::testing::Test {
protected:
    void SetUp() override {
        greet(protocol_);
        protocol_.sent_exec();
        feed(wire::frame(Type::started, 1, wire::encode(wire::Started{})));
    }
    static void greet(GuestProtocol& protocol) {
        ASSERT_TRUE(protocol.feed(wire::frame(Type::hello, 0, wire::encode(wire::GuestHello{}))));
        protocol.sent_setup();
        ASSERT_TRUE(protocol.feed(wire::frame(Type::ready, 0, wire::encode(wire::Ready{}))));
    }
    void feed(std::string_view bytes) {
        auto taken = protocol_.feed(bytes);
        ASSERT_TRUE(taken) << taken.error().text();
    }
    std::string offence(std::string_view bytes) {
        auto taken = protocol_.feed(bytes);
        return taken ? "" : taken.error().text();
    }
    static std::string say(Type type, std::uint16_t stream = kFirst, std::string_view payload = "") {
        return wire::frame(type, stream, payload);
    }
    static std::string credit(std::uint32_t bytes, Type channel = Type::in) {
        return say(Type::credit, kFirst, wire::encode(wire::Credit{static_cast<std::uint8_t>(channel), bytes}));
    }
    CallStreams& streams() { return protocol_.calls(); }

    testing::StillClock clock_;
    testing::IgnoredEvents own_;
    CallLog log_;
    GuestProtocol protocol_{clock_, own_, nullptr, &log_};
};

TEST_F(CallStreamsTest, CallsGoOnBesideEachOther) {
    feed(say(Type::call) + say(Type::call, kFirst + 7));
    streams().granted(kFirst, 10);
    streams().granted(kFirst + 7, 10);
    feed(say(Type::out, kFirst + 7, "abc") + say(Type::out, kFirst, "d") + say(Type::out_end, kFirst + 7) +
         say(Type::gone, kFirst + 7));
    EXPECT_EQ(log_.take(), (Notes{"0 opened", "7 opened", "7 bytes 3", "0 bytes 1", "7 ended", "7 gone"}));
}

TEST_F(CallStreamsTest, NumberIsFreeOnceBothSidesHaveSaidTheirLast) {
    feed(say(Type::call) + say(Type::gone));
    EXPECT_TRUE(streams().knows(kFirst));
    streams().hung_up(kFirst);
    EXPECT_FALSE(streams().knows(kFirst));
    feed(say(Type::call));
    streams().hung_up(kFirst);
    feed(say(Type::out_end) + say(Type::gone));
    EXPECT_FALSE(streams().knows(kFirst));
    EXPECT_EQ(log_.take(), (Notes{"0 opened", "0 gone", "0 opened"})) << "and of what was hung up nothing is heard";
}

TEST_F(CallStreamsTest, NumberInUseIsRefused) {
    feed(say(Type::call));
    EXPECT_EQ(offence(say(Type::call)), "the guest sent 'call' on stream 32768 a second time");
}

TEST_F(CallStreamsTest, NumberThatWasNotHungUpIsStillInUse) {
    feed(say(Type::call) + say(Type::gone));
    EXPECT_EQ(offence(say(Type::call)), "the guest sent 'call' on stream 32768 a second time");
}

TEST_F(CallStreamsTest, BytesBeforeSomebodyIsThereAreRefused) {
    feed(say(Type::call));
    EXPECT_EQ(offence(say(Type::out, kFirst, "x")), "the guest sent 1 bytes on call 32768 with credit for 0");
}

TEST_F(CallStreamsTest, BytesBeyondTheCreditAreRefused) {
    feed(say(Type::call));
    streams().granted(kFirst, 3);
    feed(say(Type::out, kFirst, "ab"));
    EXPECT_EQ(offence(say(Type::out, kFirst, "cd")), "the guest sent 2 bytes on call 32768 with credit for 1");
}

TEST_F(CallStreamsTest, HungUpCallKeepsToItsCredit) {
    feed(say(Type::call));
    streams().granted(kFirst, 3);
    streams().hung_up(kFirst);
    feed(say(Type::out, kFirst, "abc"));
    EXPECT_EQ(offence(say(Type::out, kFirst, "d")), "the guest sent 1 bytes on call 32768 with credit for 0");
    EXPECT_EQ(log_.take(), Notes{"0 opened"});
}

TEST_F(CallStreamsTest, EmptyBytesAreRefused) {
    feed(say(Type::call));
    EXPECT_EQ(offence(say(Type::out)), "the guest sent 0 bytes on call 32768 with credit for 0");
}

TEST_F(CallStreamsTest, BytesAfterTheEndAreRefused) {
    feed(say(Type::call) + say(Type::out_end));
    EXPECT_EQ(offence(say(Type::out, kFirst, "x")), "the guest sent 'out' on stream 32768 after its end");
}

TEST_F(CallStreamsTest, SecondEndIsRefused) {
    feed(say(Type::call) + say(Type::out_end));
    EXPECT_EQ(offence(say(Type::out_end)), "the guest sent 'out_end' on stream 32768 after its end");
}

TEST_F(CallStreamsTest, WordAfterTheLastIsRefused) {
    feed(say(Type::call) + say(Type::gone));
    EXPECT_EQ(offence(say(Type::gone)), "the guest sent 'gone' on stream 32768 which is no call");
}

TEST_F(CallStreamsTest, WordOfNoCallIsRefused) {
    EXPECT_EQ(offence(say(Type::out, kFirst + 1, "x")), "the guest sent 'out' on stream 32769 which is no call");
}

TEST_F(CallStreamsTest, WordOfACommandIsRefused) {
    feed(say(Type::call));
    EXPECT_EQ(offence(say(Type::exited, kFirst, wire::encode(wire::Exited{}))),
              "the guest sent 'exited' on stream 32768 which is a call");
}

TEST_F(CallStreamsTest, WordOfACallOnACommandIsRefused) {
    EXPECT_EQ(offence(say(Type::out_end, 1)), "the guest sent 'out_end' on stream 1");
}

TEST_F(CallStreamsTest, CallOnACommandsNumberIsRefused) {
    EXPECT_EQ(offence(say(Type::call, 2)), "the guest sent 'call' on stream 2");
}

TEST_F(CallStreamsTest, PayloadWhereNoneBelongsIsRefusedByItsHeader) {
    std::string header(wire::kHeaderSize, '\0');
    wire::encode_header(header.data(), {1, Type::call, kFirst});
    EXPECT_EQ(offence(header), "the guest sent 'call' on stream 32768 with a payload");
}

TEST_F(CallStreamsTest, MoreCallsThanItMayMakeAreRefused) {
    for (std::size_t i = 0; i < wire::kMaxCalls; ++i) feed(say(Type::call, static_cast<std::uint16_t>(kFirst + i)));
    EXPECT_EQ(offence(say(Type::call, 0xFFFF)),
              "the guest sent 'call' on stream 65535 beyond the number of calls that it may make");
}

TEST_F(CallStreamsTest, CreditIsGivenBackForWhatWasTaken) {
    feed(say(Type::call));
    EXPECT_EQ(streams().room(kFirst), wire::kInitialCredit);
    streams().sent(kFirst, 100);
    feed(credit(60));
    EXPECT_EQ(streams().room(kFirst), wire::kInitialCredit - 40);
    EXPECT_EQ(offence(credit(41)), "the guest granted 41 bytes of credit on call 32768, having taken 40");
}

TEST_F(CallStreamsTest, CreditForAnythingElseIsRefused) {
    feed(say(Type::call));
    streams().sent(kFirst, 100);
    EXPECT_EQ(offence(credit(60, Type::out)), "the guest sent a malformed 'credit' on call 32768");
}

TEST_F(CallStreamsTest, CallBeforeACommandWasGivenIsRefused) {
    GuestProtocol early{clock_, own_, nullptr, &log_};
    greet(early);
    auto taken = early.feed(say(Type::call));
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error().text(), "the guest sent 'call' before a command was given");
}

TEST_F(CallStreamsTest, CallThatNobodyTakesIsRefused) {
    GuestProtocol alone{clock_, own_};
    greet(alone);
    alone.sent_exec();
    auto taken = alone.feed(say(Type::call));
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error().text(), "the guest sent 'call' on stream 32768 which nobody takes");
}

TEST_F(CallStreamsTest, CommandsNeverGetTheNumbersOfCalls) {
    SideStreams sides(nullptr);
    for (int i = 0; i < 20000; ++i) {
        auto stream = sides.open();
        ASSERT_GE(stream, kFirstSideStream);
        ASSERT_LT(stream, kFirst);
    }
}

}  // namespace
}  // namespace vmette::vm
