#include "vm/vsock.h"

#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <asio/io_context.hpp>

#include "guest/protocol.h"
#include "vm/vsock_calls.h"

namespace vmette::vm {
namespace {

using ::testing::HasSubstr;

class CallRecorder final : public CallObserver {
public:
    std::string bytes;
    std::vector<std::string> events;
    void on_bytes(std::string_view more) override { bytes += more; }
    void on_end() override { events.emplace_back("end"); }
    void on_room() override { events.emplace_back("room"); }
    void on_gone() override { events.emplace_back("gone"); }
    bool has(std::string_view event) const { return std::ranges::find(events, event) != events.end(); }
};

/// A call on a socket of the host, which stands for one of vsock: nothing but the address differs.
class SocketCallTest : public ::testing::Test {
protected:
    void SetUp() override {
        auto ends = make_socketpair();
        ASSERT_TRUE(ends);
        call_ = make_socket_call(io_, std::move((*ends)[0]));
        program_ = std::move((*ends)[1]);
        call_->attend(observer_);
    }
    /// Runs what is due, and waits (5 s at most) until the condition holds.
    template <class Condition>
    bool until(Condition condition) {
        auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(5);
        io_.restart();
        while (!condition() && std::chrono::steady_clock::now() < limit) {
            io_.restart();
            io_.run_one_for(std::chrono::milliseconds(10));
        }
        return condition();
    }
    void program_says(std::string_view bytes) {
        ASSERT_EQ(::send(program_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
    }
    std::string program_hears() {
        char buffer[65536];
        ssize_t n = ::recv(program_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
        return n > 0 ? std::string(buffer, static_cast<std::size_t>(n)) : n == 0 ? "(end)" : "(nothing)";
    }

    asio::io_context io_;
    CallRecorder observer_;
    std::unique_ptr<GuestCall> call_;
    Fd program_;
};

TEST_F(SocketCallTest, BytesComeOnceItIsAcceptedToTheirEnd) {
    program_says("hello");
    io_.poll();
    EXPECT_EQ(observer_.bytes, "");
    call_->accept();
    ASSERT_TRUE(until([&] { return observer_.bytes == "hello"; }));
    ::shutdown(program_.get(), SHUT_WR);
    ASSERT_TRUE(until([&] { return observer_.has("end"); }));
}

TEST_F(SocketCallTest, NoMoreIsReadThanWasDealtWith) {
    int whole = 4 * static_cast<int>(wire::kInitialCredit);
    ASSERT_EQ(::setsockopt(program_.get(), SOL_SOCKET, SO_SNDBUF, &whole, sizeof whole), 0);
    const std::string piece(4096, 'x');
    std::size_t sent = 0;
    while (::send(program_.get(), piece.data(), piece.size(), MSG_DONTWAIT) > 0) sent += piece.size();
    ASSERT_GT(sent, wire::kInitialCredit + 1000);
    call_->accept();
    EXPECT_TRUE(until([&] { return observer_.bytes.size() == wire::kInitialCredit; }));
    io_.poll();
    EXPECT_EQ(observer_.bytes.size(), wire::kInitialCredit);
    call_->consumed(1000);
    EXPECT_TRUE(until([&] { return observer_.bytes.size() == wire::kInitialCredit + 1000; }));
}

TEST_F(SocketCallTest, AnswerIsBoundedUntilTheProgramReads) {
    call_->accept();
    EXPECT_EQ(call_->room(), wire::kInitialCredit);
    call_->send(std::string(call_->room(), 'a'));
    EXPECT_EQ(call_->room(), 0u);
    std::size_t heard = 0;
    ASSERT_TRUE(until([&] {
        auto more = program_hears();
        if (more.front() == 'a') heard += more.size();
        return heard == wire::kInitialCredit;
    }));
    EXPECT_TRUE(observer_.has("room"));
    call_->end();
    EXPECT_TRUE(until([&] { return program_hears() == "(end)"; }));
}

TEST_F(SocketCallTest, ProgramThatDiesIsGone) {
    call_->accept();
    program_says("x");
    call_->send("unread");
    ASSERT_TRUE(until([&] { return observer_.bytes == "x"; }));
    program_.reset();
    EXPECT_TRUE(until([&] { return observer_.has("gone") || observer_.has("end"); }));
    call_->send("nobody hears this");
    EXPECT_TRUE(until([&] { return observer_.has("gone"); }));
}

TEST_F(SocketCallTest, LettingGoHangsUpAndNothingIsHeardAfter) {
    call_->accept();
    program_says("x");
    call_.reset();
    io_.run_for(std::chrono::milliseconds(20));
    EXPECT_EQ(observer_.bytes, "");
    EXPECT_EQ(::send(program_.get(), "y", 1, MSG_NOSIGNAL), -1);
    EXPECT_EQ(errno, EPIPE);
}

TEST(VsockCallsTest, CallersThatAreNotTheGuestAreTurnedAway) {
    asio::io_context io;
    Fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    // Given by the kernel: of the abstract names (unix(7)).
    ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address.sun_family), 0);
    socklen_t size = sizeof address;
    ASSERT_EQ(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    ASSERT_EQ(::listen(listener.get(), 8), 0);
    std::vector<std::unique_ptr<GuestCall>> calls;
    int asked = 0;
    VsockCalls arriving(
        io, std::move(listener), [&](int) { return ++asked == 2; },
        [&](std::unique_ptr<GuestCall> call) { calls.push_back(std::move(call)); });
    auto owner = std::make_shared<int>();
    arriving.start(owner);
    std::vector<Fd> callers;
    for (int i = 0; i < 3; ++i) {
        callers.emplace_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        ASSERT_EQ(::connect(callers.back().get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    }
    for (int i = 0; i < 100 && asked < 3; ++i) io.run_one_for(std::chrono::milliseconds(50));
    EXPECT_EQ(asked, 3);
    EXPECT_EQ(calls.size(), 1u);
    char byte = 0;
    EXPECT_EQ(::recv(callers[0].get(), &byte, 1, 0), 0) << "closed";
    EXPECT_EQ(::recv(callers[1].get(), &byte, 1, MSG_DONTWAIT), -1) << "open";
    arriving.close();
}

TEST(VsockTest, PeerOfAnotherKindOfSocketHasNoAddress) {
    auto ends = make_socketpair();
    ASSERT_TRUE(ends);
    EXPECT_EQ(vsock_peer((*ends)[0].get()), 0u);
    EXPECT_EQ(vsock_peer(-1), 0u);
}

TEST(VsockTest, HostWithoutItSaysSo) {
    if (vsock_available()) GTEST_SKIP() << "this host has /dev/vhost-vsock";
    auto opened = Vsock::open(0);
    ASSERT_FALSE(opened);
    EXPECT_THAT(opened.error().text(), HasSubstr("/dev/vhost-vsock"));
}

TEST(VsockTest, MachinesGetAddressesAndPortsOfTheirOwn) {
    if (!vsock_available()) GTEST_SKIP() << "this host has no /dev/vhost-vsock (modprobe vhost_vsock)";
    auto first = Vsock::open(0), second = Vsock::open(0);
    ASSERT_TRUE(first) << first.error().text();
    ASSERT_TRUE(second) << second.error().text();
    EXPECT_GT(first->cid, 2u);
    EXPECT_NE(first->cid, second->cid);
    EXPECT_NE(first->port, second->port);
    auto taken = Vsock::open(first->port);
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error().code, ErrorCode::busy);
}

}  // namespace
}  // namespace vmette::vm
