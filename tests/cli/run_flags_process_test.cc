#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "cli/vmette_process.h"

namespace vmette::cli {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::StartsWith;

class RunFlagsTest : public testing::Test {
protected:
    RunFlagsTest() {
        std::filesystem::create_directory(home_.path("root"));
        std::filesystem::create_directory(home_.path("src"));
        home_.write("disk.img", std::string(4096, '\0'));
    }
    VmetteHome home_;
};

TEST_F(RunFlagsTest, FlagsBecomeAManifest) {
    auto result = home_.run({"run",
                             "./root",
                             "--share",
                             "./src:/src:overlay",
                             "--disk",
                             "disk.img:/data:ro",
                             "--scratch",
                             "1G",
                             "--net",
                             "nat",
                             "--timeout",
                             "5m",
                             "--memory",
                             "1G",
                             "--vcpus",
                             "2",
                             "--env",
                             "A=$b",
                             "--label",
                             "team=x",
                             "--label",
                             "a.b=1",
                             "--name",
                             "mine",
                             "--workdir",
                             "/src",
                             "--user",
                             "1000:1000",
                             "-t",
                             "-i",
                             "--print-manifest",
                             "--",
                             "sh",
                             "-c",
                             "echo \"$A\""});
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(result.out, R"(schema = 1
name = "mine"
rootfs = "./root"
exec = ["sh", "-c", "echo \"$A\""]
workdir = "/src"
user = "1000:1000"
tty = true
stdin = "inherit"
scratch = "1G"
shares = ["./src:/src:overlay"]

[[disks]]
path = "disk.img"
guest = "/data"
read_only = true

[net]
mode = "nat"

[env]
A = "$$b"

[limits]
vcpus = 2
memory = "1G"
timeout = "5m"

[labels]
team = "x"
"a.b" = "1"
)");
    home_.write("printed.toml", result.out);
    auto valid = home_.run({"validate", "printed.toml"});
    EXPECT_EQ(valid.code, 0) << valid.err;
}

TEST_F(RunFlagsTest, NameComesFromTheSource) {
    const std::string kPinned = "oci://ghcr.io/acme/agent@sha256:" + std::string(64, '0');
    const std::pair<std::string, const char*> cases[] = {
        {"./root", "root"},
        {"tar+https://example.org/images/My_Root.tar.gz?x=1", "my_root"},
        {"python:3.12-alpine", "python"},
        {kPinned, "agent"},
        {"./root/..", "run"},
        {"docker-archive:./agent.tar.gz:acme/app:1", "agent"},
        {"docker-daemon:app:1", "app"},
    };
    home_.write("agent.tar.gz", "only looked for");
    for (const auto& [source, name] : cases) {
        auto result = home_.run({"run", source, "--print-manifest"});
        EXPECT_THAT(result.out, HasSubstr(std::string("name = \"") + name + "\"\n")) << source << result.err;
    }
}

TEST_F(RunFlagsTest, ErrorsAreTheManifests) {
    auto result = home_.run({"run", "./root", "--timeout", "soon", "--share", "nowhere:/x"});
    EXPECT_EQ(result.code, 2);
    EXPECT_THAT(result.err, HasSubstr("command line:"));
    EXPECT_THAT(result.err, HasSubstr("soon"));
    EXPECT_THAT(result.err, HasSubstr("nowhere"));
    EXPECT_EQ(home_.run({"run", "./root", "--label", "x"}).err, "vmette: error: --label x: it is written NAME=VALUE\n");
    EXPECT_THAT(home_.run({"run", "./root", "--net", "all"}).err,
                HasSubstr("--net: 'all' is none of none, nat, allowlist"));
    EXPECT_THAT(home_.run({"run", "./root", "true"}).err,
                HasSubstr("unexpected argument 'true' (a command is written after `--`)"));
}

/// Its content is pinned, so an image of it could be in the cache: only a run finds out.
const std::string kGone = "tar+file:///nowhere/root.tar#sha256=" + std::string(64, '0');

TEST_F(RunFlagsTest, SourceThatCannotBeMeantIsAnErrorOfTheManifestAndLeavesNoTrace) {
    const std::pair<const char*, const char*> cases[] = {
        {"tar+https://bob:secret@example.org/x.tar", "has a user name or a password in its URL"},
        {"tar+ftp://example.org/x.tar", "expected tar+file:///path, tar+http://… or tar+https://…"},
        {"tar+file:///x.tar#sha256=00", "a SHA-256 has 64 hexadecimal digits"},
        {"tar+file:///nowhere/root.tar", "the file /nowhere/root.tar does not exist"},
        {"./nowhere", "does not exist"},
        {"https://example.org/x.tar", "say what it is: tar+https://… or squashfs+https://…"},
        {"tarr+file:///x", "no provider takes tarr+file://"},
        {"Python", "Python"},
    };
    for (const auto& [source, message] : cases) {
        auto result = home_.run({"run", source, "--", "true"});
        EXPECT_EQ(result.code, 2) << source << result.err;
        EXPECT_THAT(result.err, HasSubstr(message)) << source;
    }
    EXPECT_EQ(home_.run({"history", "--json"}).out, "[]\n");
}

TEST_F(RunFlagsTest, SecretThatIsNotSetStartsNothing) {
    home_.write("secret.toml", "rootfs = \"./root\"\nexec = \"true\"\n[secrets]\nA = { env = \"NOT_SET_HERE\" }\n");
    auto result = home_.run({"up", "secret.toml"});
    EXPECT_EQ(result.code, 2);
    EXPECT_EQ(result.err, "vmette: error: the secret A comes from the variable NOT_SET_HERE, which is not set\n");
    EXPECT_EQ(home_.run({"history", "--json"}).out, "[]\n");
}

TEST_F(RunFlagsTest, RootThatIsNotThereIsAFailureThatHistoryRemembers) {
    auto result = home_.run({"run", kGone, "--name", "gone", "--", "true"});
    EXPECT_EQ(result.code, 125);
    EXPECT_EQ(result.out, "");
    EXPECT_THAT(result.err, StartsWith("vmette: image-error: "));
    EXPECT_THAT(result.err, HasSubstr("/nowhere/root.tar"));
    auto runs = json::parse(home_.run({"history", "--json"}).out);
    ASSERT_EQ(runs.size(), 1u);
    EXPECT_EQ(runs[0]["name"], "gone");
    EXPECT_EQ(runs[0]["status"], "failed");
    EXPECT_EQ(runs[0]["reason"], "image-error");
    EXPECT_EQ(runs[0]["started_before_failure"], false);
    auto logs = home_.run({"history", "logs", "gone"});
    EXPECT_EQ(logs.code, 1);
    EXPECT_THAT(logs.err, HasSubstr("wrote nothing"));
}

TEST_F(RunFlagsTest, DocumentIsAllThatJsonPrints) {
    auto result = home_.run({"run", kGone, "--json", "--", "true"});
    EXPECT_EQ(result.code, 125);
    EXPECT_EQ(json::parse(result.out)["reason"], "image-error");
    EXPECT_EQ(home_.run({"run", "./root", "--stream"}).err, "vmette: error: --stream belongs to --json\n");
}

}  // namespace
}  // namespace vmette::cli
