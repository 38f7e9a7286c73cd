/// That the tests would see what they look for: processes, files, sockets that outlive vmette.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/layout.h"
#include "support/processes.h"
#include "support/vmette_process.h"

namespace vmette::testing {
namespace {

using std::chrono::seconds;

TEST(ProcessesTest, GrandchildThatOutlivesItsParentIsSeen) {
    VmetteProcess parent({"sh", "-c", "sleep 600 & echo on; wait"}, {.environment = {"VMETTE_TEST_MARKER=grandchild"}});
    ASSERT_TRUE(parent.until_out("on\n"));
    ASSERT_TRUE(eventually([&] { return find_descendant(parent.pid(), "slee").has_value(); }, seconds(5)));
    auto started = descendants(parent.pid());
    ASSERT_EQ(started.size(), 1u) << describe(started);
    EXPECT_EQ(started.front().name, "sleep");
    EXPECT_EQ(with_environment("VMETTE_TEST_MARKER=grandchild").size(), 2u);
    parent.signal(SIGKILL);
    EXPECT_EQ(parent.finish().signal, SIGKILL);
    ASSERT_EQ(survivors(started).size(), 1u) << "nothing told it to end";
    EXPECT_EQ(with_environment("VMETTE_TEST_MARKER=grandchild").size(), 1u);
    ::kill(static_cast<pid_t>(started.front().identity.pid), SIGKILL);
    EXPECT_TRUE(eventually([&] { return survivors(started).empty(); }, seconds(5)));
}

TEST(ProcessesTest, HolderOfADeletedFileIsSeen) {
    auto folder = TempDir::make();
    ASSERT_TRUE(folder);
    auto path = folder->path() / "scratch";
    VmetteProcess holder({"sh", "-c", "exec 3>\"$0\"; rm \"$0\"; echo on; exec sleep 600", path}, {});
    ASSERT_TRUE(holder.until_out("on\n"));
    auto held = holders_of(folder->path());
    ASSERT_EQ(held.size(), 1u);
    EXPECT_NE(held.front().find("scratch (deleted)"), std::string::npos) << held.front();
    EXPECT_TRUE(holders_of(folder->path() / "elsewhere").empty());
}

TEST(ProcessesTest, SocketIsSeen) {
    auto folder = TempDir::make();
    ASSERT_TRUE(folder);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    auto path = (folder->path() / "socket").string();
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    Fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(listener.get(), 1), 0);
    EXPECT_EQ(holders_of(folder->path()).size(), 1u);
    listener.reset();
    EXPECT_TRUE(holders_of(folder->path()).empty());
}

TEST(VmetteProcessTest, EndsAtTheLimitAndSaysSo) {
    VmetteProcess process({"sh", "-c", "echo out; echo err >&2; exec sleep 600"}, {});
    auto finished = process.finish(Duration(300));
    EXPECT_FALSE(finished.in_time);
    EXPECT_EQ(finished.code, -1);
    EXPECT_EQ(finished.out, "out\n");
    EXPECT_EQ(finished.err, "err\n");
}

}  // namespace
}  // namespace vmette::testing
