#include <csignal>

#include "tests/vm/guest_fixture.h"

namespace vmette::vm::testing {
namespace {

using GuestTest = GuestFixture;

TEST_F(GuestTest, RunsACommandAndReportsOutputAndExitCode) {
    run(spec(), "echo out; echo err >&2; exit 42");
    EXPECT_EQ(seen_.out, "out\n");
    EXPECT_EQ(seen_.err, "err\n");
    EXPECT_FALSE(seen_.end->signaled);
    EXPECT_EQ(seen_.end->code, 42u);
    session_->finish({});
    ASSERT_TRUE(run_until(io_, [&] { return seen_.usage || seen_.death; }));
    EXPECT_FALSE(seen_.death);
    EXPECT_EQ(ledger_.live.size(), 1u);
    auto qemu = ledger_.seen.at("qemu");
    EXPECT_TRUE(is_alive(qemu));
    EXPECT_EQ(session_->pull(), std::vector<std::string>());
    EXPECT_FALSE(is_alive(qemu));
    EXPECT_TRUE(ledger_.live.empty());
}

TEST_F(GuestTest, WritesTheScratchDisk) {
    auto with_scratch = spec();
    with_scratch.root.upper = Upper::scratch;
    with_scratch.scratch_bytes = 64 * kMiB;
    run(with_scratch, "dd if=/dev/zero of=/big bs=1M count=20 2>/dev/null && cat /big | dd of=/dev/null 2>/dev/null");
    EXPECT_EQ(seen_.end->code, 0u);
}

TEST_F(GuestTest, PanicIsSeenWithinASecond) {
    set_up(spec());
    ASSERT_FALSE(HasFatalFailure());
    exec({"/bin/sh", "-c", "echo c > /proc/sysrq-trigger"});
    auto begin = std::chrono::steady_clock::now();
    ASSERT_TRUE(run_until(io_, [&] { return seen_.death.has_value(); }));
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
    EXPECT_EQ(seen_.death->kind, DeathKind::guest_panicked);
    EXPECT_EQ(seen_.death->message, "the guest's kernel panicked: Kernel panic - not syncing: sysrq triggered crash");
}

TEST_F(GuestTest, RebootIsSeenWithinASecond) {
    set_up(spec());
    ASSERT_FALSE(HasFatalFailure());
    exec({"/bin/sh", "-c", "echo b > /proc/sysrq-trigger"});
    auto begin = std::chrono::steady_clock::now();
    ASSERT_TRUE(run_until(io_, [&] { return seen_.death.has_value(); }));
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
    EXPECT_EQ(seen_.death->kind, DeathKind::guest_reset);
    EXPECT_EQ(seen_.death->message, "the guest rebooted while its command was not done");
}

TEST_F(GuestTest, SilentGuestIsReportedAfterASecondAndGivenUpAfterTen) {
    set_up(spec());
    ASSERT_FALSE(HasFatalFailure());
    ASSERT_EQ(::kill(static_cast<pid_t>(ledger_.seen.at("qemu").pid), SIGSTOP), 0);
    auto begin = std::chrono::steady_clock::now();
    ASSERT_TRUE(run_until(io_, [&] { return seen_.has("silent"); }));
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(1500));
    ASSERT_TRUE(run_until(io_, [&] { return seen_.death.has_value(); }));
    EXPECT_EQ(seen_.death->kind, DeathKind::guest_silent);
    EXPECT_EQ(seen_.death->message, "the guest has been silent for 10 s");
    EXPECT_EQ(session_->pull(), std::vector<std::string>());
}

TEST_F(GuestTest, SilentGuestThatIsHeardAgainGoesOn) {
    set_up(spec());
    ASSERT_FALSE(HasFatalFailure());
    auto qemu = static_cast<pid_t>(ledger_.seen.at("qemu").pid);
    ASSERT_EQ(::kill(qemu, SIGSTOP), 0);
    ASSERT_TRUE(run_until(io_, [&] { return seen_.has("silent"); }));
    ASSERT_EQ(::kill(qemu, SIGCONT), 0);
    ASSERT_TRUE(run_until(io_, [&] { return seen_.has("heard"); }));
    exec({"/bin/true"});
    ASSERT_TRUE(run_until(io_, [&] { return seen_.end.has_value(); }));
    EXPECT_EQ(seen_.end->code, 0u);
}

TEST_F(GuestTest, KilledQemuIsNamed) {
    set_up(spec());
    ASSERT_FALSE(HasFatalFailure());
    ASSERT_EQ(::kill(static_cast<pid_t>(ledger_.seen.at("qemu").pid), SIGKILL), 0);
    ASSERT_TRUE(run_until(io_, [&] { return seen_.death.has_value(); }, std::chrono::seconds(1)));
    EXPECT_EQ(seen_.death->kind, DeathKind::qemu_exited);
    EXPECT_EQ(seen_.death->message, "QEMU was killed by signal 9 (Killed)");
}

TEST_F(GuestTest, SlowConsumerGetsEveryByte) {
    set_up(spec());
    ASSERT_FALSE(HasFatalFailure());
    seen_.keep_output = false;
    seen_.consume = false;
    exec({"/bin/dd", "if=/dev/zero", "bs=64k", "count=3200", "status=none"});
    constexpr std::size_t kTotal = std::size_t{3200} * 65536;
    std::size_t given = 0;
    while (given < kTotal) {
        // Nothing more comes while no credit is given back, and the machine stays alive meanwhile.
        ASSERT_TRUE(run_until(io_, [&] { return seen_.out_bytes > given || seen_.death; }));
        ASSERT_FALSE(seen_.death) << seen_.death->message;
        run_until(io_, [] { return false; }, std::chrono::milliseconds(1));
        ASSERT_LE(seen_.out_bytes - given, 256 * kKiB);
        session_->consumed(Stream::out, seen_.out_bytes - given);
        given = seen_.out_bytes;
    }
    ASSERT_TRUE(run_until(io_, [&] { return seen_.end || seen_.death; }));
    EXPECT_EQ(seen_.out_bytes, kTotal);
    EXPECT_EQ(seen_.end->code, 0u);
}

TEST_F(GuestTest, ConsoleFloodStarvesNothing) {
    set_up(spec());
    ASSERT_FALSE(HasFatalFailure());
    exec({"/bin/sh", "-c", "dd if=/dev/zero of=/dev/ttyS0 bs=4k 2>/dev/null & sleep 2; echo done; kill $!"});
    ASSERT_TRUE(run_until(io_, [&] { return seen_.end || seen_.death; }));
    ASSERT_TRUE(seen_.end) << seen_.death->message;
    EXPECT_EQ(seen_.out, "done\n");
    EXPECT_FALSE(seen_.has("silent"));
}

TEST_F(GuestTest, MissingCommandIsToldApart) {
    set_up(spec());
    ASSERT_FALSE(HasFatalFailure());
    exec({"/bin/nothing-here"});
    ASSERT_TRUE(run_until(io_, [&] { return seen_.failure || seen_.end || seen_.death; }));
    ASSERT_TRUE(seen_.failure);
    EXPECT_EQ(seen_.failure->kind, GuestFailureKind::not_found);
}

TEST_F(GuestTest, StdinReachesTheCommand) {
    set_up(spec());
    ASSERT_FALSE(HasFatalFailure());
    GuestCommand command;
    command.argv = {"/bin/cat"};
    command.stdin_open = true;
    session_->exec(command);
    std::string sent(1 * kMiB, 'x');
    std::string_view rest = sent;
    while (!rest.empty()) {
        ASSERT_TRUE(run_until(io_, [&] { return session_->stdin_room() > 0 || seen_.death; }));
        auto piece = rest.substr(0, session_->stdin_room());
        session_->send_stdin(piece);
        rest.remove_prefix(piece.size());
    }
    session_->close_stdin();
    ASSERT_TRUE(run_until(io_, [&] { return seen_.end || seen_.death; }));
    EXPECT_EQ(seen_.out, sent);
}

TEST_F(GuestTest, OversizedEnvironmentIsRefusedBeforeItIsSent) {
    set_up(spec());
    ASSERT_FALSE(HasFatalFailure());
    GuestCommand command;
    command.argv = {"/bin/true"};
    command.env = {
        {"A", std::string(500 * kKiB, 'a')}, {"B", std::string(500 * kKiB, 'b')}, {"C", std::string(100 * kKiB, 'c')}};
    session_->exec(command);
    EXPECT_FALSE(seen_.failure) << "reported from inside the call";
    ASSERT_TRUE(run_until(io_, [&] { return seen_.failure || seen_.death; }));
    EXPECT_EQ(seen_.failure->message, "the command with its environment is 1.1 MiB long, and the guest takes 1.0 MiB");
}

TEST_F(GuestTest, PullFromInsideAnObserverCallIsSafe) {
    class Puller final : public SessionObserver {
    public:
        std::unique_ptr<Session> session;
        bool pulled = false;
        void on_hello() override {
            session.reset();
            pulled = true;
        }
        void on_ready(const std::vector<std::string>&) override { ADD_FAILURE(); }
        void on_started() override { ADD_FAILURE(); }
        void on_output(Stream, std::string_view) override { ADD_FAILURE(); }
        void on_console(std::string_view) override {}
        void on_exited(const CommandEnd&) override { ADD_FAILURE(); }
        void on_guest_failure(const GuestFailure&) override { ADD_FAILURE(); }
        void on_finished(const GuestUsage&) override { ADD_FAILURE(); }
        void on_silence(bool) override { ADD_FAILURE(); }
        void on_stdin_room() override { ADD_FAILURE(); }
        void on_death(const Death&) override { ADD_FAILURE(); }
    } puller;
    auto started = Session::start(io_, *host_, spec(), puller);
    ASSERT_TRUE(started) << started.error().text();
    puller.session = std::move(*started);
    ASSERT_TRUE(run_until(io_, [&] { return puller.pulled; }));
    EXPECT_TRUE(ledger_.live.empty());
    EXPECT_TRUE(run_until(io_, [] { return true; }));
}

TEST_F(GuestTest, ProbeFindsThatEmulationWorks) {
    auto wanted = spec();
    auto found = probe(Accel::tcg, wanted.kernel, wanted.initramfs, wanted.kernel_has_timer_patch,
                       wanted.kernel_has_mmio_cmdline, wanted.tsc_khz, std::chrono::seconds(10));
    EXPECT_TRUE(found.works) << found.detail;
    EXPECT_GT(found.boot_ms, 0u);
}

TEST_F(GuestTest, ProbeEndsAtItsLimit) {
    auto wanted = spec();
    auto begin = std::chrono::steady_clock::now();
    auto found = probe(Accel::tcg, wanted.kernel, wanted.initramfs, wanted.kernel_has_timer_patch,
                       wanted.kernel_has_mmio_cmdline, wanted.tsc_khz, std::chrono::milliseconds(50));
    EXPECT_FALSE(found.works);
    EXPECT_EQ(found.detail, "no hello from the guest within 0.05 s");
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
}

}  // namespace
}  // namespace vmette::vm::testing
