/// vmette killed with SIGKILL in each phase: what is left on the host, and what the next command says.

#include <poll.h>

#include <csignal>
#include <map>

#include "base/digest.h"
#include "e2e/guest_fixture.h"
#include "support/processes.h"

namespace vmette::testing {
namespace {

using std::chrono::seconds;

constexpr int kTimes = 10;
constexpr seconds kGoneWithin{2};

/// Files below a folder that hold bytes, each with its digest. Lock files are empty and may stay.
std::map<std::string, std::string> bytes_in(const std::filesystem::path& folder) {
    std::map<std::string, std::string> files;
    std::error_code error;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder, error))
        if (entry.is_regular_file(error) && entry.file_size(error) > 0)
            files[entry.path().lexically_relative(folder).string()] = sha256_file(entry.path()).value_or("unreadable");
    return files;
}

class CrashTest : public HelpersTest {
protected:
    /// Kills it and waits for what it started to go. Returns false when it had ended by itself before.
    bool kill_and_check(VmetteProcess& process, const VmetteHome& owner) {
        auto started = descendants(process.pid());
        process.signal(SIGKILL);
        auto killed = std::chrono::steady_clock::now();
        auto finished = process.finish(seconds(5));
        auto gone = [&] {
            return survivors(started).empty() && with_environment(owner.marker()).empty() &&
                   holders_of(owner.folder()).empty();
        };
        auto left = kGoneWithin - std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now() - killed);
        EXPECT_TRUE(eventually(gone, left))
            << describe(survivors(started)) << describe(with_environment(owner.marker()))
            << ::testing::PrintToString(holders_of(owner.folder()));
        return finished.signal == SIGKILL;
    }

    void expect_lost(const VmetteHome& owner) {
        auto runs = owner.runs();
        ASSERT_FALSE(runs.empty());
        EXPECT_EQ(runs.front()["status"], "lost");
        EXPECT_EQ(runs.front()["reason"], "lost");
        EXPECT_EQ(runs.front()["error"], "the vmette process that ran it is gone");
        EXPECT_THAT(owner.leftovers(), IsEmpty());
        EXPECT_TRUE(bytes_in(owner.layout().runtime).empty())
            << ::testing::PrintToString(bytes_in(owner.layout().runtime));
    }

    /// Ten runs, each killed a little later after `trigger` appeared on its stderr.
    void kill_after(const std::string& trigger, int step_ms, const std::vector<std::string>& words) {
        for (int time = 0; time < kTimes; ++time) {
            SCOPED_TRACE(fmt::format("time {}", time));
            auto process = home().start(words);
            ASSERT_TRUE(process.until_err(trigger)) << process.err();
            ::poll(nullptr, 0, time * step_ms);
            for (const char* name : {"qemu-system", has_nat() ? "slirp4netns" : "qemu-system"}) {
                auto there = [&] { return find_descendant(process.pid(), name).has_value(); };
                EXPECT_TRUE(eventually(there, seconds(2))) << describe(descendants(process.pid()));
            }
            ASSERT_TRUE(kill_and_check(process, home())) << "it had ended before";
            expect_lost(home());
        }
    }
};

TEST_F(CrashTest, InResolve) {
    auto tar = (build_dir() / "rootfs/toolchain.tar").string();
    int hits = 0;
    for (int time = 0; time < kTimes; ++time) {
        SCOPED_TRACE(fmt::format("time {}", time));
        VmetteHome fresh(Cache::own);
        auto box = fresh.write("big.toml", fmt::format("rootfs = \"tar+file://{}\"\n", tar));
        auto process = fresh.start({"up", box, "-v", "--", "sleep", "60"});
        ASSERT_TRUE(process.until_err("phase resolve")) << process.err();
        ::poll(nullptr, 0, time * 10);
        ASSERT_TRUE(kill_and_check(process, fresh));
        expect_lost(fresh);
        // What was half made is gone with the process, or at the latest now, when a command has run. On a fast host the
        // image may have got its name, which is its digest, before the end: then it is whole.
        const auto left = bytes_in(fresh.layout().cache);
        if (left.empty()) ++hits;
        for (const auto& [name, digest] : left) EXPECT_EQ(name, fmt::format("images/{}.squashfs", digest));
    }
    EXPECT_GE(hits, kTimes / 2);
}

TEST_F(CrashTest, InPrepare) {
    for (int time = 0; time < kTimes; ++time) {
        SCOPED_TRACE(fmt::format("time {}", time));
        // A home that knows nothing has most to prepare: digests, the accelerator, a template of the scratch disk.
        VmetteHome fresh(Cache::own);
        auto process = fresh.start(fresh.up(all_helpers(), {"sleep", "60"}, {"-v"}));
        ASSERT_TRUE(process.until_err("phase prepare")) << process.err();
        ::poll(nullptr, 0, time * 15);
        ASSERT_TRUE(kill_and_check(process, fresh));
        expect_lost(fresh);
    }
}

TEST_F(CrashTest, WhileASnapshotIsMade) {
    VmetteHome fresh(Cache::own);
    ASSERT_EQ(fresh.vmette(fresh.up("", {"true"})).code, 0);
    for (int time = 0; time < kTimes; ++time) {
        SCOPED_TRACE(fmt::format("time {}", time));
        auto process = fresh.start(fresh.up("[snapshot]\nwarm = true\n", {"sleep", "60"}, {"-v"}));
        ASSERT_TRUE(process.until_err("phase prepare")) << process.err();
        ::poll(nullptr, 0, time * 30);
        ASSERT_TRUE(kill_and_check(process, fresh));
        expect_lost(fresh);
        for (const auto& [name, digest] : bytes_in(fresh.layout().cache))
            EXPECT_THAT(name, Not(StartsWith("snapshots/"))) << "a snapshot that is not whole";
    }
}

TEST_F(CrashTest, InBoot) { kill_after("phase boot", 30, home().up(all_helpers(), {"sleep", "60"}, {"-v"})); }

TEST_F(CrashTest, InExec) {
    auto words = home().up_shell(all_helpers(), "while :; do echo x >> /shared/file; echo y >> /file; done", {"-v"});
    kill_after("phase exec", 30, words);
}

TEST_F(CrashTest, InCollect) {
    // A guest that never answers holds vmette in this phase.
    auto image = build_dir() / "tests/e2e/hostile.cpio";
    auto toml =
        all_helpers() + fmt::format("[vm]\ninitramfs = \"{}\"\ncmdline = \"hostile=never-finished\"\n", image.string());
    kill_after("phase collect", 20, home().up(toml, {"true"}, {"-v"}));
}

TEST_F(CrashTest, WhileArtifactsAreCopied) {
    auto words = home().up_shell(all_helpers() + "[[artifacts]]\npath = \"/out\"\n",
                                 "mkdir /out; cd /out; i=0; while [ $i -lt 400 ]; do "
                                 "head -c 100000 /dev/zero >$i; i=$((i+1)); done",
                                 {"-v"});
    kill_after("phase collect", 30, words);
    const Json run = home().last_run();
    EXPECT_TRUE(run["artifacts"].empty()) << "what is not whole is not listed";
}

TEST_F(CrashTest, InTeardown) {
    for (int time = 0; time < kTimes; ++time) {
        SCOPED_TRACE(fmt::format("time {}", time));
        // More output than the pipe holds, and nobody reads it: teardown waits for the reader.
        auto pipe = make_pipe();
        ASSERT_TRUE(pipe);
        auto process = home().start(home().up_shell(all_helpers(), "head -c 200000 /dev/zero", {"-v"}),
                                    {.stdout_fd = (*pipe)[1].get()});
        ASSERT_TRUE(process.until_err("phase teardown")) << process.err();
        ::poll(nullptr, 0, time);
        ASSERT_TRUE(kill_and_check(process, home())) << "it had ended before";
        expect_lost(home());
    }
}

TEST_F(CrashTest, AtTheVeryEnd) {
    // Nothing holds it here: it is killed while it pulls the machine and writes the last row, or just after.
    for (int time = 0; time < kTimes; ++time) {
        SCOPED_TRACE(fmt::format("time {}", time));
        auto process = home().start(home().up(all_helpers(), {"true"}, {"-v"}));
        ASSERT_TRUE(process.until_err("phase teardown")) << process.err();
        kill_and_check(process, home());
        Json run = home().last_run();
        EXPECT_TRUE(run["status"] == "lost" || run["status"] == "succeeded") << run;
        EXPECT_THAT(home().leftovers(), IsEmpty());
    }
}

TEST_F(CrashTest, KilledRunKeepsWhatItHadWritten) {
    auto process = home().start(home().up_shell("", "echo kept; sleep 60"));
    ASSERT_TRUE(process.until_out("kept\n")) << process.err();
    kill_and_check(process, home());
    expect_lost(home());
    EXPECT_EQ(home().vmette({"history", "logs", "box"}).out, "kept\n");
    Json run = home().last_run();
    EXPECT_TRUE(run["started_at"].is_string());
    EXPECT_EQ(run["started_before_failure"], true);
}

}  // namespace
}  // namespace vmette::testing
