#include "vm/channel.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "tests/vm/session_recorder.h"

namespace vmette::vm {
namespace {

using testing::run_until;
using wire::Type;

class Log final : public ChannelEvents {
public:
    std::vector<std::string> calls;
    std::size_t out_bytes = 0;
    void heard() override {}
    void hello(const wire::GuestHello&) override { calls.emplace_back("hello"); }
    void ready(const wire::Ready&) override { calls.emplace_back("ready"); }
    void started() override { calls.emplace_back("started"); }
    void output(Stream, std::string_view bytes) override { out_bytes += bytes.size(); }
    void exited(const wire::Exited&) override { calls.emplace_back("exited"); }
    void failed(const wire::Failure&) override { calls.emplace_back("failed"); }
    void finished(const wire::Usage&) override { calls.emplace_back("finished"); }
    void stdin_room() override { calls.emplace_back("room"); }
    void channel_ended(const Result<>& cut) override { calls.push_back(cut ? "ended" : cut.error().text()); }
    void channel_broken(const Error& error) override { calls.push_back("broken: " + error.text()); }
};

/// A guest on the other end of a socket pair, driven by the test.
class ChannelTest : public ::testing::Test {
protected:
    void SetUp() override {
        auto ends = make_socketpair();
        ASSERT_TRUE(ends);
        guest_ = std::move((*ends)[1]);
        owner_ = std::make_shared<int>(0);
        channel_ = std::make_unique<Channel>(io_, std::move((*ends)[0]), clock_, log_);
        channel_->start(owner_);
    }
    void say(std::string_view bytes) { ASSERT_TRUE(write_all(guest_.get(), bytes)); }
    void await(std::size_t calls) {
        ASSERT_TRUE(run_until(io_, [&] { return log_.calls.size() >= calls; }));
    }
    /// The next whole frame from the host.
    std::pair<wire::Header, std::string> hear() {
        std::string head(wire::kHeaderSize, '\0');
        receive(head);
        wire::Header header;
        EXPECT_TRUE(wire::decode_header(head.data(), header));
        std::string payload(header.length, '\0');
        receive(payload);
        return {header, payload};
    }
    void reach_running() {
        say(wire::frame(Type::hello, 0, wire::encode(wire::GuestHello{})));
        await(1);
        ASSERT_TRUE(channel_->setup({}));
        say(wire::frame(Type::ready, 0, wire::encode(wire::Ready{})));
        await(2);
        ASSERT_TRUE(channel_->exec({}));
        say(wire::frame(Type::started, 1, wire::encode(wire::Started{})));
        await(3);
        EXPECT_EQ(hear().first.type, Type::setup);
        EXPECT_EQ(hear().first.type, Type::exec);
    }

    asio::io_context io_;
    SystemClock clock_;
    Log log_;
    Fd guest_;
    std::shared_ptr<int> owner_;
    std::unique_ptr<Channel> channel_;

private:
    void receive(std::string& into) {
        std::size_t got = 0;
        while (got < into.size()) {
            io_.poll();
            io_.restart();
            ssize_t n = ::recv(guest_.get(), into.data() + got, into.size() - got, MSG_DONTWAIT);
            if (n > 0) got += static_cast<std::size_t>(n);
            ASSERT_TRUE(n != 0 && (n > 0 || errno == EAGAIN)) << "the host closed the channel";
        }
    }
};

TEST_F(ChannelTest, SetupArrivesAsItWasSent) {
    say(wire::frame(Type::hello, 0, wire::encode(wire::GuestHello{})));
    await(1);
    wire::Setup setup;
    setup.run_id = "01j";
    setup.entropy = std::string(64, 'e');
    ASSERT_TRUE(channel_->setup(setup));
    auto [header, payload] = hear();
    EXPECT_EQ(header.type, Type::setup);
    EXPECT_EQ(header.stream, 0);
    wire::Setup heard;
    ASSERT_TRUE(wire::decode(payload, heard));
    EXPECT_EQ(heard.run_id, "01j");
}

TEST_F(ChannelTest, CreditIsGrantedInLargeSteps) {
    reach_running();
    channel_->consumed(Stream::out, wire::kInitialCredit / 4 - 1);
    channel_->consumed(Stream::err, 5);
    channel_->consumed(Stream::out, 1);
    auto [header, payload] = hear();
    EXPECT_EQ(header.type, Type::credit);
    wire::Credit credit;
    ASSERT_TRUE(wire::decode(payload, credit));
    EXPECT_EQ(credit.channel, static_cast<std::uint8_t>(Type::out));
    EXPECT_EQ(credit.bytes, wire::kInitialCredit / 4);
}

TEST_F(ChannelTest, StdinGoesInPieces) {
    reach_running();
    channel_->input(std::string(wire::kMaxChunk + 10, 'i'));
    EXPECT_EQ(hear().second.size(), wire::kMaxChunk);
    EXPECT_EQ(hear().second.size(), 10u);
    EXPECT_EQ(channel_->stdin_room(), wire::kInitialCredit - wire::kMaxChunk - 10);
    channel_->input_end();
    EXPECT_EQ(hear().first.type, Type::in_end);
}

TEST_F(ChannelTest, OffenceClosesTheChannelOnce) {
    reach_running();
    say(wire::frame(Type::hello, 0, wire::encode(wire::GuestHello{})) + "and more");
    await(4);
    EXPECT_EQ(log_.calls.back(), "broken: the guest sent 'hello' a second time");
    EXPECT_TRUE(run_until(io_, [] { return true; }));
    EXPECT_EQ(log_.calls.size(), 4u);
}

TEST_F(ChannelTest, EndInsideAFrameIsTold) {
    say(wire::frame(Type::hello, 0, wire::encode(wire::GuestHello{})) + "abc");
    guest_.reset();
    await(2);
    EXPECT_EQ(log_.calls.back(), "the guest's channel ended inside a frame, after 3 of its bytes");
}

TEST_F(ChannelTest, EndBetweenFramesIsNoOffence) {
    say(wire::frame(Type::hello, 0, wire::encode(wire::GuestHello{})));
    guest_.reset();
    await(2);
    EXPECT_EQ(log_.calls.back(), "ended");
}

TEST_F(ChannelTest, GuestThatReadsNothingIsGivenUp) {
    reach_running();
    // Signals are all that the host may send without being granted anything.
    for (int i = 0; i < 2000000 && log_.calls.size() < 4; ++i) {
        channel_->signal(15);
        if (i % 1000 == 0) io_.poll();
        if (i % 1000 == 0) io_.restart();
    }
    await(4);
    EXPECT_EQ(log_.calls.back(), "broken: the guest stopped reading its channel");
}

TEST_F(ChannelTest, TooLongATextIsRefusedHere) {
    say(wire::frame(Type::hello, 0, wire::encode(wire::GuestHello{})));
    await(1);
    wire::Setup setup;
    setup.ca_certs = {std::string(wire::kMaxString + 1, 'c')};
    auto sent = channel_->setup(setup);
    ASSERT_FALSE(sent);
    EXPECT_EQ(sent.error().message,
              "the guest's set-up (certificates and secrets included) holds a text longer than 512.0 KiB or more than "
              "16384 entries");
    EXPECT_EQ(channel_->phase(), Phase::greeted);
}

TEST_F(ChannelTest, NothingIsToldAfterItsOwnerIsGone) {
    say(wire::frame(Type::hello, 0, wire::encode(wire::GuestHello{})));
    owner_.reset();
    run_until(io_, [] { return false; }, std::chrono::milliseconds(20));
    EXPECT_TRUE(log_.calls.empty());
}

}  // namespace
}  // namespace vmette::vm
