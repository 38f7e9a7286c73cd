#include "base/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <thread>

#include <gmock/gmock.h>

#include "base/helper.h"
#include "base/layout.h"

namespace vmette {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

constexpr auto kPlenty = std::chrono::seconds(20);  // far beyond what anything here takes

template <typename T>
T value_of(Result<T> result) {
    EXPECT_TRUE(result) << result.error().text();
    return std::move(result).value();
}

ProcessSpec shell(const std::string& script) {
    ProcessSpec spec;
    spec.argv = {"sh", "-c", script};
    return spec;
}

Captured capture(ProcessSpec spec) { return value_of(run_captured(std::move(spec), kPlenty)); }

int exit_code(Process process) {
    auto status = process.wait_for(kPlenty);
    return status && WIFEXITED(*status) ? WEXITSTATUS(*status) : -1;
}

/// True once the process (not a child of ours, perhaps) is gone.
bool gone_within(pid_t pid, Duration limit) {
    Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (!pidfd) return true;
    pollfd ended{pidfd.get(), POLLIN, 0};
    return ::poll(&ended, 1, static_cast<int>(limit.count())) == 1;
}

std::ptrdiff_t open_descriptors() { return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}); }

TEST(SpawnTest, EndIsReportedAsWaitStatus) {
    EXPECT_EQ(exit_code(value_of(spawn(shell("exit 7")))), 7);
    Process killed = value_of(spawn(shell("kill -TERM $$")));
    auto status = killed.wait_for(kPlenty);
    ASSERT_TRUE(status);
    EXPECT_EQ(WTERMSIG(*status), SIGTERM);
    EXPECT_EQ(killed.try_wait(), status) << "asked again, it says the same";
    EXPECT_EQ(describe_status(*status), "was killed by signal 15 (Terminated)");
    EXPECT_EQ(describe_status(7 << 8), "exited with code 7");
}

TEST(SpawnTest, ProgramThatIsNotThereIsNotFound) {
    ProcessSpec spec;
    for (const char* program : {"no-such-program", "/no/such/program", "/etc/passwd", "/etc"}) {
        spec.argv = {program};
        auto process = spawn(spec);
        ASSERT_FALSE(process) << program;
        EXPECT_EQ(process.error().code, ErrorCode::not_found);
        EXPECT_EQ(process.error().text(), fmt::format("the program {} is not installed", program));
    }
}

TEST(SpawnTest, WhatCannotBeExecutedIsNamedWithTheReason) {
    auto folder = value_of(TempDir::make());
    auto path = folder.path() / "junk";
    std::ofstream(path) << "\x01\x02 no program";
    ASSERT_EQ(::chmod(path.c_str(), 0755), 0);
    ProcessSpec spec;
    spec.argv = {path};
    auto process = spawn(spec);
    ASSERT_FALSE(process);
    EXPECT_EQ(process.error().code, ErrorCode::vm);
    EXPECT_EQ(process.error().text(), fmt::format("cannot start {}: execute: Exec format error", path.string()));
}

TEST(SpawnTest, StepsBeforeExecFailByName) {
    ProcessSpec nowhere = shell("true");
    nowhere.directory = "/no/such/folder";
    EXPECT_THAT(spawn(nowhere).error().text(),
                HasSubstr("sh: change the working directory: No such file or directory"));
    ProcessSpec closed = shell("true");
    closed.descriptors = {{9999, 5}};
    EXPECT_THAT(spawn(closed).error().text(), HasSubstr("sh: duplicate a descriptor: Bad file descriptor"));
    ProcessSpec not_a_namespace = shell("true");
    Fd null = value_of(open_file("/dev/null", O_RDONLY));
    not_a_namespace.join_namespaces = {null.get()};
    EXPECT_THAT(spawn(not_a_namespace).error().text(), HasSubstr("sh: join a namespace: Invalid argument"));
}

TEST(SpawnTest, FailedStartsLeaveNoZombieAndNoDescriptor) {
    auto before = open_descriptors();
    for (int i = 0; i < 20; ++i) {
        ProcessSpec spec = shell("true");
        spec.directory = "/no/such/folder";
        ASSERT_FALSE(spawn(spec));
    }
    EXPECT_EQ(open_descriptors(), before);
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
    EXPECT_EQ(errno, ECHILD);
}

TEST(SpawnTest, EnvironmentAndDirectoryAreThoseNamed) {
    ProcessSpec spec;
    spec.argv = {"/usr/bin/env"};
    spec.environment = {"A=1", "B=two words"};
    EXPECT_EQ(capture(spec).out, "A=1\nB=two words\n");
    spec.environment = std::vector<std::string>{};
    EXPECT_EQ(capture(spec).out, "");
    ProcessSpec here = shell("pwd");
    here.directory = "/usr";
    EXPECT_EQ(capture(here).out, "/usr\n");
}

TEST(SpawnTest, StandardStreamsThatAreNotNamedAreNull) {
    auto pipe = value_of(make_pipe());
    ProcessSpec spec;
    spec.argv = helper("standard-streams");
    spec.descriptors = {{pipe[1].get(), 5}};
    Process process = value_of(spawn(spec));
    pipe[1].reset();
    EXPECT_EQ(value_of(read_all(pipe[0].get(), 1000, "pipe")), "/dev/null\n/dev/null\n/dev/null\n");
}

TEST(SpawnTest, DescriptorsMayTradePlaces) {
    auto one = value_of(make_pipe()), two = value_of(make_pipe());
    int a = one[1].get(), b = two[1].get();
    ProcessSpec spec = shell(fmt::format("echo to-{} >&{}; echo to-{} >&{}", a, a, b, b));
    // sh itself speaks only of single digits.
    if (a > 9 || b > 9) GTEST_SKIP() << "descriptors " << a << " and " << b << " have two digits";
    spec.descriptors = {{a, b}, {b, a}};
    EXPECT_EQ(exit_code(value_of(spawn(spec))), 0);
    one[1].reset();
    two[1].reset();
    EXPECT_EQ(value_of(read_all(one[0].get(), 100, "one")), fmt::format("to-{}\n", b));
    EXPECT_EQ(value_of(read_all(two[0].get(), 100, "two")), fmt::format("to-{}\n", a));
}

TEST(SpawnTest, ChildHasTheNamedDescriptorsAndNoOthers) {
    // Some of ours, close-on-exec as all are, and one that is not, as a shell may hand down.
    std::vector<Fd> ours;
    for (int i = 0; i < 10; ++i) ours.push_back(value_of(open_file("/dev/null", O_RDWR)));
    int inherited = ::fcntl(ours[0].get(), F_DUPFD, 50);
    ASSERT_GE(inherited, 50);
    ProcessSpec spec;
    spec.argv = helper("descriptors");
    EXPECT_EQ(capture(spec).out, "0\n1\n2\n");
    spec.descriptors = {{ours[1].get(), 7}, {inherited, 31}};
    EXPECT_EQ(capture(spec).out, "0\n1\n2\n7\n31\n");
    ::close(inherited);
}

TEST(SpawnTest, SignalsAreAsAfterLogin) {
    sigset_t blocked, before;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
    auto* old = std::signal(SIGPIPE, SIG_IGN);
    Captured seen = capture(shell("grep -E 'Sig(Blk|Ign)' /proc/self/status"));
    std::signal(SIGPIPE, old);
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    EXPECT_EQ(seen.out, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

TEST(SpawnTest, ChildLeadsAGroupOfItsOwn) {
    Process process = value_of(spawn(shell("exec sleep 1000")));
    EXPECT_EQ(::getpgid(process.pid()), process.pid());
}

TEST(SpawnTest, ManyChildrenComeAndGoWithoutALeak) {
    auto before = open_descriptors();
    for (int i = 0; i < 50; ++i) EXPECT_EQ(exit_code(value_of(spawn(shell("exit 3")))), 3);
    EXPECT_EQ(open_descriptors(), before);
}

TEST(SpawnTest, UserNamespaceMakesTheCallerItsRoot) {
    ProcessSpec spec = shell("id -u; id -g; cat /proc/net/dev | wc -l");
    spec.unshare_flags = CLONE_NEWUSER | CLONE_NEWNET;
    auto captured = run_captured(spec, kPlenty);
    if (!captured) GTEST_SKIP() << "no user namespaces here: " << captured.error().text();
    EXPECT_EQ(captured->out, "0\n0\n3\n") << "two lines of heading, and lo";
}

TEST(ProcessTest, DroppingOneKillsAndReapsIt) {
    pid_t pid = 0;
    {
        Process process = value_of(spawn(shell("trap '' TERM; exec sleep 1000")));
        pid = process.pid();
        EXPECT_EQ(process.try_wait(), std::nullopt);
    }
    EXPECT_EQ(::kill(pid, 0), -1);
    EXPECT_EQ(errno, ESRCH) << "not even a zombie is left";
}

TEST(ProcessTest, MovedProcessIsTheSameAndTheOldOneEmpty) {
    Process first = value_of(spawn(shell("exec sleep 1000")));
    pid_t pid = first.pid();
    Process second = std::move(first);
    EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): what is left must be empty
    EXPECT_EQ(second.pid(), pid);
    Process third;
    third = std::move(second);
    EXPECT_EQ(third.pid(), pid);
    third = Process();
    EXPECT_TRUE(gone_within(pid, 0ms));
}

TEST(ProcessTest, WaitingEndsAtItsLimit) {
    Process process = value_of(spawn(shell("exec sleep 1000")));
    EXPECT_EQ(process.wait_for(5ms), std::nullopt);
    ASSERT_TRUE(process.signal(SIGKILL));
    auto status = process.wait_for(kPlenty);
    ASSERT_TRUE(status);
    EXPECT_EQ(WTERMSIG(*status), SIGKILL);
    EXPECT_TRUE(process.signal(SIGTERM)) << "signalling what is gone is no error";
}

TEST(ProcessTest, PidfdBecomesReadableAtTheEnd) {
    auto gate = value_of(make_pipe());
    ProcessSpec spec = shell("read line");
    spec.descriptors = {{gate[0].get(), 0}};
    Process process = value_of(spawn(spec));
    pollfd ready{process.pidfd(), POLLIN, 0};
    EXPECT_EQ(::poll(&ready, 1, 0), 0);
    gate[0].reset();
    gate[1].reset();
    EXPECT_EQ(::poll(&ready, 1, 20'000), 1);
    EXPECT_TRUE(process.try_wait());
}

TEST(ParentDeathTest, ChildDiesWithItsParentHoweverThatDies) {
    auto pipe = value_of(make_pipe());
    ProcessSpec spec;
    spec.argv = helper("parent");
    spec.descriptors = {{pipe[1].get(), 1}};
    Process parent = value_of(spawn(spec));
    pipe[1].reset();
    char line[32] = {};
    ASSERT_GT(::read(pipe[0].get(), line, sizeof line - 1), 0);
    pid_t child = std::atoi(line);
    ASSERT_GT(child, 1);
    ASSERT_TRUE(identify_process(child));
    parent.kill();
    EXPECT_TRUE(gone_within(child, 2000ms));
}

TEST(ParentDeathTest, ChildDiesWithTheThreadThatStartedIt) {
    Process process;
    std::thread([&] { process = value_of(spawn(shell("exec sleep 1000"))); }).join();
    auto status = process.wait_for(kPlenty);
    ASSERT_TRUE(status);
    EXPECT_EQ(WTERMSIG(*status), SIGKILL);
}

TEST(CapturedTest, BothStreamsAndTheStatusAreKept) {
    Captured captured = capture(shell("echo out; echo err >&2; exit 3"));
    EXPECT_EQ(captured.out, "out\n");
    EXPECT_EQ(captured.err, "err\n");
    EXPECT_EQ(WEXITSTATUS(captured.status), 3);
    EXPECT_FALSE(captured.ok());
    EXPECT_TRUE(capture(shell("true")).ok());
}

TEST(CapturedTest, FloodIsReadToItsEndAndKeptToTheLimit) {
    auto captured =
        value_of(run_captured(shell("head -c 3000000 /dev/zero; head -c 2000000 /dev/zero >&2"), kPlenty, 1000));
    EXPECT_EQ(captured.out.size(), 1000u);
    EXPECT_EQ(captured.err.size(), 1000u);
    EXPECT_TRUE(captured.ok());
}

TEST(CapturedTest, TimeLimitKills) {
    auto folder = value_of(TempDir::make());
    ProcessSpec spec = shell("echo $$ > pid; exec sleep 1000");
    spec.directory = folder.path();
    auto captured = run_captured(spec, 300ms);
    ASSERT_FALSE(captured);
    EXPECT_EQ(captured.error().code, ErrorCode::timeout);
    EXPECT_EQ(captured.error().text(), "sh did not end within 300ms");
    auto pid = read_file(folder.path() / "pid", 100);
    if (pid && !pid->empty()) {
        EXPECT_TRUE(gone_within(std::stoi(*pid), 0ms));
    }
}

TEST(CapturedTest, GrandchildThatKeepsThePipeDoesNotHoldUp) {
    // It outlives its parent, as nothing of ours would: it is told to.
    Captured captured = capture(shell("sleep 1000 & echo $!"));
    EXPECT_TRUE(captured.ok());
    pid_t left = std::stoi(captured.out);
    EXPECT_TRUE(identify_process(left));
    ::kill(left, SIGKILL);
}

TEST(CapturedTest, WhatCannotStartIsThatError) {
    ProcessSpec spec;
    spec.argv = {"no-such-program"};
    EXPECT_EQ(run_captured(spec, kPlenty).error().text(), "the program no-such-program is not installed");
}

TEST(FindProgramTest, PathThenSbin) {
    EXPECT_TRUE(find_program("sh"));
    EXPECT_EQ(find_program("/bin/sh"), "/bin/sh");
    EXPECT_EQ(find_program("/etc/passwd"), std::nullopt);
    EXPECT_EQ(find_program("no-such-program"), std::nullopt);
    auto folder = value_of(TempDir::make());
    auto program = folder.path() / "vmette-test-program";
    std::ofstream(program) << "#!/bin/sh\n";
    std::string before = ::getenv("PATH");
    ::setenv("PATH", (":" + folder.path().string() + ":").c_str(), 1);
    EXPECT_EQ(find_program(program.filename()), std::nullopt) << "not executable";
    ::chmod(program.c_str(), 0755);
    EXPECT_EQ(find_program(program.filename()), program);
    EXPECT_THAT(find_program("ldconfig").value_or("").string(), HasSubstr("/sbin/ldconfig"));
    ::setenv("PATH", before.c_str(), 1);
}

TEST(IdentityTest, LiveProcessIsItselfAndNoOther) {
    ProcessIdentity own = own_identity();
    EXPECT_EQ(own.pid, ::getpid());
    EXPECT_GT(own.start_ticks, 0u);
    EXPECT_EQ(own.boot_id.size(), 36u);
    EXPECT_TRUE(is_alive(own));

    ProcessIdentity reused = own;
    ++reused.start_ticks;
    EXPECT_FALSE(is_alive(reused)) << "the pid is in use again";
    ProcessIdentity other_boot = own;
    other_boot.boot_id = "00000000-0000-0000-0000-000000000000";
    EXPECT_FALSE(is_alive(other_boot)) << "the host was started again";
    ProcessIdentity wide = own;
    wide.pid += 1LL << 32;
    EXPECT_FALSE(is_alive(wide));
    for (std::int64_t pid : {-1LL, 0LL, 1LL << 30}) EXPECT_FALSE(is_alive({pid, 1, own.boot_id})) << pid;
}

TEST(IdentityTest, ZombieIsNotAlive) {
    Process process = value_of(spawn(shell("exec sleep 1000")));
    ProcessIdentity identity = identify_process(process.pid()).value_or(ProcessIdentity{});
    EXPECT_TRUE(is_alive(identity));
    ASSERT_TRUE(process.signal(SIGKILL));
    ASSERT_TRUE(gone_within(process.pid(), kPlenty));
    EXPECT_EQ(::kill(process.pid(), 0), 0) << "still a zombie";
    EXPECT_FALSE(is_alive(identity));
}

TEST(IdentityTest, NameOfTheCommandCannotConfuseIt) {
    auto folder = value_of(TempDir::make());
    auto program = folder.path() / "a) Z 1 (b";
    std::filesystem::copy_file("/bin/sleep", program);
    ProcessSpec spec;
    spec.argv = {program, "1000"};
    Process process = value_of(spawn(spec));
    auto plain = identify_process(process.pid());
    ASSERT_TRUE(plain);
    EXPECT_GE(plain->start_ticks, own_identity().start_ticks);
    EXPECT_TRUE(is_alive(*plain));
}

}  // namespace
}  // namespace vmette
