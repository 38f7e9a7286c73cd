#include "vm/shares.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "base/layout.h"

namespace vmette::vm {
namespace {

namespace fs = std::filesystem;

/// The process in a mount namespace of its own (and a user namespace, when not root), with a share that has another
/// filesystem mounted inside.
struct SharesTest : testing::Test {
    static void SetUpTestSuite() {
        ::setenv("VMETTE_LIBEXEC_DIR", VMETTE_HELPER_DIR, 1);
        if (::geteuid() == 0 && ::unshare(CLONE_NEWNS) != 0) cannot = std::strerror(errno);
        if (!cannot && ::geteuid() == 0) ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    }
    void SetUp() override {
        if (cannot) GTEST_SKIP() << "no mount namespace: " << *cannot;
        fs::create_directories(share / "sub");
        if (::geteuid() != 0) return;  // the submount is then the same filesystem
        ASSERT_EQ(::mount("tmpfs", (share / "sub").c_str(), "tmpfs", 0, "size=64k"), 0);
    }
    void TearDown() override {
        if (::geteuid() == 0) ::umount2((share / "sub").c_str(), MNT_DETACH);
        ::unsetenv("VMETTE_VIRTIOFSD");
    }

    /// What the fake virtiofsd says of a share.
    std::string served(bool read_only) const {
        ::setenv("VMETTE_VIRTIOFSD", VMETTE_FAKE_VIRTIOFSD, 1);
        ::setenv("VMETTE_TEST_SECRET", "s3cret", 1);
        auto server = ShareServer::start(share, read_only);
        if (!server) return server.error().text();
        server->process().wait_for(std::chrono::seconds(10));
        return server->last_words();
    }

    static inline std::optional<std::string> cannot;
    TempDir folder = *TempDir::make();
    fs::path share = fs::canonical(folder.path()) / "a,share=with odd\\name";
};

TEST_F(SharesTest, ReadOnlyIsEnforcedByTheHostDownToWhatIsMountedInside) {
    EXPECT_EQ(served(/*read_only=*/true),
              "folder ro,nosuid,nodev EROFS, submount ro,nosuid,nodev EROFS, connection accepted, environment clean");
    EXPECT_FALSE(fs::exists(share / "new"));
    EXPECT_FALSE(fs::exists(share / "sub" / "new"));
    std::ofstream(share / "ours") << "x";
    EXPECT_TRUE(fs::exists(share / "ours")) << "the host's own mount stays writable";
}

TEST_F(SharesTest, WritableShareIsWrittenThroughWithoutDevicesAndSetuid) {
    EXPECT_EQ(served(/*read_only=*/false),
              "folder rw,nosuid,nodev written, submount rw,nosuid,nodev written, connection accepted, "
              "environment clean");
    EXPECT_TRUE(fs::exists(share / "new"));
    EXPECT_TRUE(fs::exists(share / "sub" / "new"));
}

TEST_F(SharesTest, WhatIsNoFolderIsRefused) {
    auto error = [](const fs::path& path) {
        auto opened = open_shared_folder(path);
        return opened ? "no error" : opened.error().text();
    };
    const std::string at = fs::canonical(folder.path()).string();
    EXPECT_EQ(error(at + "/gone"), "the shared folder " + at + "/gone does not exist");
    std::ofstream(at + "/file") << "x";
    EXPECT_EQ(error(at + "/file"), at + "/file cannot be shared: it is not a folder");
    fs::create_symlink(at + "/loop", at + "/loop");
    EXPECT_EQ(error(at + "/loop"), at + "/loop cannot be shared: there is a symbolic link in its path now");
    fs::create_directory_symlink(share, at + "/link");
    EXPECT_EQ(error(at + "/link/sub"), at + "/link/sub cannot be shared: there is a symbolic link in its path now");
    EXPECT_EQ(error(share), "no error");
}

TEST_F(SharesTest, ServerSaysTheSameOfABadFolder) {
    ::setenv("VMETTE_VIRTIOFSD", VMETTE_FAKE_VIRTIOFSD, 1);
    fs::path gone = fs::canonical(folder.path()) / "gone";
    auto server = ShareServer::start(gone, true);
    ASSERT_FALSE(server);
    EXPECT_EQ(server.error().code, ErrorCode::not_found);
    EXPECT_EQ(server.error().text(), "the shared folder " + gone.string() + " does not exist");
}

TEST_F(SharesTest, DeathOfTheServerIsSeenOnItsProcess) {
    ::setenv("VMETTE_VIRTIOFSD", VMETTE_FAKE_VIRTIOFSD, 1);
    auto server = ShareServer::start(share, true);
    ASSERT_TRUE(server) << server.error().text();
    pollfd wait{server->process().pidfd(), POLLIN, 0};
    ASSERT_EQ(::poll(&wait, 1, 10'000), 1);
    auto status = server->process().try_wait();
    ASSERT_TRUE(status);
    EXPECT_EQ(WEXITSTATUS(*status), 7);
}

TEST_F(SharesTest, MissingVirtiofsdMeans9p) {
    ::setenv("VMETTE_VIRTIOFSD", "/nonexistent/virtiofsd", 1);
    auto choice = choose_share_transport(std::chrono::seconds(5));
    EXPECT_EQ(choice.transport, ShareTransport::plan9);
    EXPECT_EQ(choice.detail, "9p: VMETTE_VIRTIOFSD names /nonexistent/virtiofsd, which is not a program");
}

TEST_F(SharesTest, VirtiofsdThatDiesMeans9pAndItsReason) {
    ::setenv("VMETTE_VIRTIOFSD", VMETTE_FAKE_VIRTIOFSD, 1);
    auto choice = choose_share_transport(std::chrono::seconds(5));
    EXPECT_EQ(choice.transport, ShareTransport::plan9);
    EXPECT_THAT(choice.detail, testing::StartsWith("9p: virtiofsd does not work here: folder ro"));
}

TEST_F(SharesTest, InstalledVirtiofsdAnswersBehindItsSandbox) {
    auto program = find_virtiofsd();
    if (!program) GTEST_SKIP() << program.error().text();
    auto choice = choose_share_transport(std::chrono::seconds(10));
    EXPECT_EQ(choice.transport, ShareTransport::virtiofs);
    EXPECT_EQ(choice.detail, "virtiofs: " + program->string());
}

/// virtiofsd forks into a process namespace of its own: the process that serves is its child.
std::optional<ProcessIdentity> only_child(pid_t pid) {
    constexpr int kTries = 1000;
    for (int i = 0; i < kTries; ++i) {
        auto children = read_file(fmt::format("/proc/{0}/task/{0}/children", pid), 4096);
        if (children && !children->empty()) return identify_process(std::atoi(children->c_str()));
        ::poll(nullptr, 0, 5);
    }
    return std::nullopt;
}

TEST_F(SharesTest, KilledOwnerTakesTheServerAlong) {
    if (auto program = find_virtiofsd(); !program) GTEST_SKIP() << program.error().text();
    auto ends = make_socketpair();
    ASSERT_TRUE(ends);
    pid_t owner = ::fork();
    if (owner == 0) {
        auto server = ShareServer::start(share, true);
        pid_t pid = server ? server->process().pid() : 0;
        if (!server || ::write(ends->at(1).get(), &pid, sizeof pid) != sizeof pid) ::_exit(1);
        (void)send_fd(ends->at(1).get(), server->socket());
        ::pause();
    }
    ends->at(1).reset();
    pid_t pid = 0;
    ASSERT_EQ(::read(ends->at(0).get(), &pid, sizeof pid), static_cast<ssize_t>(sizeof pid));
    // Held open here, so that it is not the connection's end that ends it.
    auto connection = receive_fd(ends->at(0).get());
    ASSERT_TRUE(connection) << connection.error().text();
    auto serving = only_child(pid);
    ASSERT_TRUE(serving);
    Fd watch(static_cast<int>(::syscall(SYS_pidfd_open, serving->pid, 0)));
    ::kill(owner, SIGKILL);
    ::waitpid(owner, nullptr, 0);
    pollfd wait{watch.get(), POLLIN, 0};
    EXPECT_EQ(::poll(&wait, 1, 20000), 1);
    EXPECT_FALSE(is_alive(*serving));
}

TEST(VirtiofsdArgumentsTest, WholeCommandLine) {
    EXPECT_THAT(virtiofsd_arguments("/usr/lib/qemu/virtiofsd"),
                testing::ElementsAre("/usr/lib/qemu/virtiofsd", "--fd=4", "--thread-pool-size=0", "-o",
                                     "source=/tmp,cache=auto,sandbox=namespace,modcaps=-mknod,log_level=warn"));
}

}  // namespace
}  // namespace vmette::vm
