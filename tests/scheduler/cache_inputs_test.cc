#include "scheduler/cache_inputs.h"

#include <algorithm>
#include <fstream>
#include <set>

#include <gtest/gtest.h>

#include "base/layout.h"
#include "scheduler/cache_decision.h"

namespace vmette::scheduler {
namespace {

namespace fs = std::filesystem;

/// A sandbox with one of everything that may count, and a host to find it on.
struct CacheInputsTest : testing::Test {
    TempDir folder = *TempDir::make();
    Layout layout{folder.path() / "cache", folder.path() / "state", folder.path() / "run", folder.path() / "config"};
    SystemClock clock;
    store::Store store = [this] {
        EXPECT_TRUE(make_private_dir(layout.state));
        return *store::Store::open(layout.database(), clock);
    }();
    TreeDigests trees{clock};
    std::map<std::string, std::string> variables{{"TOKEN", "secret value"}};
    std::string salt = "salt";
    manifest::Sandbox sandbox;
    rootfs::Resolved root;

    void SetUp() override {
        fs::create_directory(path("share"));
        for (const char* name : {"share/file", "disk", "input", "kernel", "initramfs"}) write(name, name);
        sandbox.name = "job";
        sandbox.exec = manifest::ShellCommand{"make"};
        sandbox.env = {{"A", "1"}, {"B", "2"}};
        sandbox.shares.push_back({"src", path("share"), "/src", manifest::ShareMode::ro});
        sandbox.disks.push_back({path("disk"), "/data", true});
        sandbox.secrets.push_back({.name = "KEY", .env = "TOKEN"});
        sandbox.stdin_source = {manifest::StdinMode::file, path("input")};
        sandbox.vm.kernel = path("kernel");
        sandbox.vm.initramfs = path("initramfs");
        root.digest = "sha256:image";
    }
    fs::path path(const std::string& name) const { return folder.path() / name; }
    void write(const std::string& name, const std::string& text) const { std::ofstream(path(name)) << text; }

    Result<GatheredInputs> gather() {
        Environment environment = [this](const std::string& name) -> std::optional<std::string> {
            auto found = variables.find(name);
            return found == variables.end() ? std::nullopt : std::optional(found->second);
        };
        return gather_inputs({layout, store, trees, environment, salt, {}}, sandbox, root);
    }
    CacheInputs inputs() {
        auto found = gather();
        EXPECT_TRUE(found) << found.error().text();
        return found ? found->inputs : CacheInputs{};
    }
    std::string value(const std::string& name) {
        auto all = inputs();
        auto found = std::ranges::find(all, name, &CacheInput::name);
        return found == all.end() ? "none" : found->value;
    }
};

TEST_F(CacheInputsTest, EachInputChangesTheKeyAndIsNamed) {
    auto before = inputs();
    std::set<std::string> keys{cache_key(before)};
    auto expect_change = [&](const std::string& name) {
        auto after = inputs();
        auto changes = compare(before, after);
        ASSERT_EQ(changes.size(), 1U) << name;
        EXPECT_EQ(changes[0].name, name);
        EXPECT_TRUE(keys.insert(cache_key(after)).second) << name;
        before = after;
    };
    sandbox.exec = manifest::ShellCommand{"make all"};
    expect_change("exec");
    sandbox.exec = manifest::Argv{{"make all"}};
    expect_change("exec");
    sandbox.name = "other";
    expect_change("name");
    sandbox.workdir = "/src";
    expect_change("workdir");
    sandbox.user = "nobody";
    expect_change("user");
    sandbox.tty = true;
    expect_change("tty");
    sandbox.env[1].second = "3";
    expect_change("env.B");
    sandbox.env.emplace_back("C", "x");
    expect_change("env.C");
    sandbox.limits.memory = kGiB;
    expect_change("limits.memory");
    sandbox.limits.timeout = Duration(1000);
    expect_change("limits.timeout");
    sandbox.net.mode = manifest::NetMode::nat;
    expect_change("net.mode");
    sandbox.rootfs.read_only = true;
    expect_change("rootfs.read_only");
    sandbox.scratch = 0;
    expect_change("scratch.size");
    sandbox.vm.cmdline = "quiet";
    expect_change("vm.cmdline");
    sandbox.shares[0].guest = "/other";
    expect_change("shares.src.guest");
    sandbox.shares[0].mode = manifest::ShareMode::overlay;
    expect_change("shares.src.mode");
    write("share/file", "changed");
    expect_change("shares.src");
    write("disk", "changed");
    expect_change("disks[0]");
    sandbox.disks[0].guest = "/mnt";
    expect_change("disks[0].guest");
    write("input", "changed");
    expect_change("stdin");
    write("kernel", "another kernel");
    expect_change("vm.kernel");
    write("initramfs", "another initramfs");
    expect_change("vm.initramfs");
    variables["TOKEN"] = "another secret";
    expect_change("secrets.KEY");
    root.digest = "sha256:other";
    expect_change("image");
    root.config.entrypoint = {"/bin/agent"};
    expect_change("image.config");
}

TEST_F(CacheInputsTest, WhatTheGuestDoesNotSeeDoesNotCount) {
    auto before = cache_key(inputs());
    sandbox.labels["team"] = "search";
    sandbox.metadata = "note = \"x\"\n[deep]\nenv = 1\n";
    sandbox.rootfs.source = "oci://elsewhere";
    sandbox.rootfs.pull = manifest::Pull::always;
    EXPECT_EQ(cache_key(inputs()), before);
    fs::rename(path("share"), path("moved"));
    sandbox.shares[0].host = path("moved");
    variables["TOKEN2"] = variables["TOKEN"];
    sandbox.secrets[0].env = "TOKEN2";
    EXPECT_EQ(cache_key(inputs()), before) << "the host's paths and names";
}

TEST_F(CacheInputsTest, OrderDoesNotCount) {
    sandbox.shares.push_back({"more", path("share"), "/more", manifest::ShareMode::ro});
    auto before = to_json(inputs());
    std::swap(sandbox.env[0], sandbox.env[1]);
    std::swap(sandbox.shares[0], sandbox.shares[1]);
    EXPECT_EQ(to_json(inputs()), before);
}

TEST_F(CacheInputsTest, KeysLookLikeWhatTheyAre) {
    sandbox.env = {{"A", "1\nB = 2"}, {"quoted key", "x = y"}};
    EXPECT_EQ(value("env.A"), "\"1\\nB = 2\"");
    EXPECT_EQ(value("env.\"quoted key\""), "\"x = y\"");
    EXPECT_EQ(value("env.B"), "none");
}

TEST_F(CacheInputsTest, SecretsAreNotInIt) {
    auto text = to_json(inputs());
    EXPECT_EQ(text.find("secret value"), text.npos);
    EXPECT_TRUE(value("secrets.KEY").starts_with("hmac:"));
    auto before = value("secrets.KEY");
    salt = "another";
    EXPECT_NE(value("secrets.KEY"), before) << "another database tells nothing of this one's";
    salt = "salt";
    sandbox.secrets[0].name = "OTHER";
    EXPECT_NE(value("secrets.OTHER"), before) << "equal secrets of two names do not look equal";
}

TEST_F(CacheInputsTest, LongValuesAreCutAndStillTold) {
    sandbox.exec = manifest::ShellCommand{std::string(100'000, 'x') + "1"};
    auto one = value("exec");
    EXPECT_LT(one.size(), 200U);
    sandbox.exec = manifest::ShellCommand{std::string(100'000, 'x') + "2"};
    EXPECT_NE(value("exec"), one);
}

TEST_F(CacheInputsTest, FolderAsRootIsToldByItsContent) {
    fs::create_directory(path("root"));
    root = {};
    root.kind = rootfs::RootKind::directory;
    root.path = path("root");
    auto before = cache_key(inputs());
    write("root/new", "x");
    EXPECT_NE(cache_key(inputs()), before);
}

TEST_F(CacheInputsTest, WhatCannotBeToldIsAnError) {
    sandbox.shares[0].mode = manifest::ShareMode::rw;
    EXPECT_EQ(gather().error().text(), "the share src can be written");
    sandbox.shares.clear();
    sandbox.disks[0].read_only = false;
    EXPECT_FALSE(gather());
    sandbox.disks.clear();
    variables.clear();
    EXPECT_EQ(gather().error().text(), "the secret KEY has no value");
    sandbox.secrets.clear();
    fs::remove(path("input"));
    EXPECT_EQ(gather().error().code, ErrorCode::not_found);
}

TEST(CacheInputsTextTest, ComesBackAndDamageIsSeen) {
    CacheInputs inputs{{"a", "1"}, {"b", "\"\u00e4\"\n"}};
    EXPECT_EQ(*cache_inputs_from_json(to_json(inputs)), inputs);
    for (const char* text : {"", "{}", "[1]", "[[\"a\"]]", "[[\"a\",1]]", "[[\"b\",\"\"],[\"a\",\"\"]]",
                             "[[\"a\",\"\"],[\"a\",\"\"]]", "[[\"a\",\"1\"]"})
        EXPECT_FALSE(cache_inputs_from_json(text)) << text;
}

TEST(CacheInputsTextTest, NamesAndValuesAreKeptApart) {
    EXPECT_NE(cache_key({{"a", "b"}}), cache_key({{"ab", ""}}));
    EXPECT_NE(cache_key({{"a", ""}, {"b", ""}}), cache_key({{"a", "b"}}));
    EXPECT_NE(cache_key({{"a", "1:b"}}), cache_key({{"a1:", "b"}}));
}

TEST(CacheDecisionTest, ComesBackAndDamageIsSeen) {
    CacheDecision decision{.cause = CacheDecision::Cause::changed, .key = "k", .run_id = "01r"};
    decision.changes.push_back({{"shares.src", "sha256:1", "sha256:2"}, {{"changed a"}, 7}});
    decision.changes.push_back({{"exec", "", "x"}, {}});
    decision.more_changes = 3;
    decision.note = "n";
    decision.not_kept = "m";
    auto text = to_json(decision);
    EXPECT_EQ(*cache_decision_from_json(text), decision);
    for (std::size_t length = 0; length < text.size(); ++length)
        EXPECT_FALSE(cache_decision_from_json(text.substr(0, length))) << length;
    for (const char* wrong : {"[]", "null", R"({"cause":"odd"})"}) EXPECT_FALSE(cache_decision_from_json(wrong));
}

}  // namespace
}  // namespace vmette::scheduler
