#include <fstream>

#include "base/digest.h"
#include "base/fd.h"
#include "e2e/guest_fixture.h"

#include <fcntl.h>

namespace vmette::testing {
namespace {

using StreamsTest = GuestTest;

std::string file_text(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

TEST_F(StreamsTest, OutAndErrStayApartAndTheExitCodeIsTheCommands) {
    auto finished = shell("echo out; echo err >&2; exit 42");
    EXPECT_EQ(finished.code, 42) << finished;
    EXPECT_EQ(finished.out, "out\n");
    EXPECT_EQ(finished.err, "err\n");

    Json run = home().last_run();
    EXPECT_EQ(run["name"], "box");
    EXPECT_EQ(run["status"], "failed");
    EXPECT_EQ(run["reason"], "exited");
    EXPECT_EQ(run["exit_code"], 42);
    EXPECT_EQ(run["signal"], nullptr);
    EXPECT_EQ(run["error"], nullptr);
    EXPECT_EQ(run["started_before_failure"], false);
    EXPECT_EQ(run["usage"]["stdout_bytes"], 4);
    EXPECT_EQ(run["usage"]["stderr_bytes"], 4);
    EXPECT_EQ(run["usage"]["stdout_dropped"], 0);
    for (const char* phase :
         {"resolve_ms", "prepare_ms", "boot_ms", "ready_ms", "exec_ms", "collect_ms", "teardown_ms"})
        EXPECT_TRUE(run["phases"][phase].is_number()) << phase << " in " << run;
    for (const char* digest : {"manifest_digest"}) EXPECT_THAT(run[digest].get<std::string>(), StartsWith("sha256:"));
    EXPECT_THAT(run["image"]["digest"].get<std::string>(), StartsWith("sha256:"));
    EXPECT_THAT(run["kernel"]["digest"].get<std::string>(), StartsWith("sha256:"));
    EXPECT_EQ(file_text(run["logs"]["stdout"]), "out\n");
    EXPECT_EQ(file_text(run["logs"]["stderr"]), "err\n");
    EXPECT_EQ(home().vmette({"history", "logs", "box"}).out, "out\n");
    EXPECT_EQ(home().vmette({"history", "logs", "box", "--stderr"}).out, "err\n");
}

TEST_F(StreamsTest, EveryExitCodeIsPassedOnAndCalledExited) {
    for (int code : {0, 1, 2, 124, 125, 127, 255}) {
        auto finished = shell(fmt::format("exit {}", code));
        EXPECT_EQ(finished.code, code) << finished;
        EXPECT_EQ(finished.err, "");
        Json run = home().last_run();
        EXPECT_EQ(run["reason"], "exited");
        EXPECT_EQ(run["exit_code"], code);
        EXPECT_EQ(run["status"], code == 0 ? "succeeded" : "failed");
    }
}

TEST_F(StreamsTest, DeathByASignalIs128PlusItsNumber) {
    auto finished = shell("kill -SEGV $$");
    EXPECT_EQ(finished.code, 128 + 11) << finished;
    Json run = home().last_run();
    EXPECT_EQ(run["reason"], "signaled");
    EXPECT_EQ(run["signal"], 11);
    EXPECT_EQ(run["exit_code"], nullptr);
    EXPECT_THAT(finished.err, HasSubstr("vmette: signaled: the command died of signal 11 (run "));
    EXPECT_EQ(shell("kill -KILL $$").code, 137);
    EXPECT_EQ(home().last_run()["reason"], "signaled");
}

TEST_F(StreamsTest, MissingCommandIs127AndOneThatCannotBeExecutedIs126) {
    auto missing = home().vmette(home().up("", {"no-such-program"}));
    EXPECT_EQ(missing.code, 127) << missing;
    EXPECT_THAT(missing.err, AllOf(HasSubstr("exec-error"), HasSubstr("no-such-program")));
    EXPECT_EQ(home().last_run()["reason"], "exec-error");

    auto not_executable = home().vmette(home().up("", {"/etc/passwd"}));
    EXPECT_EQ(not_executable.code, 126) << not_executable;
    EXPECT_THAT(not_executable.err, AllOf(HasSubstr("exec-error"), HasSubstr("/etc/passwd")));
    Json run = home().last_run();
    EXPECT_EQ(run["reason"], "exec-error");
    EXPECT_EQ(run["started_before_failure"], false);
}

TEST_F(StreamsTest, CommandRunsAsTheUserInTheWorkdirWithTheEnvironmentOfTheManifest) {
    auto finished = shell("id -u; id -g; pwd; echo $COLOUR; echo $SHAPE; echo $VMETTE_RUN_ID; echo $PATH",
                          "user = \"guest\"\nworkdir = \"/usr/bin\"\n[env]\nCOLOUR = \"red\"\nSHAPE = \"round\"\n",
                          {"--env", "SHAPE=a square"});
    EXPECT_EQ(finished.code, 0) << finished;
    std::string id = home().last_run()["id"];
    EXPECT_EQ(finished.out, "1000\n1000\n/usr/bin\nred\na square\n" + id +
                                "\n/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n");
    auto numbers = shell("id -u; id -g", "user = \"1234:4321\"\n");
    EXPECT_EQ(numbers.out, "1234\n4321\n") << numbers;
}

TEST_F(StreamsTest, UnknownUserIsAFailureBeforeTheCommand) {
    auto finished = shell("echo never", "user = \"nemo\"\n");
    EXPECT_EQ(finished.code, 125) << finished;
    EXPECT_EQ(finished.out, "");
    EXPECT_THAT(finished.err,
                AllOf(HasSubstr("setup-error"), HasSubstr("nemo"), HasSubstr("(before the command began; run ")));
    EXPECT_EQ(home().last_run()["started_before_failure"], false);
}

TEST_F(StreamsTest, MissingWorkdirIsMadeAndOneThatCannotBeIsAFailureBeforeTheCommand) {
    auto made = shell("pwd", "workdir = \"/made/for/this\"\n");
    EXPECT_EQ(made.out, "/made/for/this\n") << made;
    auto impossible = shell("echo never", "workdir = \"/etc/passwd/below\"\n");
    EXPECT_EQ(impossible.code, 125) << impossible;
    EXPECT_THAT(impossible.err, AllOf(HasSubstr("setup-error"), HasSubstr("/etc/passwd/below"),
                                      HasSubstr("(before the command began; run ")));
}

TEST_F(StreamsTest, SetChangesWhatTheFilesSay) {
    auto finished = shell("cat /proc/sys/kernel/hostname; awk '/MemTotal/ {print ($2 > 130000)}' /proc/meminfo", "",
                          {"--set", "name=renamed", "--set", "limits.memory=192M"});
    EXPECT_EQ(finished.out, "renamed\n1\n") << finished;
    EXPECT_EQ(home().last_run()["memory_mib"], 192);
}

TEST_F(StreamsTest, EveryByteOfStdinComesBack) {
    std::string bytes;
    for (int round = 0; round < 4096; ++round)
        for (int value = 0; value < 256; ++value) bytes += static_cast<char>(value);
    auto path = home().write("bytes", bytes);
    auto from_file = home().vmette(home().up(fmt::format("stdin = \"{}\"\n", path.string()), {"cat"}));
    EXPECT_EQ(from_file.code, 0);
    EXPECT_TRUE(from_file.out == bytes) << from_file.out.size() << " bytes came back of " << bytes.size();

    auto opened = open_file(path, O_RDONLY);
    ASSERT_TRUE(opened);
    auto inherited = home().vmette(home().up("stdin = \"inherit\"\n", {"cat"}), std::chrono::seconds(60),
                                   {.stdin_fd = opened->get()});
    EXPECT_EQ(inherited.code, 0);
    EXPECT_TRUE(inherited.out == bytes) << inherited.out.size() << " bytes came back of " << bytes.size();
}

TEST_F(StreamsTest, StdinThatNobodyJoinsIsEmpty) {
    auto path = home().write("text", "not for the guest\n");
    auto opened = open_file(path, O_RDONLY);
    auto finished = home().vmette(home().up("", {"cat"}), std::chrono::seconds(60), {.stdin_fd = opened->get()});
    EXPECT_EQ(finished.code, 0) << finished;
    EXPECT_EQ(finished.out, "");
}

TEST_F(StreamsTest, CommandThatDoesNotReadItsStdinStillEnds) {
    auto path = home().write("much", std::string(4 << 20, 'x'));
    auto finished = shell("exit 5", fmt::format("stdin = \"{}\"\n", path.string()));
    EXPECT_EQ(finished.code, 5) << finished;
}

TEST_F(StreamsTest, HundredMegabytesComeThroughWhole) {
    constexpr std::size_t kPiece = 1'000'000, kBytes = 100 * kPiece;
    // A piece that ends inside its pattern, a hundred times: whatever is lost or doubled moves all that follows.
    std::string line = fmt::format(
        "yes 0123456789abcdef | head -c {} > /piece; f='/piece /piece /piece /piece /piece'; "
        "f=\"$f $f\"; cat $f $f $f $f $f $f $f $f $f $f",
        kPiece);
    auto finished = home().vmette(home().up_shell("", line), std::chrono::seconds(120));
    EXPECT_EQ(finished.code, 0);
    std::string piece, expected;
    while (piece.size() < kPiece) piece += "0123456789abcdef\n";
    piece.resize(kPiece);
    for (int i = 0; i < 100; ++i) expected += piece;
    EXPECT_EQ(sha256_hex(finished.out), sha256_hex(expected)) << finished.out.size() << " bytes\n" << finished.err;
    EXPECT_LT(finished.peak_rss_kib, 64u * 1024);

    // 16 MiB of it are kept, and the log says what is missing.
    Json run = home().last_run();
    constexpr std::size_t kKept = 16 << 20;
    EXPECT_EQ(run["usage"]["stdout_bytes"], kBytes);
    EXPECT_EQ(run["usage"]["stdout_dropped"], kBytes - kKept);
    std::string log = file_text(run["logs"]["stdout"]);
    std::string note = fmt::format("\n[vmette: {} more bytes were written and not kept]\n", kBytes - kKept);
    EXPECT_TRUE(log == expected.substr(0, kKept) + note) << log.size();
}

TEST_F(StreamsTest, OutputBeyondTheCapIsPassedOnAndCounted) {
    auto finished = shell("head -c 5000 /dev/zero | tr '\\0' o; head -c 3000 /dev/zero | tr '\\0' e >&2",
                          "[limits]\noutput = \"1K\"\n");
    EXPECT_EQ(finished.out, std::string(5000, 'o')) << finished;
    EXPECT_EQ(finished.err, std::string(3000, 'e'));
    Json run = home().last_run();
    EXPECT_EQ(run["usage"]["stdout_dropped"], 5000 - 1024);
    EXPECT_EQ(run["usage"]["stderr_dropped"], 3000 - 1024);
    EXPECT_EQ(file_text(run["logs"]["stderr"]),
              std::string(1024, 'e') + "\n[vmette: 1976 more bytes were written and not kept]\n");
}

TEST_F(StreamsTest, ReaderThatDoesNotReadHoldsUpTheCommandNotItsLimits) {
    auto pipe = make_pipe();
    ASSERT_TRUE(pipe);
    auto process = home().start(home().up("[limits]\ntimeout = \"3s\"\ngrace = \"1s\"\n", {"yes"}),
                                {.stdout_fd = (*pipe)[1].get()});
    auto finished = process.finish(std::chrono::seconds(60));
    EXPECT_EQ(finished.code, 124) << finished;
    EXPECT_THAT(finished.err, Not(HasSubstr("has not answered")));
    Json run = home().last_run();
    EXPECT_EQ(run["reason"], "timeout");
    // A pipe, what is on its way, and the credit: no more than that left the guest.
    EXPECT_LT(run["usage"]["stdout_bytes"].get<std::uint64_t>(), 1u << 20);
}

TEST_F(StreamsTest, JsonPrintsTheDocumentAloneOnStdout) {
    auto finished = shell("echo out; exit 3", "", {"--json"});
    EXPECT_EQ(finished.code, 3) << finished;
    Json run = Json::parse(finished.out, nullptr, false);
    ASSERT_TRUE(run.is_object()) << finished;
    EXPECT_EQ(run["exit_code"], 3);
    EXPECT_EQ(run, home().last_run());
}

TEST_F(StreamsTest, NoKeepLogsKeepsNone) {
    auto finished = shell("echo out", "", {"--no-keep-logs"});
    EXPECT_EQ(finished.out, "out\n") << finished;
    Json run = home().last_run();
    EXPECT_EQ(run["logs"]["stdout"], nullptr);
    EXPECT_EQ(run["usage"]["stdout_bytes"], 4);
    EXPECT_FALSE(std::filesystem::exists(home().layout().run_dir(run["id"].get<std::string>())));
}

}  // namespace
}  // namespace vmette::testing
