#include <fstream>

#include "e2e/guest_fixture.h"
#include "support/processes.h"

namespace vmette::testing {
namespace {

constexpr char kValue[] = "hunter2-9f3b1c77e0";

class SecretsTest : public GuestTest {
protected:
    StartOptions knowing() const { return {.environment = {std::string("HOST_TOKEN=") + kValue}}; }
    static std::string text(const std::filesystem::path& path) {
        std::ifstream file(path, std::ios::binary);
        return {std::istreambuf_iterator<char>(file), {}};
    }
    void expect_nowhere_on_disk() {
        for (const auto& root : {home().layout().state, home().layout().runtime, home().layout().config}) {
            for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
                bool holds = entry.is_regular_file() && text(entry.path()).find(kValue) != std::string::npos;
                EXPECT_FALSE(holds) << entry.path();
            }
        }
    }
    const std::string toml_ = "[secrets]\nTOKEN = { env = \"HOST_TOKEN\" }\n";
};

TEST_F(SecretsTest, ReachTheCommandAndNothingElse) {
    auto process =
        home().start(home().up_shell(toml_, "echo ${#TOKEN}; while :; do sleep 0.2; done", {"-vv"}), knowing());
    ASSERT_TRUE(process.until_out(fmt::format("{}\n", sizeof kValue - 1))) << process.err();
    auto started = descendants(process.pid());
    EXPECT_FALSE(started.empty());
    for (const auto& child : started) {
        EXPECT_THAT(child.command, Not(HasSubstr(kValue)));
        // An emulator that was broken into must not find the user's secrets in its own environment.
        EXPECT_THAT(text(fmt::format("/proc/{}/environ", child.identity.pid)), Not(HasSubstr(kValue))) << child.command;
    }
    EXPECT_THAT(text(fmt::format("/proc/{}/cmdline", process.pid())), Not(HasSubstr(kValue)));
    expect_nowhere_on_disk();
    process.signal(SIGINT);
    auto finished = process.finish();
    EXPECT_EQ(finished.code, 130) << finished;
    EXPECT_THAT(finished.err, Not(HasSubstr(kValue)));
    expect_nowhere_on_disk();
    EXPECT_THAT(home().vmette({"history", "show", "box", "--json"}).out, Not(HasSubstr(kValue)));
    EXPECT_THAT(home().vmette({"history", "show", "box"}).out, Not(HasSubstr(kValue)));
}

TEST_F(SecretsTest, PlanDoesNotShowThem) {
    auto words = home().up(toml_, {"true"});
    words.front() = "plan";
    auto finished = home().vmette(words, std::chrono::seconds(20), knowing());
    EXPECT_EQ(finished.code, 0) << finished;
    EXPECT_THAT(finished.out, HasSubstr("HOST_TOKEN"));
    EXPECT_THAT(finished.out + finished.err, Not(HasSubstr(kValue)));
}

TEST_F(SecretsTest, MissingOneIsNamedBeforeAnythingStarts) {
    auto finished = home().vmette(home().up("[secrets]\nTOKEN = { env = \"NO_SUCH_VARIABLE\" }\n", {"true"}));
    EXPECT_EQ(finished.code, 2) << finished;
    EXPECT_EQ(finished.err,
              "vmette: error: the secret TOKEN comes from the variable NO_SUCH_VARIABLE, which is not set\n");
    EXPECT_TRUE(home().runs().empty());
}

TEST_F(SecretsTest, CommandThatPrintsOneHasItInItsOwnLogAlone) {
    auto finished = home().vmette(home().up_shell(toml_, "echo $TOKEN", {"-vv"}), std::chrono::seconds(60), knowing());
    EXPECT_EQ(finished.out, std::string(kValue) + "\n") << finished;
    EXPECT_THAT(finished.err, Not(HasSubstr(kValue)));
}

}  // namespace
}  // namespace vmette::testing
