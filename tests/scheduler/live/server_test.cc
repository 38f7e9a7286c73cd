#include "scheduler/live/server.h"

#include <gmock/gmock.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <future>
#include <thread>

#include <asio/executor_work_guard.hpp>
#include <asio/post.hpp>

#include "scheduler/live/client.h"

namespace vmette::scheduler::live {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

/// What was asked of a command, in order; read once the server's thread has stopped, or through the io_context.
struct CommandLog {
    std::vector<std::string> calls;
    std::size_t input = 0, consumed = 0;
    std::size_t room = 100'000;
};

class FakeCommand final : public vm::SideCommand {
public:
    explicit FakeCommand(CommandLog& log) : log_(log) {}
    ~FakeCommand() override { log_.calls.emplace_back("gone"); }
    std::size_t stdin_room() const override { return log_.room; }
    void send_stdin(std::string_view bytes) override {
        log_.input += bytes.size();
        log_.room -= bytes.size();
    }
    void close_stdin() override { log_.calls.emplace_back("end of input"); }
    void signal(int number) override { log_.calls.push_back(fmt::format("signal {}", number)); }
    void resize(std::uint32_t columns, std::uint32_t rows) override {
        log_.calls.push_back(fmt::format("{}x{}", columns, rows));
    }
    void consumed(vm::Stream, std::size_t bytes) override { log_.consumed += bytes; }

private:
    CommandLog& log_;
};

class FakeRun final : public ServedRun {
public:
    void on_stop_request(bool now) override { ++(now ? at_once : with_grace); }
    Result<std::unique_ptr<vm::SideCommand>> open_command(const Request& request, vm::SideObserver& observer) override {
        if (request.argv.empty()) return fail(ErrorCode::busy, "no more of them");
        observer_ = &observer;
        return std::make_unique<FakeCommand>(log);
    }
    std::atomic<int> with_grace = 0, at_once = 0;
    CommandLog log;
    vm::SideObserver* observer_ = nullptr;
};

/// A server as a run has one, on a thread of its own.
class LiveServerTest : public testing::Test {
protected:
    void SetUp() override {
        auto server = Server::open(io_, layout_, kId);
        ASSERT_TRUE(server) << server.error().text();
        server_ = *std::move(server);
    }
    void TearDown() override { halt(); }
    void serve() {
        server_->serve(run_);
        thread_ = std::jthread([this] { io_.run(); });
    }
    /// The run is over: its row has been written.
    void halt() {
        if (thread_.joinable()) {
            asio::post(io_, [this] { server_->leave([this] { io_.stop(); }); });
            thread_.join();
        }
    }
    /// On the server's thread, as everything that comes from the guest.
    void on_thread(std::function<void()> what) {
        std::promise<void> done;
        asio::post(io_, [&] {
            what();
            done.set_value();
        });
        done.get_future().wait();
    }
    Client start_command() {
        Client client = ask(Kind::exec);
        EXPECT_EQ(frame_of(client)->type, Type::accepted);
        return client;
    }
    Client ask(Kind kind, bool now = false) {
        Request request;
        request.kind = static_cast<std::uint8_t>(kind);
        request.argv = {"command"};
        request.now = now;
        auto client = Client::ask(layout_, kId, request);
        EXPECT_TRUE(client) << client.error().text();
        return *std::move(client);
    }
    static std::optional<Frame> frame_of(Client& client) {
        auto frame = client.wait(5s);
        EXPECT_TRUE(frame) << frame.error().text();
        return frame ? *frame : std::nullopt;
    }
    /// What becomes of a client that says these bytes: true when it is cut off.
    bool is_cut_off(std::string_view bytes) {
        auto socket = connect_to(layout_, kId);
        EXPECT_TRUE(socket);
        (void)!::send(socket->get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        pollfd waits{socket->get(), POLLIN, 0};
        if (::poll(&waits, 1, 5000) != 1) return false;
        char byte = 0;
        return ::recv(socket->get(), &byte, 1, 0) <= 0;
    }
    /// Asked of the server's thread, until it holds.
    bool eventually(const std::function<bool()>& holds) {
        auto limit = std::chrono::steady_clock::now() + 5s;
        for (bool now = false; std::chrono::steady_clock::now() < limit;) {
            on_thread([&] { now = holds(); });
            if (now) return true;
        }
        return false;
    }
    static mode_t mode_of(const std::filesystem::path& path) {
        struct stat info{};
        EXPECT_EQ(::lstat(path.c_str(), &info), 0) << path;
        return info.st_mode & 07777;
    }

    static constexpr std::string_view kId = "01abc";
    TempDir folder_ = *TempDir::make();
    /// Longer than any socket's address.
    Layout layout_{folder_.path() / "cache", folder_.path() / "state", folder_.path() / std::string(120, 'r') / "run",
                   folder_.path() / "config"};
    FakeRun run_;
    asio::io_context io_{1};
    std::unique_ptr<Server> server_;
    std::jthread thread_;
};

TEST_F(LiveServerTest, SocketIsTheOwnersAloneAndGoneWithTheRun) {
    auto folder = layout_.live_dir(kId);
    EXPECT_EQ(mode_of(folder), 0700u);
    EXPECT_EQ(mode_of(folder / "control"), 0600u);
    EXPECT_TRUE(has_socket(layout_, kId));
    server_.reset();
    EXPECT_FALSE(std::filesystem::exists(folder));
    EXPECT_EQ(connect_to(layout_, kId).error().code, ErrorCode::not_found);
}

TEST_F(LiveServerTest, WatcherHearsTheCodeAndThenTheEnd) {
    serve();
    Client watcher = ask(Kind::watch);
    EXPECT_EQ(frame_of(watcher)->type, Type::accepted);
    halt();
    server_->tell_end(17);
    server_.reset();
    auto ended = frame_of(watcher);
    ASSERT_TRUE(ended);
    EXPECT_EQ(ended->type, Type::ended);
    EXPECT_EQ(unpack<Number>(ended->payload)->value, 17u);
    EXPECT_FALSE(frame_of(watcher)) << "end of file";
}

TEST_F(LiveServerTest, ClientThatCameTooEarlyIsServedAndOneThatCameTooLateSeesTheEnd) {
    Client early = ask(Kind::stop);
    EXPECT_EQ(early.wait(50ms).error().code, ErrorCode::timeout);
    serve();
    EXPECT_EQ(frame_of(early)->type, Type::accepted);
    EXPECT_EQ(run_.with_grace, 1);
    halt();
    Client late = ask(Kind::stop);
    server_.reset();
    EXPECT_FALSE(frame_of(late));
    EXPECT_EQ(run_.with_grace, 1);
}

TEST_F(LiveServerTest, StopIsPassedOnAsItWasMeant) {
    serve();
    Client once = ask(Kind::stop), now = ask(Kind::stop, true);
    EXPECT_EQ(frame_of(once)->type, Type::accepted);
    EXPECT_EQ(frame_of(now)->type, Type::accepted);
    EXPECT_EQ(run_.with_grace, 1);
    EXPECT_EQ(run_.at_once, 1);
}

TEST_F(LiveServerTest, GarbageEndsItsOwnConnectionAlone) {
    serve();
    Client watcher = ask(Kind::watch);
    EXPECT_EQ(frame_of(watcher)->type, Type::accepted);
    Request wrong;
    wrong.magic = 7;
    EXPECT_TRUE(is_cut_off("GET / HTTP/1.1\r\n\r\n"));
    EXPECT_TRUE(is_cut_off(std::string(100000, '\xff')));
    EXPECT_TRUE(is_cut_off(encode_frame(Type::in, "before a request")));
    EXPECT_TRUE(is_cut_off(encode_frame(Type::request, wrong)));
    EXPECT_TRUE(is_cut_off(encode_frame(Type::request, "cut")));
    ASSERT_TRUE(watcher.send(Type::in, "a watcher has no input"));
    EXPECT_FALSE(frame_of(watcher));
    Client other = ask(Kind::watch);
    EXPECT_EQ(frame_of(other)->type, Type::accepted) << "the others are served";
}

TEST_F(LiveServerTest, AnotherVersionIsToldSo) {
    serve();
    Request request;
    request.version = kVersion + 1;
    auto client = Client::ask(layout_, kId, request);
    ASSERT_TRUE(client);
    auto refused = frame_of(*client);
    ASSERT_TRUE(refused && refused->type == Type::refused);
    EXPECT_EQ(refusal(*refused).code, ErrorCode::unsupported);
    EXPECT_THAT(refusal(*refused).message, HasSubstr("another vmette"));
}

TEST_F(LiveServerTest, MoreClientsThanItServesAreTurnedAwayAndPlacesComeBack) {
    serve();
    std::vector<Client> clients;
    for (std::size_t i = 0; i < kMaxConnections; ++i) {
        clients.push_back(ask(Kind::watch));
        ASSERT_EQ(frame_of(clients.back())->type, Type::accepted) << i;
    }
    Client over = ask(Kind::watch);
    auto refused = frame_of(over);
    ASSERT_TRUE(refused && refused->type == Type::refused);
    EXPECT_EQ(refusal(*refused).code, ErrorCode::busy);
    Client stopper = ask(Kind::stop);
    EXPECT_EQ(frame_of(stopper)->type, Type::accepted) << "nobody keeps a run from being stopped";
    EXPECT_EQ(run_.with_grace, 1);
    clients.clear();
    bool served = false;
    for (int attempt = 0; attempt < 50 && !served; ++attempt) {
        Client again = ask(Kind::watch);
        auto frame = again.wait(5s);
        served = frame && *frame && (*frame)->type == Type::accepted;
    }
    EXPECT_TRUE(served);
}

TEST_F(LiveServerTest, CommandsFramesGoBothWays) {
    serve();
    Client client = start_command();
    on_thread([&] {
        run_.observer_->on_started();
        run_.observer_->on_output(vm::Stream::out, "out");
        run_.observer_->on_output(vm::Stream::err, "err");
    });
    EXPECT_EQ(frame_of(client), (Frame{Type::started, ""}));
    EXPECT_EQ(frame_of(client), (Frame{Type::out, "out"}));
    EXPECT_EQ(frame_of(client), (Frame{Type::err, "err"}));
    ASSERT_TRUE(client.send(Type::in, "some input"));
    ASSERT_TRUE(client.send(Type::signal, pack(Number{15})));
    ASSERT_TRUE(client.send(Type::in_end, ""));
    EXPECT_TRUE(eventually([&] { return run_.log.calls.size() == 2; }));
    on_thread([&] { run_.observer_->on_exited({false, 7, false}); });
    auto exited = frame_of(client);
    ASSERT_TRUE(exited && exited->type == Type::exited);
    EXPECT_EQ(unpack<CommandExit>(exited->payload)->code, 7u);
    EXPECT_FALSE(frame_of(client)) << "the connection ends with the command";
    halt();
    EXPECT_EQ(run_.log.input, 10u);
    EXPECT_EQ(run_.log.consumed, 6u);
    EXPECT_EQ(run_.log.calls, (std::vector<std::string>{"signal 15", "end of input", "gone"}));
}

TEST_F(LiveServerTest, ClientThatLeavesIsHungUpOn) {
    serve();
    {
        Client client = start_command();
    }
    EXPECT_TRUE(eventually([&] { return !run_.log.calls.empty(); }));
    EXPECT_EQ(run_.log.calls, std::vector<std::string>{"gone"});
}

TEST_F(LiveServerTest, ClientThatReadsNothingCostsItsCreditAndNoMore) {
    serve();
    Client deaf = start_command();
    // A guest sends what it has credit for: so much and then nothing, because none comes back.
    constexpr std::size_t kCredit = 256 * 1024;
    on_thread([&] {
        for (std::size_t sent = 0; sent < kCredit; sent += 32 * 1024)
            run_.observer_->on_output(vm::Stream::out, std::string(32 * 1024, 'x'));
    });
    std::size_t given_back = 0;
    on_thread([&] { given_back = run_.log.consumed; });
    EXPECT_LT(given_back, kCredit) << "what the socket took, not more";
    Client other = ask(Kind::watch);
    EXPECT_EQ(frame_of(other)->type, Type::accepted) << "the others do not wait for it";
    std::size_t read = 0;
    while (read < kCredit) read += frame_of(deaf)->payload.size();
    EXPECT_TRUE(eventually([&] { return run_.log.consumed == kCredit; }));
    on_thread([&] {
        for (int i = 0; i < 8; ++i) run_.observer_->on_output(vm::Stream::out, std::string(32 * 1024, 'x'));
    });
    auto began = std::chrono::steady_clock::now();
    halt();
    EXPECT_LT(std::chrono::steady_clock::now() - began, 3s) << "the end of the run does not wait for it either";
}

TEST_F(LiveServerTest, MoreInputThanCreditIsRefused) {
    serve();
    Client client = start_command();
    for (int i = 0; i < 2; ++i) (void)client.send(Type::in, std::string(kMaxChunk, 'x'));
    EXPECT_FALSE(frame_of(client));
    halt();
    EXPECT_EQ(run_.log.input, kMaxChunk);
}

TEST_F(LiveServerTest, WindowSizeStormBecomesAFewChangesAndTheLastOne) {
    serve();
    Client client = start_command();
    for (std::uint32_t i = 1; i <= 2000; ++i) ASSERT_TRUE(client.send(Type::resize, pack(Size{i, 50})));
    EXPECT_TRUE(eventually([&] { return !run_.log.calls.empty() && run_.log.calls.back() == "2000x50"; }));
    halt();
    EXPECT_LT(run_.log.calls.size(), 200u);
}

TEST_F(LiveServerTest, SignalsWithoutEndAndThoseThatDoNotExistAreRefused) {
    serve();
    Client client = start_command();
    for (int i = 0; i < 200; ++i) (void)client.send(Type::signal, pack(Number{10}));
    EXPECT_FALSE(frame_of(client));
    for (std::uint32_t number : {0U, 65U, 0xFFFFFFFFU}) {
        Client wrong = start_command();
        (void)wrong.send(Type::signal, pack(Number{number}));
        EXPECT_FALSE(frame_of(wrong));
    }
}

TEST_F(LiveServerTest, WhatTheRunRefusesIsPassedOn) {
    serve();
    Request request;
    request.kind = static_cast<std::uint8_t>(Kind::exec);
    auto client = Client::ask(layout_, kId, request);
    ASSERT_TRUE(client);
    auto refused = frame_of(*client);
    ASSERT_TRUE(refused && refused->type == Type::refused);
    EXPECT_EQ(refusal(*refused).message, "no more of them");
}

TEST_F(LiveServerTest, CommandHearsThatItsMachineIsGone) {
    serve();
    Client client = start_command();
    halt();
    auto failed = frame_of(client);
    ASSERT_TRUE(failed && failed->type == Type::failed);
    EXPECT_EQ(refusal(*failed).message, "the run has ended");
}

TEST_F(LiveServerTest, StaleSocketIsSaidToBeOne) {
    auto stale = layout_.live_dir("stale");
    ASSERT_TRUE(make_private_dir(stale));
    auto other = Place::make(layout_, "other");
    ASSERT_TRUE(other);
    std::filesystem::rename(layout_.live_dir("other") / "control", stale / "control");
    {
        Place closed = *std::move(other);
    }
    EXPECT_TRUE(has_socket(layout_, "stale"));
    auto reached = connect_to(layout_, "stale");
    ASSERT_FALSE(reached);
    EXPECT_EQ(reached.error().code, ErrorCode::not_found);
    EXPECT_THAT(reached.error().message, HasSubstr("nobody listens"));
}

TEST_F(LiveServerTest, FolderThatOthersMayEnterIsNotTrusted) {
    std::filesystem::permissions(layout_.live_dir(kId), std::filesystem::perms(0755));
    auto reached = connect_to(layout_, kId);
    ASSERT_FALSE(reached);
    EXPECT_THAT(reached.error().message, HasSubstr("is open to other users (mode 0755)"));
}

TEST_F(LiveServerTest, FolderOfAnotherUserIsNotTrusted) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can make a folder another user's";
    ASSERT_EQ(::chown(layout_.live_dir(kId).c_str(), 65534, 65534), 0);
    auto reached = connect_to(layout_, kId);
    ASSERT_FALSE(reached);
    EXPECT_THAT(reached.error().message, HasSubstr("belongs to another user (uid 65534)"));
    ASSERT_EQ(::chown(layout_.runtime.c_str(), 65534, 65534), 0);
    auto made = Place::make(layout_, "second");
    ASSERT_FALSE(made);
    EXPECT_THAT(made.error().message, HasSubstr("another user"));
}

TEST_F(LiveServerTest, ProcessOfAnotherUserIsTurnedAwayAtTheSocketToo) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
    serve();
    // As if a descriptor of the folder had been handed to them: the permissions are out of the way.
    for (auto path = layout_.live_dir(kId); path != folder_.path().parent_path(); path = path.parent_path())
        std::filesystem::permissions(path, std::filesystem::perms(0755));
    ASSERT_EQ(::chmod((layout_.live_dir(kId) / "control").c_str(), 0666), 0);
    auto folder = layout_.live_dir(kId);
    pid_t stranger = ::fork();
    if (stranger == 0) {
        // Nothing but system calls: the other thread's locks are held for ever here.
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, "control", 8);
        int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        char byte = 0;
        bool reached = ::chdir(folder.c_str()) == 0 && ::setgid(65534) == 0 && ::setuid(65534) == 0 &&
                       ::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
        ::_exit(!reached ? 2 : ::recv(socket, &byte, 1, 0) <= 0 ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(stranger, &status, 0), stranger);
    EXPECT_EQ(status, 0) << "it came as far as the socket, and was cut off there";
}

}  // namespace
}  // namespace vmette::scheduler::live
