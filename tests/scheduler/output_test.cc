#include "scheduler/output.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>

#include "base/layout.h"

namespace vmette::scheduler {
namespace {

std::string contents(const std::filesystem::path& path) { return read_file(path, 1 << 20).value_or("(missing)"); }

TEST(BoundedLogTest, KeepsTheFirstBytesCountsTheRestAndSaysSo) {
    auto folder = TempDir::make();
    auto log = BoundedLog::create(folder->path() / "log", 8);
    ASSERT_TRUE(log);
    log->append("12345");
    log->append("6789abc");
    log->append("more");
    log->close();
    EXPECT_EQ(log->total(), 16u);
    EXPECT_EQ(log->dropped(), 8u);
    EXPECT_EQ(contents(folder->path() / "log"), "12345678\n[vmette: 8 more bytes were written and not kept]\n");
}

TEST(BoundedLogTest, WholeLogHasNoNote) {
    auto folder = TempDir::make();
    auto log = BoundedLog::create(folder->path() / "log", 8);
    ASSERT_TRUE(log);
    log->append("12345678");
    log->close();
    EXPECT_EQ(log->dropped(), 0u);
    EXPECT_EQ(contents(folder->path() / "log"), "12345678");
}

TEST(BoundedLogTest, NeverOverwritesALog) {
    auto folder = TempDir::make();
    ASSERT_TRUE(BoundedLog::create(folder->path() / "log", 8));
    EXPECT_FALSE(BoundedLog::create(folder->path() / "log", 8));
}

TEST(BoundedLogTest, FullDiskIsAProblemOfTheLogAndNotOfTheRun) {
    auto log = BoundedLog::create("/dev/full", 8);
    // /dev/full exists, and a log is always a new file; the write path is reached through a descriptor limit instead.
    EXPECT_FALSE(log);
    auto folder = TempDir::make();
    auto limited = BoundedLog::create(folder->path() / "log", 1 << 20);
    ASSERT_TRUE(limited);
    rlimit before{};
    getrlimit(RLIMIT_FSIZE, &before);
    rlimit small{4, before.rlim_max};
    auto old = std::signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    limited->append("12345678");
    limited->append("9");
    setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, old);
    ASSERT_TRUE(limited->problem());
    EXPECT_EQ(limited->total(), 9u);
    EXPECT_EQ(limited->dropped(), 9u);
}

/// A pipe whose reader is slow, and a count of the credit that came back.
struct SlowReader {
    std::array<Fd, 2> pipe = *make_pipe();
    asio::io_context io;
    std::size_t credit = 0;
    Forwarder forwarder{io, pipe[1].get(), [this](std::size_t n) { credit += n; }};

    std::string read_some(std::size_t size) {
        std::string out(size, '\0');
        ssize_t n = ::read(pipe[0].get(), out.data(), out.size());
        out.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
        return out;
    }
};

TEST(ForwarderTest, GivesCreditOnlyForWhatTheReaderTook) {
    SlowReader slow;
    std::string sent;
    for (int i = 0; i < 64; ++i) sent += std::string(4096, static_cast<char>('a' + i % 26));
    slow.forwarder.push(sent);
    slow.io.poll();
    EXPECT_LT(slow.credit, sent.size());  // a pipe holds 64 KiB
    EXPECT_FALSE(slow.forwarder.idle());
    std::string got;
    while (got.size() < sent.size()) {
        got += slow.read_some(65536);
        slow.io.restart();
        slow.io.poll();
    }
    EXPECT_EQ(got, sent);
    EXPECT_EQ(slow.credit, sent.size());
    EXPECT_TRUE(slow.forwarder.idle());
}

TEST(ForwarderTest, ReaderThatLeavesCostsTheOutputAndNotTheRun) {
    sigset_t pipe, before;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, &before);
    SlowReader slow;
    slow.pipe[0].reset();
    slow.forwarder.push("hello");
    slow.io.poll();
    EXPECT_TRUE(slow.forwarder.reader_gone());
    EXPECT_EQ(slow.credit, 5u);
    slow.forwarder.push("more");
    EXPECT_EQ(slow.credit, 9u);
    timespec none{};
    sigtimedwait(&pipe, nullptr, &none);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST(ForwarderTest, LeavesTheFlagsOfTheUsersDescriptorAlone) {
    SlowReader slow;
    int before = ::fcntl(slow.pipe[1].get(), F_GETFL);
    slow.forwarder.push("hello");
    slow.io.poll();
    EXPECT_EQ(::fcntl(slow.pipe[1].get(), F_GETFL), before);
}

TEST(ForwarderTest, RegularFilesTakeEverything) {
    auto folder = TempDir::make();
    auto file = open_file(folder->path() / "f", O_RDWR | O_CREAT);
    ASSERT_TRUE(file);
    asio::io_context io;
    std::size_t credit = 0;
    Forwarder forwarder(io, file->get(), [&](std::size_t n) { credit += n; });
    forwarder.push(std::string(100'000, 'x'));
    bool idle = false;
    forwarder.when_idle([&] { idle = true; });
    io.run();
    EXPECT_TRUE(idle);
    EXPECT_EQ(credit, 100'000u);
    EXPECT_EQ(contents(folder->path() / "f").size(), 100'000u);
}

}  // namespace
}  // namespace vmette::scheduler
