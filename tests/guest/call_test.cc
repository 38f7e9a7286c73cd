/// Calls, frame by frame: what init says to the host, and what it makes of a host that does not keep to the rules.

#include <set>

#include "guest/fixture.h"

namespace vmette::guest_test {
namespace {

constexpr std::uint16_t kFirst = wire::kFirstCallStream;

class CallTest : public GuestTest {
protected:
    void boot_with_calls() {
        setup_.call_port = 4000;
        ASSERT_NO_FATAL_FAILURE(boot());
        EXPECT_TRUE(ready_.warnings.empty());
    }
    /// Begins a script on stream 1, which runs when this returns.
    void begin(std::string_view script) {
        machine_->send(Type::exec, 1, wire::encode(shell(script)));
        auto frame = machine_->next();
        ASSERT_TRUE(frame && frame->type == Type::started);
    }
    /// The next frame but output of the command, which is collected.
    Frame next() {
        for (;;) {
            auto frame = machine_->next();
            if (!frame) {
                ADD_FAILURE() << "nothing came\n" << machine_->console();
                return {};
            }
            if (frame->stream != 1 || frame->type == Type::exited) return *frame;
            said_ += frame->payload;
        }
    }
    void expect(Type type, std::uint16_t stream = kFirst, std::string_view payload = "") {
        Frame frame = next();
        EXPECT_EQ(static_cast<int>(frame.type), static_cast<int>(type)) << "stream " << frame.stream;
        EXPECT_EQ(frame.stream, stream);
        if (type != Type::exited) {
            EXPECT_EQ(frame.payload, payload);
        }
    }
    void grant(std::uint32_t bytes, std::uint16_t stream = kFirst, Type channel = Type::out) {
        machine_->send(Type::credit, stream, wire::encode(wire::Credit{static_cast<std::uint8_t>(channel), bytes}));
    }
    void expect_broken_off(std::string_view why) {
        Frame frame = next();
        EXPECT_EQ(frame.type, Type::failed);
        EXPECT_EQ(frame.stream, 0);
        EXPECT_EQ(failure_of(frame).message, "the host sent what this guest does not understand: " + std::string(why));
    }
    std::string said_;
};

TEST_F(CallTest, NothingIsSentBeforeTheHostGrantsItAndNoMoreThanThat) {
    ASSERT_NO_FATAL_FAILURE(boot_with_calls());
    ASSERT_NO_FATAL_FAILURE(begin("printf 0123456789 | vsock-send 4000; echo sent $?"));
    expect(Type::call);
    EXPECT_FALSE(machine_->next(Milliseconds(600))) << "beats alone";
    grant(4);
    expect(Type::out, kFirst, "0123");
    EXPECT_FALSE(machine_->next(Milliseconds(600)));
    grant(100);
    expect(Type::out, kFirst, "456789");
    expect(Type::out_end);
    machine_->send(Type::taken, kFirst);
    expect(Type::gone);
    machine_->send(Type::hang_up, kFirst);
    expect(Type::exited, 1);
    EXPECT_EQ(said_, "sent 0\n");
}

TEST_F(CallTest, HangUpFailsTheProgram) {
    ASSERT_NO_FATAL_FAILURE(boot_with_calls());
    ASSERT_NO_FATAL_FAILURE(begin("yes | vsock-send 4000; echo $?; : | vsock-send --answer 4000"));
    expect(Type::call);
    machine_->send(Type::hang_up, kFirst);
    expect(Type::gone);
    expect(Type::call, kFirst + 1);
    EXPECT_THAT(said_, ::testing::HasSubstr("the host's end was closed"));
    EXPECT_TRUE(said_.ends_with("1\n")) << said_;
}

TEST_F(CallTest, AnswerSentBeforeTheHangUpIsTheProgramsStill) {
    ASSERT_NO_FATAL_FAILURE(boot_with_calls());
    ASSERT_NO_FATAL_FAILURE(begin("yes | vsock-send -a 4000 | { sleep 0.3; wc -c; }"));
    expect(Type::call);
    for (int i = 0; i < 4; ++i) machine_->send(Type::in, kFirst, std::string(wire::kMaxChunk, 'x'));
    machine_->send(Type::in_end, kFirst);
    machine_->send(Type::hang_up, kFirst);
    Frame last = next();
    while (last.type == Type::credit) last = next();
    EXPECT_EQ(last.type, Type::gone);
    expect(Type::exited, 1);
    EXPECT_THAT(said_, ::testing::HasSubstr("262144\n"));
}

TEST_F(CallTest, NumberIsNotUsedAgainBeforeTheHostHasHungUp) {
    ASSERT_NO_FATAL_FAILURE(boot_with_calls());
    ASSERT_NO_FATAL_FAILURE(
        begin("busybox mkfifo /tmp/f; exec 3<>/tmp/f;"
              "for i in 1 2 3; do echo $i >&3; busybox timeout 1 vsock-send 4000 <&3; done"));
    for (int i = 0; i < 3; ++i) {
        const auto stream = static_cast<std::uint16_t>(kFirst + i);
        expect(Type::call, stream);
        grant(1000, stream);
        expect(Type::out, stream, std::to_string(i + 1) + "\n");
        // It waits for more until it is killed.
        expect(Type::out_end, stream);
        expect(Type::gone, stream);
    }
}

TEST_F(CallTest, CallsBeyondTheLimitWaitInTheGuest) {
    ASSERT_NO_FATAL_FAILURE(boot_with_calls());
    ASSERT_NO_FATAL_FAILURE(begin("for i in $(seq 40); do echo $i | vsock-send 4000 & done; wait"));
    std::set<std::uint16_t> streams;
    for (std::size_t i = 0; i < wire::kMaxCalls; ++i) {
        Frame frame = next();
        ASSERT_EQ(frame.type, Type::call);
        streams.insert(frame.stream);
    }
    EXPECT_EQ(streams.size(), wire::kMaxCalls);
    EXPECT_FALSE(machine_->next(Milliseconds(500)));
    machine_->send(Type::hang_up, *streams.begin());
    expect(Type::gone, *streams.begin());
    EXPECT_EQ(next().type, Type::call);
}

TEST_F(CallTest, ProgramThatSaysNothingCostsTheHostNothing) {
    ASSERT_NO_FATAL_FAILURE(boot_with_calls());
    EXPECT_EQ(output_of("ls -l /run/vmette/host/4000 | busybox cut -c1-10"), "srw-rw-rw-\n");
    EXPECT_EQ(output_of("busybox readlink /usr/local/bin/vsock-send"), "/run/vmette/bin/vsock-send\n");
    EXPECT_EQ(output_of("busybox timeout 0.2 busybox nc local:/run/vmette/host/4000 </dev/null; echo over"), "over\n");
}

TEST_F(CallTest, ProgramOfTheImageKeepsItsName) {
    std::filesystem::create_directories(root() / "usr/local/bin");
    write_file(root() / "usr/local/bin/vsock-send", "#!/bin/sh\necho mine\n");
    std::filesystem::permissions(root() / "usr/local/bin/vsock-send", std::filesystem::perms::all);
    ASSERT_NO_FATAL_FAILURE(boot_with_calls());
    EXPECT_EQ(output_of("vsock-send"), "mine\n");
}

TEST_F(CallTest, EndOfTheSessionEndsCalls) {
    ASSERT_NO_FATAL_FAILURE(boot_with_calls());
    ASSERT_NO_FATAL_FAILURE(begin("sleep 60 | vsock-send 4000 & sleep 60"));
    expect(Type::call);
    machine_->send(Type::finish, 0, wire::encode(wire::Finish{}));
    bool gone = false;
    for (Frame frame = next(); frame.type != Type::finished; frame = next()) {
        ASSERT_NE(frame.type, Type{});
        gone = gone || (frame.type == Type::gone && frame.stream == kFirst);
    }
    EXPECT_TRUE(gone);
}

TEST_F(CallTest, WordForACallThatIsNotThereIsRefused) {
    ASSERT_NO_FATAL_FAILURE(boot_with_calls());
    grant(1, kFirst + 5);
    expect_broken_off("frame 38 for call 32773");
}

TEST_F(CallTest, AnswerBeyondItsCreditIsRefused) {
    ASSERT_NO_FATAL_FAILURE(boot_with_calls());
    ASSERT_NO_FATAL_FAILURE(
        begin("sleep 60 | vsock-send -a 4000 >/dev/null & sleep 60 | vsock-send -a 4000 | sleep 60"));
    Frame first = next(), second = next();
    ASSERT_EQ(first.type, Type::call);
    ASSERT_EQ(second.type, Type::call);
    // Of a program that reads nothing more than fits into its pipes.
    for (std::uint16_t stream : {kFirst, static_cast<std::uint16_t>(kFirst + 1)})
        for (int i = 0; i < 40; ++i) machine_->send(Type::in, stream, std::string(wire::kMaxChunk, 'x'));
    for (Frame frame = next();; frame = next()) {
        ASSERT_NE(frame.type, Type{});
        if (frame.type != Type::failed) continue;
        EXPECT_THAT(failure_of(frame).message, ::testing::HasSubstr("frame 34 for call 3276"));
        break;
    }
}

}  // namespace
}  // namespace vmette::guest_test
