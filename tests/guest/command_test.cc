/// Commands: how they start, what flows, how they end.

#include "guest/fixture.h"

namespace vmette::guest_test {
namespace {

class CommandTest : public GuestTest {
protected:
    FailureKind refusal(const wire::Exec& exec, std::string* message = nullptr) {
        CommandResult result = run(*machine_, exec, next_stream_++);
        EXPECT_TRUE(result.failure.has_value());
        if (!result.failure) return {};
        if (message != nullptr) *message = result.failure->message;
        return static_cast<FailureKind>(result.failure->kind);
    }
    wire::Exec program(std::vector<std::string> argv) {
        wire::Exec exec;
        exec.argv = std::move(argv);
        return exec;
    }
    void expect_started(std::uint16_t stream) {
        auto frame = machine_->next();
        ASSERT_TRUE(frame);
        EXPECT_EQ(frame->type, Type::started);
        EXPECT_EQ(frame->stream, stream);
    }
};

TEST_F(CommandTest, EndsAreToldApart) {
    ASSERT_NO_FATAL_FAILURE(boot());
    CommandResult coded = run(*machine_, shell("echo out; echo err >&2; exit 42"), 1);
    ASSERT_TRUE(coded.exited);
    EXPECT_EQ(coded.out, "out\n");
    EXPECT_EQ(coded.err, "err\n");
    EXPECT_FALSE(coded.exited->signaled);
    EXPECT_EQ(coded.exited->code, 42U);
    CommandResult killed = run(*machine_, shell("kill -9 $$"), 2);
    ASSERT_TRUE(killed.exited);
    EXPECT_TRUE(killed.exited->signaled);
    EXPECT_EQ(killed.exited->code, 9U);
    EXPECT_FALSE(killed.exited->oom);
}

TEST_F(CommandTest, WhatCannotStartSaysWhy) {
    write_file(root() / "bin/data", "not a program");
    write_file(root() / "bin/script", "#!/no/such/interpreter\n");
    write_file(root() / "bin/plain", "x");
    for (const char* name : {"data", "script"})
        std::filesystem::permissions(root() / "bin" / name, std::filesystem::perms::all);
    ASSERT_NO_FATAL_FAILURE(boot());
    std::string message;
    EXPECT_EQ(refusal(program({"nonesuch"}), &message), FailureKind::not_found);
    EXPECT_EQ(message, "nonesuch: no such program");
    EXPECT_EQ(refusal(program({"/nonesuch"})), FailureKind::not_found);
    EXPECT_EQ(refusal(program({"data"}), &message), FailureKind::not_executable);
    EXPECT_EQ(message, "data: Exec format error");
    EXPECT_EQ(refusal(program({"/bin/plain"}), &message), FailureKind::not_executable);
    EXPECT_EQ(message, "/bin/plain: Permission denied");
    EXPECT_EQ(refusal(program({"script"}), &message), FailureKind::not_executable);
    EXPECT_EQ(message, "/bin/script: its interpreter is not in the image");
    EXPECT_EQ(refusal(program({})), FailureKind::not_found);
    wire::Exec exec = program({"true"});
    exec.user = "nobody";
    EXPECT_EQ(refusal(exec), FailureKind::bad_user);
    exec.user = "";
    exec.workdir = "/etc/passwd";
    EXPECT_EQ(refusal(exec, &message), FailureKind::bad_workdir);
    EXPECT_EQ(message, "workdir /etc/passwd: Not a directory");
    exec.workdir = "relative";
    EXPECT_EQ(refusal(exec), FailureKind::bad_workdir);
}

TEST_F(CommandTest, RunsAsItsUserInItsFolderWithItsEnvironment) {
    ASSERT_NO_FATAL_FAILURE(boot());
    wire::Exec exec = shell("id -u; id -G; pwd; echo $HOME $A; echo again > /dev/stdout; touch here && echo mine");
    exec.user = "agent";
    exec.workdir = "/made/on/demand";
    exec.env = {{"A", "a b"}};
    EXPECT_EQ(run(*machine_, exec).out, "1000\n1000 29\n/made/on/demand\n/home/agent a b\nagain\nmine\n");
}

TEST_F(CommandTest, ArgumentsStayWhole) {
    ASSERT_NO_FATAL_FAILURE(boot());
    EXPECT_EQ(run(*machine_, program({"printf", "<%s>", "a b", "", "$x;*"})).out, "<a b><><$x;*>");
}

TEST_F(CommandTest, InputFlowsAsFarAsItIsTaken) {
    ASSERT_NO_FATAL_FAILURE(boot());
    wire::Exec exec = shell("wc -c");
    exec.stdin_open = true;
    machine_->send(Type::exec, 1, wire::encode(exec));
    ASSERT_NO_FATAL_FAILURE(expect_started(1));
    std::size_t credit = wire::kInitialCredit, sent = 0;
    constexpr std::size_t kTotal = 3 << 20;
    while (sent < kTotal) {
        std::size_t n = std::min({credit, kTotal - sent, wire::kMaxChunk});
        if (n > 0) machine_->send(Type::in, 1, std::string(n, 'x'));
        sent += n;
        credit -= n;
        if (credit > 0) continue;
        auto frame = machine_->next();
        ASSERT_TRUE(frame);
        wire::Credit more;
        ASSERT_EQ(frame->type, Type::credit);
        ASSERT_TRUE(wire::decode(frame->payload, more));
        credit += more.bytes;
    }
    machine_->send(Type::in_end, 1);
    EXPECT_EQ(read_to_end(*machine_, 1).out, std::to_string(kTotal) + "\n");
}

TEST_F(CommandTest, InputBeyondTheCreditIsAProtocolError) {
    ASSERT_NO_FATAL_FAILURE(boot());
    wire::Exec exec = shell("sleep 60");
    exec.stdin_open = true;
    machine_->send(Type::exec, 1, wire::encode(exec));
    ASSERT_NO_FATAL_FAILURE(expect_started(1));
    for (int i = 0; i < 6; ++i) machine_->send(Type::in, 1, std::string(wire::kMaxChunk, 'x'));
    CommandResult result = read_to_end(*machine_, 1);
    ASSERT_TRUE(result.failure);
    EXPECT_EQ(result.failure->kind, static_cast<std::uint8_t>(FailureKind::protocol));
}

TEST_F(CommandTest, OutputWaitsForCreditWhileBeatsGoOn) {
    ASSERT_NO_FATAL_FAILURE(boot());
    machine_->send(Type::exec, 1, wire::encode(shell("head -c 1000000 /dev/zero; echo done >&2")));
    std::size_t received = 0;
    int beats = machine_->beats();
    while (auto frame = machine_->next(Milliseconds(1500)))
        if (frame->type == Type::out) received += frame->payload.size();
    EXPECT_EQ(received, wire::kInitialCredit);
    EXPECT_GE(machine_->beats(), beats + 3);
    wire::Credit credit{static_cast<std::uint8_t>(Type::out), 1'000'000};
    machine_->send(Type::credit, 1, wire::encode(credit));
    CommandResult result = read_to_end(*machine_, 1);
    EXPECT_EQ(received + result.out.size(), 1'000'000U);
    EXPECT_EQ(result.err, "done\n");
    EXPECT_TRUE(result.exited.has_value());
}

TEST_F(CommandTest, SignalReachesTheWholeGroup) {
    ASSERT_NO_FATAL_FAILURE(boot());
    machine_->send(Type::exec, 1, wire::encode(shell("trap 'echo got; exit 3' TERM; echo up; sleep 60 & wait; wait")));
    ASSERT_NO_FATAL_FAILURE(expect_started(1));
    auto up = machine_->next();
    ASSERT_TRUE(up);
    EXPECT_EQ(up->payload, "up\n");
    machine_->send(Type::signal, 1, wire::encode(wire::SignalRequest{15}));
    CommandResult result = read_to_end(*machine_, 1);
    EXPECT_EQ(result.out, "got\n");
    ASSERT_TRUE(result.exited);
    EXPECT_EQ(result.exited->code, 3U);
}

TEST_F(CommandTest, TerminalIsOneStreamWithASize) {
    ASSERT_NO_FATAL_FAILURE(boot());
    wire::Exec exec = shell("tty; stty size; echo err >&2; read line; stty size; echo \"[$line]\"; cat");
    exec.tty = true;
    exec.columns = 132;
    exec.rows = 43;
    exec.stdin_open = true;
    machine_->send(Type::exec, 1, wire::encode(exec));
    ASSERT_NO_FATAL_FAILURE(expect_started(1));
    machine_->send(Type::resize, 1, wire::encode(wire::Resize{100, 30}));
    machine_->send(Type::in, 1, "hello\n");
    machine_->send(Type::in_end, 1);
    CommandResult result = read_to_end(*machine_, 1);
    ASSERT_TRUE(result.exited);
    EXPECT_EQ(result.exited->code, 0U);
    EXPECT_EQ(result.err, "");
    EXPECT_THAT(result.out, ::testing::HasSubstr("/dev/pts/0\r\n"));
    EXPECT_THAT(result.out, ::testing::HasSubstr("err\r\n"));
    EXPECT_THAT(result.out, ::testing::HasSubstr("30 100\r\n[hello]\r\n"));
}

/// A shell changes the terminal's mode before it reads, and the kernel then drops what marked the end.
TEST_F(CommandTest, EndOfATerminalsInputStaysWhateverTheModeDoes) {
    ASSERT_NO_FATAL_FAILURE(boot());
    wire::Exec exec = shell("stty raw; sleep 1; stty sane; cat; cat; echo over");
    exec.tty = true;
    exec.stdin_open = true;
    machine_->send(Type::exec, 1, wire::encode(exec));
    ASSERT_NO_FATAL_FAILURE(expect_started(1));
    machine_->send(Type::in_end, 1);
    CommandResult result = read_to_end(*machine_, 1);
    ASSERT_TRUE(result.exited);
    EXPECT_THAT(result.out, ::testing::HasSubstr("over"));
}

TEST_F(CommandTest, ChildrenLeftBehindDoNotHoldTheEnd) {
    ASSERT_NO_FATAL_FAILURE(boot());
    CommandResult result = run(*machine_, shell("(sleep 1000; echo never) & echo now"));
    ASSERT_TRUE(result.exited);
    EXPECT_EQ(result.out, "now\n");
    finish();
}

TEST_F(CommandTest, SeveralRunBesideEachOther) {
    ASSERT_NO_FATAL_FAILURE(boot());
    wire::Exec waiting = shell("read line; echo one-$line");
    waiting.stdin_open = true;
    machine_->send(Type::exec, 1, wire::encode(waiting));
    ASSERT_NO_FATAL_FAILURE(expect_started(1));
    EXPECT_EQ(run(*machine_, shell("echo two"), 2).out, "two\n");
    machine_->send(Type::in, 1, "go\n");
    EXPECT_EQ(read_to_end(*machine_, 1).out, "one-go\n");
}

TEST_F(CommandTest, StdinIsEmptyUnlessItIsOpen) {
    ASSERT_NO_FATAL_FAILURE(boot());
    EXPECT_EQ(output_of("cat; echo end"), "end\n");
}

}  // namespace
}  // namespace vmette::guest_test
