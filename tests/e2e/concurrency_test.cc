#include "e2e/guest_fixture.h"

namespace vmette::testing {
namespace {

using ConcurrencyTest = GuestTest;
using std::chrono::seconds;

TEST_F(ConcurrencyTest, EightGuestsAndSixtyFourReadersShareOneDatabase) {
    std::vector<VmetteProcess> guests, readers;
    for (int i = 0; i < 8; ++i) {
        auto box = home().write(fmt::format("box{}.toml", i),
                                fmt::format("name = \"box{}\"\nrootfs = \"squashfs+file://{}\"\nscratch = \"64M\"\n"
                                            "[limits]\nmemory = \"96M\"\nboot_timeout = \"60s\"\n",
                                            i, busybox_image().string()));
        guests.push_back(home().start({"up", box, "--", "sh", "-c", fmt::format("echo {0}; exit {0}", i)}));
    }
    for (int i = 0; i < 64; ++i) readers.push_back(home().start({"history", "--json"}));
    for (auto& reader : readers) {
        auto finished = reader.finish();
        EXPECT_EQ(finished.code, 0) << finished;
        EXPECT_EQ(finished.err, "");
        EXPECT_TRUE(Json::accept(finished.out));
    }
    for (int i = 0; i < 8; ++i) {
        auto finished = guests[static_cast<std::size_t>(i)].finish(seconds(120));
        EXPECT_EQ(finished.code, i) << finished;
        EXPECT_EQ(finished.out, fmt::format("{}\n", i));
        EXPECT_THAT(finished.err, Not(HasSubstr("error")));  // that a guest is slow here may be said
    }
    EXPECT_EQ(home().runs().size(), 8u);
    EXPECT_THAT(home().leftovers(), IsEmpty());
}

TEST_F(ConcurrencyTest, SixtyFourRunsAreRecordedAtOnce) {
    // Runs that fail before their machine: each writes its row twice, and nothing but the database is in its way.
    auto words = home().up("[vm]\naccel = \"tcg\"\n", {"true"});
    std::vector<VmetteProcess> runs;
    for (int i = 0; i < 64; ++i) runs.push_back(home().start(words, {.environment = {"VMETTE_QEMU=/no/qemu"}}));
    for (auto& run : runs) {
        auto finished = run.finish();
        EXPECT_EQ(finished.code, 125) << finished;
        EXPECT_THAT(finished.err, HasSubstr("/no/qemu"));
    }
    auto recorded = home().runs();
    EXPECT_EQ(recorded.size(), 64u);
    for (const auto& run : recorded) EXPECT_EQ(run["reason"], "vm-error");
}

TEST_F(ConcurrencyTest, RunThatIsAliveIsNotSweptByOthers) {
    auto process = home().start(home().up_shell("scratch = \"64M\"\n", "echo on; sleep 3; echo off"));
    ASSERT_TRUE(process.until_out("on\n")) << process.err();
    EXPECT_EQ(home().runs().front()["status"], "running");
    EXPECT_EQ(home().vmette({"gc"}).code, 0);
    auto finished = process.finish();
    EXPECT_EQ(finished.code, 0) << finished;
    EXPECT_EQ(finished.out, "on\noff\n");
    EXPECT_EQ(home().last_run()["status"], "succeeded");
}

TEST_F(ConcurrencyTest, OneTarIsMadeIntoAnImageOnce) {
    VmetteHome fresh(Cache::own);
    auto tar = (build_dir() / "rootfs/toolchain.tar").string();
    std::vector<VmetteProcess> runs;
    for (int i = 0; i < 3; ++i)
        runs.push_back(fresh.start({"run", "tar+file://" + tar, "--scratch", "0", "--", "true"}));
    for (auto& run : runs) {
        auto finished = run.finish(seconds(120));
        EXPECT_EQ(finished.code, 0) << finished;
    }
    std::set<std::string> digests;
    for (const auto& run : fresh.runs()) digests.insert(run["image"]["digest"]);
    EXPECT_EQ(digests.size(), 1u);
    std::filesystem::directory_iterator images(fresh.layout().images_dir());
    EXPECT_EQ(
        std::count_if(begin(images), end(images), [](const auto& e) { return e.path().extension() == ".squashfs"; }),
        1);
}

}  // namespace
}  // namespace vmette::testing
