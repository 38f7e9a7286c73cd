/// From programs of a guest to the host: vsock-send, and whoever reads there.

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <thread>

#include "e2e/guest_fixture.h"
#include "support/processes.h"
#include "vm/vsock.h"

namespace vmette::testing {
namespace {

using std::chrono::seconds;

class VsockTest : public GuestTest {
protected:
    /// The socket of the one run of this home, once it is there.
    std::filesystem::path socket_path() {
        auto runs = home().layout().runtime / "runs";
        std::filesystem::path found;
        eventually(
            [&] {
                std::error_code none;
                for (const auto& run : std::filesystem::directory_iterator(runs, none))
                    if (std::filesystem::exists(run.path() / "vsock")) found = run.path() / "vsock";
                return !found.empty();
            },
            seconds(20));
        return found;
    }
    /// A client of the run, as any program of the user's may be; null when it cannot connect.
    Fd connect() {
        auto path = socket_path();
        Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        if (path.empty() || path.native().size() >= sizeof address.sun_path) return {};
        std::strcpy(address.sun_path, path.c_str());
        if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return {};
        return socket;
    }
    /// All that comes to the end, at most 30 s.
    static std::string read_all(const Fd& socket) {
        constexpr timeval kLimit{30, 0};
        ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &kLimit, sizeof kLimit);
        std::string all;
        char buffer[65536];
        ssize_t n = 0;
        while ((n = ::recv(socket.get(), buffer, sizeof buffer, 0)) > 0)
            all.append(buffer, static_cast<std::size_t>(n));
        if (n < 0) all += fmt::format("({})", std::strerror(errno));
        return all;
    }
    std::filesystem::path file(const std::string& name) { return home().folder() / name; }
    static std::string content(const std::filesystem::path& path) {
        return read_file(path, 64 * 1024 * 1024).value_or("(none)");
    }
};

TEST_F(VsockTest, ReaderOnTheRunsSocketGetsWhatAProgramSends) {
    auto run = home().start(home().up_shell("", "echo hello host | vsock-send $VMETTE_VSOCK_PORT; echo $?"));
    Fd reader = connect();
    ASSERT_TRUE(reader);
    EXPECT_EQ(read_all(reader), "hello host\n");
    reader.reset();
    auto finished = run.finish();
    EXPECT_EQ(finished.out, "0\n") << finished;
    EXPECT_EQ(home().leftovers(), "");
}

TEST_F(VsockTest, SenderEndsOnceAllWasTakenThoughTheReaderStays) {
    auto run = home().start(home().up_shell("", "echo hello | vsock-send; echo sent"));
    Fd reader = connect();
    ASSERT_TRUE(reader);
    auto finished = run.finish(seconds(20));
    EXPECT_EQ(finished.out, "sent\n") << finished;
    EXPECT_EQ(read_all(reader), "hello\n") << "after the run has ended";
}

TEST_F(VsockTest, BytesArriveWholeAndInOrderBothWays) {
    auto answered =
        shell("seq 300000 > /tmp/in; vsock-send --answer < /tmp/in > /tmp/out; echo $?; cmp /tmp/in /tmp/out", "",
              {"--vsock-exec", "cat"});
    EXPECT_EQ(answered.out, "0\n") << answered;
    EXPECT_EQ(answered.code, 0) << answered;
}

TEST_F(VsockTest, CommandOnTheHostReadsEachCall) {
    auto lines = file("lines");
    auto finished = shell("echo one | vsock-send; echo two | vsock-send; echo $?", "",
                          {"--vsock-exec", fmt::format("cat >> {}; echo to nobody", lines.string())});
    EXPECT_EQ(finished.out, "0\n") << finished;
    EXPECT_EQ(content(lines), "one\ntwo\n") << "what it had taken, it has dealt with before the run is over";
}

TEST_F(VsockTest, CommandThatEndsEarlyBreaksTheProgramsPipe) {
    auto finished = shell("yes | vsock-send; echo $?", "", {"--vsock-exec", "head -c 10 >/dev/null"});
    EXPECT_EQ(finished.out, "1\n") << finished;
    EXPECT_THAT(finished.err, HasSubstr("vsock-send: the host's end was closed before it had taken everything"));
    EXPECT_EQ(finished.code, 0) << finished;
}

TEST_F(VsockTest, CommandThatEndsEarlyHasItsAnswerHeard) {
    auto finished =
        shell("yes | vsock-send --answer; echo $?", "", {"--vsock-exec", "head -c 1 >/dev/null; echo enough"});
    EXPECT_EQ(finished.out, "enough\n1\n") << finished;
}

TEST_F(VsockTest, ReaderThatIsGoneBreaksTheProgramsPipe) {
    auto run = home().start(home().up_shell("", "yes | vsock-send; echo $?"));
    Fd reader = connect();
    ASSERT_TRUE(reader);
    char byte = 0;
    ASSERT_EQ(::recv(reader.get(), &byte, 1, 0), 1);
    reader.reset();
    EXPECT_EQ(run.finish(seconds(20)).out, "1\n");
}

TEST_F(VsockTest, ReaderThatStopsReadingHoldsUpItsProgramAlone) {
    auto run = home().start(
        home().up_shell("", "(yes | vsock-send) & sleep 1; seq 20000 | tail -n 1; echo other | vsock-send; echo $?"));
    Fd still = connect();
    ASSERT_TRUE(still);
    char byte = 0;
    ASSERT_EQ(::recv(still.get(), &byte, 1, 0), 1) << "it has its call, and reads no more of it";
    Fd reader = connect();
    ASSERT_TRUE(reader);
    EXPECT_EQ(read_all(reader), "other\n");
    auto finished = run.finish(seconds(20));
    EXPECT_EQ(finished.out, "20000\n0\n") << finished;
    EXPECT_LT(finished.peak_rss_kib, 64u * 1024);
}

TEST_F(VsockTest, ManyProgramsSendAtOnce) {
    auto lines = file("lines");
    // More than fit at a time: some wait.
    auto finished = shell(
        "for i in $(seq 50); do (seq 2000 | sed s/^/$i:/ | vsock-send || echo bad $i) & done; wait; "
        "echo done",
        "[limits]\npids = 500\n", {"--vsock-exec", fmt::format("sort -u | wc -l >> {}", lines.string())});
    EXPECT_EQ(finished.out, "done\n") << finished;
    std::string expected;
    for (int i = 0; i < 50; ++i) expected += "2000\n";
    EXPECT_EQ(content(lines), expected);
}

TEST_F(VsockTest, ReadersGetACallEach) {
    auto run = home().start(home().up_shell("", "for i in 1 2 3; do echo $i | vsock-send & done; wait"));
    std::vector<Fd> readers;
    std::set<std::string> heard;
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(readers.emplace_back(connect()));
    for (const auto& reader : readers) heard.insert(read_all(reader));
    EXPECT_EQ(heard, (std::set<std::string>{"1\n", "2\n", "3\n"}));
    EXPECT_EQ(run.finish().code, 0);
}

TEST_F(VsockTest, RunThatEndsWhileAProgramWaitsForAReaderEndsAtOnce) {
    auto finished = shell("echo nobody | vsock-send & sleep 0.5; exit 3");
    EXPECT_EQ(finished.code, 3) << finished;
    EXPECT_LT(finished.took, seconds(10));
    EXPECT_EQ(home().leftovers(), "");
}

TEST_F(VsockTest, ProgramOfAnyUserOnAReadOnlyRootSends) {
    auto lines = file("lines");
    auto finished = shell("id -u; command -v vsock-send; echo me | vsock-send; echo $?",
                          "user = \"1234:1234\"\nrootfs = { source = \"squashfs+file://" + busybox_image().string() +
                              "\", read_only = true }\n",
                          {"--vsock-exec", fmt::format("cat >> {}", lines.string())});
    EXPECT_EQ(finished.out, "1234\n/usr/local/bin/vsock-send\n0\n") << finished;
    EXPECT_EQ(content(lines), "me\n");
}

TEST_F(VsockTest, ProgramThatIsPidOneOfANamespaceSends) {
    auto lines = file("lines");
    auto finished = shell("echo inside | unshare -pf vsock-send; echo $?", "",
                          {"--vsock-exec", fmt::format("cat >> {}", lines.string())});
    EXPECT_EQ(finished.out, "0\n") << finished;
    EXPECT_EQ(content(lines), "inside\n");
}

TEST_F(VsockTest, PortIsTheManifestsAndNoOtherIsAnswered) {
    auto finished = shell("echo $VMETTE_VSOCK_PORT; echo x | vsock-send 4001; echo $?; echo x | vsock-send 4000",
                          "[vm]\nvsock = 4000\n", {"--vsock-exec", "cat >/dev/null"});
    EXPECT_EQ(finished.out, "4000\n1\n") << finished;
    EXPECT_THAT(finished.err, HasSubstr("vsock-send: nobody listens on the host's port 4001"));
    EXPECT_EQ(finished.code, 0);
}

TEST_F(VsockTest, ThatIsOffLeavesNothingInTheGuest) {
    auto finished =
        shell("echo \"[$VMETTE_VSOCK_PORT]\"; command -v vsock-send; ls /run /usr/local 2>&1", "[vm]\nvsock = false\n");
    EXPECT_THAT(finished.out, StartsWith("[]\n")) << finished;
    EXPECT_THAT(finished.out, Not(HasSubstr("vsock-send")));
    EXPECT_THAT(finished.out, Not(HasSubstr("vmette")));
}

TEST_F(VsockTest, CommandForWhatIsOffIsRefused) {
    auto finished = shell("true", "[vm]\nvsock = false\n", {"--vsock-exec", "cat"});
    EXPECT_EQ(finished.code, 2) << finished;
    EXPECT_THAT(finished.err, HasSubstr("--vsock-exec: vm.vsock = false, so the guest can send nothing"));
    EXPECT_THAT(home().runs(), IsEmpty());
}

TEST_F(VsockTest, DetachedRunHandsItsCallsToTheCommand) {
    auto lines = file("lines");
    auto begun = home().vmette(home().up_shell("", "echo detached | vsock-send",
                                               {"--detach", "--vsock-exec", fmt::format("cat >> {}", lines.string())}));
    ASSERT_EQ(begun.code, 0) << begun;
    EXPECT_EQ(home().vmette({"wait", begun.out.substr(0, 26)}).code, 0);
    EXPECT_EQ(content(lines), "detached\n");
}

TEST_F(VsockTest, CommandBesideTheRunsOwnSendsToo) {
    auto lines = file("lines");
    auto run = home().start(
        home().up_shell("", "echo on; sleep 20", {"--vsock-exec", fmt::format("cat >> {}", lines.string())}));
    ASSERT_TRUE(run.until_out("on\n"));
    auto sent = home().vmette({"exec", "box", "--", "/bin/sh", "-c", "echo beside | vsock-send; echo $?"});
    EXPECT_EQ(sent.out, "0\n") << sent;
    EXPECT_EQ(home().vmette({"stop", "--now", "box"}).code, 0);
    run.finish();
    EXPECT_EQ(content(lines), "beside\n");
}

TEST_F(VsockTest, SocketIsGoneWithASupervisorThatWasKilled) {
    auto run = home().start(home().up_shell("", "echo on; sleep 60"));
    ASSERT_TRUE(run.until_out("on\n"));
    auto path = socket_path();
    ASSERT_FALSE(path.empty());
    run.signal(SIGKILL);
    run.finish();
    home().vmette({"history"});
    EXPECT_FALSE(std::filesystem::exists(path.parent_path()));
    EXPECT_EQ(home().leftovers(), "");
}

TEST_F(VsockTest, MachineOfAHostWithVhostVsockHasTheDevice) {
    if (!vm::vsock_available()) GTEST_SKIP() << "this host has no /dev/vhost-vsock (modprobe vhost_vsock)";
    // Its own address is neither of those that every machine has: any, hypervisor, local, host (vsock(7)).
    auto finished =
        shell("ls /sys/bus/virtio/drivers/vmw_vsock_virtio_transport | grep -c virtio; echo hi | vsock-send",
              "[snapshot]\nwarm = false\n", {"--vsock-exec", "cat >/dev/null"});
    EXPECT_EQ(finished.out, "1\n") << finished;
}

}  // namespace
}  // namespace vmette::testing
