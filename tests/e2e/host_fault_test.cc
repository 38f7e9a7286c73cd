#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "e2e/guest_fixture.h"

namespace vmette::testing {
namespace {

using HostFaultTest = GuestTest;
using std::chrono::seconds;

TEST_F(HostFaultTest, MissingQemuIsSaid) {
    auto finished = home().vmette(home().up("", {"true"}), seconds(20), {.environment = {"VMETTE_QEMU=/no/qemu"}});
    EXPECT_EQ(finished.code, 125) << finished;
    EXPECT_THAT(finished.err,
                AllOf(HasSubstr("vm-error"), HasSubstr("/no/qemu"), HasSubstr("(before the command began; run ")));
    EXPECT_EQ(home().last_run()["reason"], "vm-error");
}

TEST_F(HostFaultTest, QemuThatDiesAtStartIsQuoted) {
    auto script = home().write("qemu", "#!/bin/sh\necho 'qemu: cannot frobnicate the bus' >&2\nexit 3\n");
    ASSERT_EQ(::chmod(script.c_str(), 0755), 0);
    auto finished = home().vmette(home().up("[vm]\naccel = \"tcg\"\n", {"true"}), seconds(20),
                                  {.environment = {"VMETTE_QEMU=" + script.string()}});
    EXPECT_EQ(finished.code, 125) << finished;
    EXPECT_THAT(finished.err, AllOf(HasSubstr("vm-error"), HasSubstr("exited with code 3"),
                                    HasSubstr("qemu: cannot frobnicate the bus")));
    EXPECT_EQ(home().last_run()["started_before_failure"], false);
    EXPECT_THAT(home().leftovers(), IsEmpty());
}

TEST_F(HostFaultTest, OutputThatFillsTheDiskDoesNotCostTheRunItsEnd) {
    auto state = home().folder() / "small";
    ASSERT_TRUE(make_private_dir(state));
    if (::mount("none", state.c_str(), "tmpfs", 0, "size=2m,mode=700") != 0)
        GTEST_SKIP() << "no right to mount a file system";
    StartOptions there{.wrapper = {"env", "VMETTE_STATE_DIR=" + state.string()}};
    auto run = home().vmette(home().up_shell("", "yes aaaaaaaaaaaaaaaaaaaaaaaa | head -c 8000000"), seconds(60), there);
    auto shown = home().vmette({"history", "show", "box", "--json"}, seconds(20), there);
    auto live = home().vmette({"ps", "--ids"}, seconds(20), there);
    auto waited = home().vmette({"wait", "box"}, seconds(20), there);
    auto pruned = home().vmette({"history", "prune", "--keep", "0"}, seconds(20), there);
    auto space = std::filesystem::space(state);
    ::umount2(state.c_str(), MNT_DETACH);
    EXPECT_EQ(run.code, 0) << run;
    EXPECT_EQ(run.out.size(), 8'000'000u);
    ASSERT_EQ(shown.code, 0) << shown;
    auto document = Json::parse(shown.out);
    EXPECT_EQ(document["status"], "succeeded");
    EXPECT_GT(document["usage"]["stdout_dropped"].get<std::uint64_t>(), 6'000'000u);
    EXPECT_EQ(live.out, "");
    EXPECT_EQ(waited.code, 0);
    EXPECT_EQ(pruned.code, 0) << pruned;
    EXPECT_GT(space.available, 1'000'000u);
}

TEST_F(HostFaultTest, MissingAssetsAreSaid) {
    auto empty = home().folder() / "empty";
    ASSERT_TRUE(make_private_dir(empty));
    auto finished =
        home().vmette(home().up("", {"true"}), seconds(20), {.environment = {"VMETTE_ASSETS_DIR=" + empty.string()}});
    EXPECT_EQ(finished.code, 125) << finished;
    EXPECT_THAT(finished.err, HasSubstr("VMETTE_ASSETS_DIR does not hold a guest: open " + empty.string() +
                                        "/assets.json: No such file or directory"));
}

TEST_F(HostFaultTest, KernelThatIsNoneIsSaidAtOnce) {
    auto kernel = home().write("kernel", "this is no kernel\n");
    auto finished = home().vmette(home().up(fmt::format("[vm]\nkernel = \"{}\"\n", kernel.string()), {"true"}));
    EXPECT_EQ(finished.code, 125) << finished;
    EXPECT_LT(finished.took, seconds(10));
    EXPECT_THAT(finished.err, HasSubstr("vm-error"));
}

TEST_F(HostFaultTest, ImageThatIsNoneIsNeverBooted) {
    auto image = home().write("root.squashfs", "this is no image\n");
    auto finished = home().vmette({"run", "squashfs+file://" + image.string(), "-v", "--", "true"});
    EXPECT_EQ(finished.code, 125) << finished;
    EXPECT_THAT(finished.err, AllOf(HasSubstr("image-error"), HasSubstr(image.string()), Not(HasSubstr("phase boot"))));
    EXPECT_EQ(home().last_run()["reason"], "image-error");
}

TEST_F(HostFaultTest, TarThatIsCutIsRefusedAndLeavesNothing) {
    VmetteHome fresh(Cache::own);
    auto tar = build_dir() / "rootfs/toolchain.tar";
    auto cut = fresh.folder() / "cut.tar";
    std::filesystem::copy_file(tar, cut);
    std::filesystem::resize_file(cut, 5'000'000 + 137);
    auto finished = fresh.vmette({"run", "tar+file://" + cut.string(), "--", "true"});
    EXPECT_EQ(finished.code, 125) << finished;
    EXPECT_THAT(finished.err, AllOf(HasSubstr("image-error"), HasSubstr("cut.tar")));
    std::error_code error;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(fresh.layout().cache, error))
        EXPECT_TRUE(entry.is_directory() || entry.file_size() == 0) << entry.path();
}

TEST_F(HostFaultTest, FullCacheIsSaidAndLeavesNothing) {
    if (::geteuid() != 0) GTEST_SKIP() << "a small filesystem can be mounted by root alone";
    VmetteHome fresh(Cache::own);
    auto tar = build_dir() / "rootfs/toolchain.tar";
    auto cache = fresh.layout().cache.string();
    // In a mount namespace of its own: the mount goes with the last process in it.
    auto line = fmt::format(
        "mount -t tmpfs -o size=2m,mode=0700 none {0} && \"$@\"; code=$?; find {0} -type f -size +0; exit $code",
        cache);
    auto finished = fresh.vmette({"run", "tar+file://" + tar.string(), "--", "true"}, seconds(60),
                                 {.wrapper = {"unshare", "-m", "sh", "-c", line, "sh"}});
    EXPECT_EQ(finished.code, 125) << finished;
    EXPECT_THAT(finished.err,
                HasSubstr("vmette: image-error: no space left on the cache's filesystem while an image was made from " +
                          tar.string()));
    EXPECT_EQ(finished.out, "") << "left in the cache";
}

TEST_F(HostFaultTest, LogsThatFindNoRoomAreSaidAndTheRunGoesOn) {
    if (::geteuid() != 0) GTEST_SKIP() << "a small filesystem can be mounted by root alone";
    auto line = fmt::format("mkdir -p {0} && mount -t tmpfs -o size=1m,mode=0700 none {0} && exec \"$@\"",
                            (home().layout().state / "runs").string());
    auto words = home().up_shell("", "head -c 4000000 /dev/zero; exit 9");
    auto finished = home().vmette(words, seconds(60), {.wrapper = {"unshare", "-m", "sh", "-c", line, "sh"}});
    EXPECT_EQ(finished.code, 9) << finished.err;
    EXPECT_EQ(finished.out.size(), 4'000'000u);
    EXPECT_THAT(home().last_run()["error"].get<std::string>(),
                AllOf(HasSubstr("a log is not whole"), HasSubstr("No space left on device")));
}

TEST_F(HostFaultTest, CommandThatTheHistoryCannotRecordIsNotStarted) {
    // A lock is waited for, 30 s. Were it started, its death with the host could not be told from one that never began,
    // and it would be run twice.
    auto process = home().start(
        home().up_shell("[limits]\nboot_timeout = \"90s\"\n[snapshot]\nwarm = false\n", "echo ran", {"-v"}));
    ASSERT_TRUE(process.until_err("phase boot")) << process.err();
    process.signal(SIGSTOP);
    VmetteProcess holder({"sqlite3", home().layout().database(), "BEGIN IMMEDIATE;", ".shell echo held; exec sleep 33"},
                         {});
    ASSERT_TRUE(holder.until_out("held")) << holder.err();
    process.signal(SIGCONT);
    auto finished = process.finish(std::chrono::seconds(120));
    EXPECT_EQ(finished.code, 125) << finished;
    EXPECT_EQ(finished.out, "");
    EXPECT_THAT(finished.err, HasSubstr("so the command was not started"));
}

}  // namespace
}  // namespace vmette::testing
