#include "vm/qmp.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

#include "tests/vm/session_recorder.h"

namespace vmette::vm {
namespace {

using testing::run_until;

std::optional<QmpEvent> parsed(std::string_view line) {
    auto event = parse_qmp_line(line);
    EXPECT_TRUE(event) << event.error().text();
    return event ? *event : std::nullopt;
}

TEST(QmpLineTest, ReadsTheEventsThatMatter) {
    EXPECT_EQ(parsed(R"({"timestamp": {"seconds": 1, "microseconds": 2}, "event": "SHUTDOWN",)"
                     R"( "data": {"guest": true, "reason": "guest-reset"}})"),
              (QmpEvent{QmpEventKind::shutdown, "guest-reset"}));
    EXPECT_EQ(parsed(R"({"event": "STOP"})"), (QmpEvent{QmpEventKind::stop, ""}));
    EXPECT_EQ(parsed(R"({"event": "GUEST_PANICKED", "data": {"action": "pause"}})"),
              (QmpEvent{QmpEventKind::guest_panicked, ""}));
    EXPECT_EQ(parsed(R"({"event": "BLOCK_IO_ERROR", "data": {"node-name": "scratch", "reason": "No space left"}})"),
              (QmpEvent{QmpEventKind::block_io_error, "scratch: No space left"}));
}

TEST(QmpLineTest, PassesOverGreetingAnswersAndOtherEvents) {
    EXPECT_EQ(parsed(R"({"QMP": {"version": {}, "capabilities": ["oob"]}})"), std::nullopt);
    EXPECT_EQ(parsed(R"({"return": {}})"), std::nullopt);
    EXPECT_EQ(parsed(R"({"event": "RTC_CHANGE", "data": {"offset": 1}})"), std::nullopt);
    EXPECT_EQ(parsed(R"({"event": 7, "data": []})"), std::nullopt);
}

TEST(QmpLineTest, RefusesWhatIsNoObject) {
    EXPECT_EQ(parse_qmp_line("[1,2").error().message, "QEMU's monitor sent what is no JSON object: [1,2");
    EXPECT_FALSE(parse_qmp_line(""));
    EXPECT_FALSE(parse_qmp_line("7"));
    EXPECT_FALSE(parse_qmp_line("{\"event\": \"\xff\"}"));
}

class QmpTest : public ::testing::Test {
protected:
    void SetUp() override {
        auto ends = make_socketpair();
        ASSERT_TRUE(ends);
        peer_ = std::move((*ends)[1]);
        owner_ = std::make_shared<int>(0);
        qmp_ = std::make_unique<Qmp>(io_, std::move((*ends)[0]), [this](const QmpEvent& e) { events_.push_back(e); });
        qmp_->start(owner_);
    }
    void say(std::string_view text) { ASSERT_TRUE(write_all(peer_.get(), text)); }

    asio::io_context io_;
    Fd peer_;
    std::shared_ptr<int> owner_;
    std::vector<QmpEvent> events_;
    std::unique_ptr<Qmp> qmp_;
};

TEST(QmpLineTest, TellsOfSnapshots) {
    EXPECT_EQ(parsed(R"({"event":"RESUME"})"), (QmpEvent{QmpEventKind::resume, {}}));
    EXPECT_EQ(parsed(R"({"event":"MIGRATION","data":{"status":"completed"}})"),
              (QmpEvent{QmpEventKind::migration, "completed"}));
    EXPECT_EQ(parsed(R"({"error":{"class":"GenericError","desc":"no such fd"}})"),
              (QmpEvent{QmpEventKind::refused, "no such fd"}));
}

TEST_F(QmpTest, NegotiatesAtOnce) {
    char said[64] = {};
    ssize_t n = ::recv(peer_.get(), said, sizeof said, MSG_DONTWAIT);
    EXPECT_EQ(std::string_view(said, n > 0 ? static_cast<std::size_t>(n) : 0), "{\"execute\":\"qmp_capabilities\"}\n");
}

TEST_F(QmpTest, JoinsALineFromPieces) {
    for (char c : std::string_view("{\"event\": \"STOP\"}\r\n")) {
        say(std::string_view(&c, 1));
        io_.poll();
    }
    ASSERT_TRUE(run_until(io_, [&] { return !events_.empty(); }));
    EXPECT_EQ(events_.size(), 1u);
}

TEST_F(QmpTest, HandsOverADescriptor) {
    char greeting[64];
    ASSERT_GT(::recv(peer_.get(), greeting, sizeof greeting, 0), 0);
    auto pipe = make_pipe();
    ASSERT_TRUE(pipe);
    ASSERT_TRUE(qmp_->hand_over((*pipe)[1].get(), "state"));
    char text[128] = {};
    iovec into{text, sizeof text};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    msghdr message{};
    message.msg_iov = &into;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ASSERT_GT(::recvmsg(peer_.get(), &message, MSG_CMSG_CLOEXEC), 0);
    EXPECT_STREQ(text, "{\"execute\":\"getfd\",\"arguments\":{\"fdname\":\"state\"}}\n");
    ASSERT_NE(CMSG_FIRSTHDR(&message), nullptr);
    int received = -1;
    std::memcpy(&received, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof received);
    Fd copy(received);
    ASSERT_TRUE(write_all(copy.get(), "x"));
    char byte = 0;
    EXPECT_EQ(::read((*pipe)[0].get(), &byte, 1), 1);
}

TEST_F(QmpTest, EndlessLineIsNotCollected) {
    std::string piece(4096, 'x');
    for (int i = 0; i < 20; ++i) {
        if (::send(peer_.get(), piece.data(), piece.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) break;
        io_.poll();
    }
    // The connection was given up: writing to it fails.
    EXPECT_LT(::send(peer_.get(), "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT), 0);
    EXPECT_TRUE(events_.empty());
}

}  // namespace
}  // namespace vmette::vm
