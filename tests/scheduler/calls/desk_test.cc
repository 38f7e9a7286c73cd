#include "scheduler/calls/desk.h"

#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "base/fd.h"
#include "scheduler/calls/command_desk.h"
#include "scheduler/calls/socket_desk.h"

namespace vmette::scheduler::calls {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// What the host did with one call.
struct CallLog {
    vm::CallObserver* observer = nullptr;
    bool accepted = false, ended = false, hung_up = false;
    std::string answer;
    std::size_t consumed = 0;
    std::size_t room = 256 * 1024;
};

class FakeCall final : public vm::GuestCall {
public:
    explicit FakeCall(std::shared_ptr<CallLog> log) : log_(std::move(log)) {}
    ~FakeCall() override { log_->hung_up = true; }
    void attend(vm::CallObserver& observer) override { log_->observer = &observer; }
    void accept() override { log_->accepted = true; }
    std::size_t room() const override { return log_->room; }
    void send(std::string_view bytes) override {
        EXPECT_LE(bytes.size(), log_->room);
        log_->room -= bytes.size();
        log_->answer += bytes;
    }
    void end() override { log_->ended = true; }
    void consumed(std::size_t bytes) override { log_->consumed += bytes; }

private:
    std::shared_ptr<CallLog> log_;
};

class DeskTest : public ::testing::Test {
protected:
    /// A call that a program of the guest makes now.
    std::shared_ptr<CallLog> call() {
        auto log = std::make_shared<CallLog>();
        desk_->take(std::make_unique<FakeCall>(log));
        return log;
    }
    void says(const std::shared_ptr<CallLog>& call, std::string_view bytes) { call->observer->on_bytes(bytes); }
    template <class Condition>
    bool until(Condition condition, Duration limit = std::chrono::seconds(10)) {
        auto end = std::chrono::steady_clock::now() + limit;
        while (!condition() && std::chrono::steady_clock::now() < end) {
            io_.restart();
            io_.run_one_for(std::chrono::milliseconds(10));
        }
        return condition();
    }
    bool left_within(Duration limit) {
        bool left = false;
        desk_->leave([&] { left = true; });
        return until([&] { return left; }, limit);
    }

    asio::io_context io_;
    std::vector<std::string> warnings_;
    std::unique_ptr<Desk> desk_;
};

class SocketDeskTest : public DeskTest {
protected:
    void SetUp() override {
        auto desk = SocketDesk::open(io_, layout_, "r1");
        ASSERT_TRUE(desk) << desk.error().text();
        desk_ = *std::move(desk);
    }
    std::filesystem::path path() const { return layout_.live_dir("r1") / "vsock"; }
    Fd client() {
        Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strcpy(address.sun_path, path().c_str());
        EXPECT_EQ(::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
        return socket;
    }
    std::string hears(const Fd& client, std::string_view until_text) {
        std::string heard;
        bool over = false;
        until([&] {
            char buffer[65536];
            ssize_t n = over ? -1 : ::recv(client.get(), buffer, sizeof buffer, MSG_DONTWAIT);
            if (n > 0) heard.append(buffer, static_cast<std::size_t>(n));
            if (n == 0) heard += "(end)";
            over = over || n == 0 || (!until_text.empty() && heard.ends_with(until_text));
            return over;
        });
        return heard;
    }

    TempDir folder_ = *TempDir::make();
    Layout layout_{.cache = {}, .state = {}, .runtime = folder_.path(), .config = {}};
};

TEST_F(SocketDeskTest, SocketIsItsOwnersAloneAndGoesWithTheDesk) {
    struct stat info{};
    ASSERT_EQ(::stat(path().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0600u);
    ASSERT_EQ(::stat(path().parent_path().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0700u);
    desk_.reset();
    EXPECT_FALSE(std::filesystem::exists(path().parent_path()));
}

TEST_F(SocketDeskTest, CallWaitsForAReaderAndCostsNothingUntilThen) {
    auto call = this->call();
    io_.poll();
    EXPECT_FALSE(call->accepted);
    Fd reader = client();
    ASSERT_TRUE(until([&] { return call->accepted; }));
    says(call, "hello ");
    says(call, "host");
    call->observer->on_end();
    EXPECT_EQ(hears(reader, ""), "hello host(end)");
    EXPECT_EQ(call->consumed, 10u);
    EXPECT_FALSE(call->hung_up) << "the reader may still answer";
    ASSERT_EQ(::send(reader.get(), "yes", 3, 0), 3);
    reader.reset();
    ASSERT_TRUE(until([&] { return call->hung_up; }));
    EXPECT_EQ(call->answer, "yes");
    EXPECT_TRUE(call->ended);
}

TEST_F(SocketDeskTest, ReadersGetOneCallEachInOrder) {
    Fd first_reader = client(), second_reader = client();
    auto first = call(), second = call(), third = call();
    ASSERT_TRUE(until([&] { return first->accepted && second->accepted; }));
    EXPECT_FALSE(third->accepted);
    says(first, "1");
    says(second, "2");
    EXPECT_EQ(hears(first_reader, "1"), "1");
    EXPECT_EQ(hears(second_reader, "2"), "2");
    first->observer->on_gone();
    EXPECT_EQ(hears(first_reader, ""), "(end)");
    Fd third_reader = client();
    EXPECT_TRUE(until([&] { return third->accepted; }));
}

TEST_F(SocketDeskTest, ReaderThatStopsReadingIsGivenNoMoreThanItsProgramHadCreditFor) {
    Fd reader = client();
    auto call = this->call();
    ASSERT_TRUE(until([&] { return call->accepted; }));
    says(call, std::string(256 * 1024, 'x'));
    says(call, std::string(1, 'y'));
    until([] { return false; }, std::chrono::milliseconds(100));
    std::size_t taken = call->consumed;
    EXPECT_LT(taken, 256 * 1024 + 1u) << "what the socket holds";
    auto other = this->call();
    Fd other_reader = client();
    ASSERT_TRUE(until([&] { return other->accepted; }));
    says(other, "on");
    EXPECT_EQ(hears(other_reader, "on"), "on") << "nobody else is held up";
    EXPECT_TRUE(hears(reader, "y").ends_with("xy"));
    EXPECT_EQ(call->consumed, 256 * 1024 + 1u);
}

TEST_F(SocketDeskTest, ReaderThatIsGoneEndsItsCall) {
    Fd reader = client();
    auto call = this->call();
    ASSERT_TRUE(until([&] { return call->accepted; }));
    reader.reset();
    ASSERT_TRUE(until([&] { return call->ended; }));
    says(call, "too late");
    EXPECT_TRUE(until([&] { return call->hung_up; }));
    EXPECT_EQ(call->consumed, 0u) << "nobody is told that it was taken";
}

TEST_F(SocketDeskTest, ReaderThatLeftBeforeTheCallIsPassedOver) {
    client().reset();
    auto call = this->call();
    Fd reader = client();
    ASSERT_TRUE(until([&] { return call->accepted; }));
    says(call, "x");
    EXPECT_EQ(hears(reader, "x"), "x");
}

TEST_F(SocketDeskTest, ReaderThatSaysAtOnceThatItWillNotAnswerGetsTheCall) {
    Fd reader = client();
    ::shutdown(reader.get(), SHUT_WR);
    auto call = this->call();
    ASSERT_TRUE(until([&] { return call->accepted && call->ended; }));
    says(call, "x");
    EXPECT_EQ(hears(reader, "x"), "x");
    EXPECT_FALSE(call->hung_up);
}

TEST_F(SocketDeskTest, ProgramThatGivesUpWaitingIsForgotten) {
    auto gone = call();
    gone->observer->on_gone();
    auto next = call();
    Fd reader = client();
    ASSERT_TRUE(until([&] { return next->accepted; }));
    EXPECT_FALSE(gone->accepted);
    EXPECT_TRUE(gone->hung_up);
}

TEST_F(SocketDeskTest, WhatAProgramSentBeforeItsEndIsStillPassedOn) {
    Fd reader = client();
    auto call = this->call();
    ASSERT_TRUE(until([&] { return call->accepted; }));
    says(call, "last words");
    call->observer->on_gone();
    EXPECT_EQ(hears(reader, ""), "last words(end)");
}

TEST_F(SocketDeskTest, AnswerWaitsForTheProgramsCredit) {
    Fd reader = client();
    auto call = this->call();
    call->room = 3;
    ASSERT_TRUE(until([&] { return call->accepted; }));
    ASSERT_EQ(::send(reader.get(), "abcdef", 6, 0), 6);
    ASSERT_TRUE(until([&] { return call->answer == "abc"; }));
    call->room = 10;
    call->observer->on_room();
    EXPECT_TRUE(until([&] { return call->answer == "abcdef"; }));
}

TEST_F(SocketDeskTest, EndOfTheRunDoesNotWaitLongForAReader) {
    Fd reader = client();
    auto call = this->call();
    auto waiting = this->call();
    ASSERT_TRUE(until([&] { return call->accepted; }));
    says(call, std::string(256 * 1024, 'x'));
    says(call, std::string(64 * 1024, 'x'));
    EXPECT_TRUE(left_within(std::chrono::seconds(3)));
    EXPECT_TRUE(waiting->hung_up);
}

TEST_F(SocketDeskTest, EndOfTheRunIsAtOnceWhenAllWasRead) {
    Fd reader = client();
    auto call = this->call();
    ASSERT_TRUE(until([&] { return call->accepted; }));
    says(call, "x");
    auto began = std::chrono::steady_clock::now();
    EXPECT_TRUE(left_within(std::chrono::seconds(3)));
    EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::milliseconds(900));
    EXPECT_EQ(hears(reader, ""), "x(end)");
}

class CommandDeskTest : public DeskTest {
protected:
    void serve(const std::string& command) {
        desk_ = std::make_unique<CommandDesk>(io_, command, "run-7",
                                              [this](const std::string& text) { warnings_.push_back(text); });
    }
};

TEST_F(CommandDeskTest, CommandReadsTheCallAndAnswersIt) {
    serve("tr a-z A-Z; echo $VMETTE_RUN_ID");
    auto call = this->call();
    EXPECT_TRUE(call->accepted);
    says(call, "hello\n");
    call->observer->on_end();
    ASSERT_TRUE(until([&] { return call->hung_up; }));
    EXPECT_EQ(call->answer, "HELLO\nrun-7\n");
    EXPECT_TRUE(left_within(std::chrono::seconds(1)));
    EXPECT_THAT(warnings_, ElementsAre());
}

TEST_F(CommandDeskTest, CommandThatEndsEarlyHangsUpAfterItsAnswer) {
    serve("echo done");
    auto call = this->call();
    ASSERT_TRUE(until([&] { return call->hung_up; })) << "though the program has said nothing yet";
    EXPECT_EQ(call->answer, "done\n");
}

TEST_F(CommandDeskTest, CallsBeyondTheLimitWait) {
    serve("cat >/dev/null");
    std::vector<std::shared_ptr<CallLog>> calls;
    for (std::size_t i = 0; i < kMaxCommands + 1; ++i) calls.push_back(call());
    EXPECT_TRUE(calls[kMaxCommands - 1]->accepted);
    EXPECT_FALSE(calls[kMaxCommands]->accepted);
    calls[0]->observer->on_end();
    EXPECT_TRUE(until([&] { return calls[kMaxCommands]->accepted; }));
}

TEST_F(CommandDeskTest, CallsWithoutEndAreSlowedDown) {
    serve("true");
    std::size_t begun = 0;
    auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(500);
    until(
        [&] {
            auto call = this->call();
            if (call->accepted) ++begun;
            return std::chrono::steady_clock::now() >= end;
        },
        std::chrono::seconds(5));
    EXPECT_LE(begun, kMaxCommands + 20) << "those at once, and 20 a second";
}

TEST_F(CommandDeskTest, CommandThatOutlivesTheRunIsKilledAndSaid) {
    TempDir folder = *TempDir::make();
    auto mark = folder.path() / "pid";
    serve(fmt::format("trap '' TERM; echo $$ > {}; sleep 60 | sleep 60", mark.string()));
    auto call = this->call();
    ASSERT_TRUE(until([&] { return std::filesystem::exists(mark) && std::filesystem::file_size(mark) > 0; }));
    auto pid = std::stoi(read_file(mark, 100).value_or("0"));
    EXPECT_TRUE(left_within(std::chrono::seconds(8)));
    ASSERT_EQ(warnings_.size(), 1u);
    EXPECT_EQ(warnings_[0], "--vsock-exec: a command did not end within 5 s of the run, and was killed");
    EXPECT_TRUE(until([&] { return ::kill(pid, 0) != 0; }));
}

TEST_F(CommandDeskTest, CommandThatIsNotThereSaysSoByItsShell) {
    serve("no-such-program-of-a-test 2>&1");
    auto call = this->call();
    ASSERT_TRUE(until([&] { return call->hung_up; }));
    EXPECT_THAT(call->answer, HasSubstr("not found"));
}

}  // namespace
}  // namespace vmette::scheduler::calls
