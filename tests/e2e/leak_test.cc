/// What a run leaves on the host when all goes well, and what its processes hold while it runs.

#include <set>

#include "e2e/guest_fixture.h"
#include "support/processes.h"

namespace vmette::testing {
namespace {

class LeakTest : public HelpersTest {
protected:
    std::set<std::string> paths(const std::filesystem::path& folder) {
        std::set<std::string> found;
        for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) found.insert(entry.path());
        return found;
    }
};

TEST_F(LeakTest, NothingIsLeftOfARunButItsHistory) {
    VmetteHome fresh(Cache::own);
    std::string toml = "scratch = \"64M\"\n";
    // The first learns what the host can do, the second keeps a snapshot for all later ones.
    for (int i = 0; i < 2; ++i) ASSERT_EQ(fresh.vmette(fresh.up(toml, {"true"})).code, 0);
    auto cache = paths(fresh.layout().cache);
    for (int code : {0, 3}) EXPECT_EQ(fresh.vmette(fresh.up_shell(toml, fmt::format("exit {}", code))).code, code);
    EXPECT_EQ(paths(fresh.layout().cache), cache);
    for (const auto& path : paths(fresh.layout().runtime)) EXPECT_TRUE(std::filesystem::is_directory(path)) << path;
    EXPECT_TRUE(holders_of(fresh.folder()).empty()) << ::testing::PrintToString(holders_of(fresh.folder()));
    EXPECT_TRUE(with_environment(fresh.marker()).empty()) << describe(with_environment(fresh.marker()));
    EXPECT_THAT(fresh.leftovers(), IsEmpty());
}

TEST_F(LeakTest, NoProcessOutlivesVmetteByItsOrderlyEnd) {
    auto process = home().start(home().up_shell(all_helpers(), "echo on; sleep 1; exit 2"));
    ASSERT_TRUE(process.until_out("on\n")) << process.err();
    auto started = descendants(process.pid());
    EXPECT_GE(started.size(), 2u) << describe(started);
    auto finished = process.finish();
    EXPECT_TRUE(survivors(started).empty()) << describe(survivors(started));
    EXPECT_EQ(finished.code, 2) << finished;
}

TEST_F(LeakTest, HelpersHoldNothingOfTheState) {
    auto process = home().start(home().up_shell(all_helpers(), "echo on; sleep 60"));
    ASSERT_TRUE(process.until_out("on\n")) << process.err();
    auto started = descendants(process.pid());
    for (const auto& line : holders_of(home().layout().state)) {
        for (const auto& child : started)
            EXPECT_THAT(line, Not(StartsWith(fmt::format("process {} ", child.identity.pid)))) << describe(started);
    }
    // The database and the logs, standard streams, sockets and timers: a few dozen, not one for each call made.
    EXPECT_LT(open_descriptors(process.pid()), 64u);
}

TEST_F(LeakTest, FoldersAndDatabaseArePrivate) {
    VmetteHome fresh(Cache::own);
    for (const auto& folder : {fresh.layout().state, fresh.layout().cache, fresh.layout().runtime})
        std::filesystem::remove_all(folder);
    ASSERT_EQ(fresh.vmette(fresh.up("", {"true"})).code, 0);
    auto mode = [](const std::filesystem::path& path) {
        return static_cast<unsigned>(std::filesystem::status(path).permissions());
    };
    EXPECT_EQ(mode(fresh.layout().database()), 0600u);
    for (const auto& root : {fresh.layout().state, fresh.layout().cache}) {
        EXPECT_EQ(mode(root), 0700u) << root;
        for (const auto& path : paths(root)) EXPECT_EQ(mode(path) & 077u, 0u) << path;
    }
}

TEST_F(LeakTest, VmetteItselfIsSmallAndQuietWhileItWaits) {
    auto process = home().start(home().up_shell(all_helpers(), "echo on; sleep 60"));
    ASSERT_TRUE(process.until_out("on\n")) << process.err();
    auto before = cpu_time_ms(process.pid());
    process.until([] { return false; }, Duration(1000));
    // Four beats, and nothing else to do.
    EXPECT_LT(cpu_time_ms(process.pid()) - before, 60u);
}

}  // namespace
}  // namespace vmette::testing
