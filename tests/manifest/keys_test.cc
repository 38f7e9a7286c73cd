#include "manifest/keys.h"

#include <set>

#include <gtest/gtest.h>

#include "manifest/full_manifest.h"
#include "manifest/load_helpers.h"

namespace vmette::manifest {
namespace {

/// Every key of the table, a line `key = example` under its header.
void add_examples(const Key& table, const std::string& header, std::string& root, std::string& tables) {
    std::string* out = header.empty() ? &root : &tables;
    if (!header.empty()) *out += header + "\n";
    for (const Key& key : table.children) {
        if (key.kind < Kind::table) {
            *out += fmt::format("{} = {}\n", key.name, key.example);
        }
    }
    for (const Key& key : table.children) {
        if (key.kind == Kind::table) add_examples(key, fmt::format("[{}]", key.name), root, tables);
        if (key.kind == Kind::table_list) add_examples(key, fmt::format("[[{}]]", key.name), root, tables);
        bool free_names = key.kind == Kind::text_map || key.kind == Kind::table_map || key.kind == Kind::free;
        if (free_names) tables += fmt::format("[{}]\n{}\n", key.name, key.example);
    }
}

TEST(KeysTest, EveryExampleOfTheTableIsTakenTogether) {
    std::string root, tables;
    add_examples(sandbox_root(), "", root, tables);
    auto loaded = testing::load_request(testing::request_of(root + tables, {"net.mode=allowlist"}));
    EXPECT_EQ(loaded.error, "") << root + tables;
    EXPECT_EQ(loaded.sandbox.ports.size(), 1U);
    EXPECT_EQ(loaded.sandbox.net.allow.size(), 3U);
}

/// The defaults that the table documents are those of the value types.
TEST(KeysTest, DocumentedDefaultsAreTheRealOnes) {
    auto plain =
        testing::load_text("[[shares]]\nhost = \"a\"\n[[disks]]\npath = \"b\"\n[[artifacts]]\npath = \"/c\"\n");
    ASSERT_EQ(plain.error, "");
    std::string text;
    for (const Key& key : sandbox_root().children) {
        if (key.kind < Kind::table && !key.fallback.empty()) text += fmt::format("{} = {}\n", key.name, key.fallback);
    }
    text += "rootfs.source = \"./rootfs\"\n";
    for (const Key& key : sandbox_root().children) {
        if (key.kind != Kind::table && key.kind != Kind::table_list) continue;
        if (key.name != "rootfs")
            text += key.kind == Kind::table ? fmt::format("[{}]\n", key.name) : fmt::format("[[{}]]\n", key.name);
        if (key.name == "shares") text += "host = \"a\"\n";
        if (key.name == "disks") text += "path = \"b\"\n";
        if (key.name == "artifacts") text += "path = \"/c\"\n";
        std::string prefix = key.name == "rootfs" ? "rootfs." : "";
        for (const Key& child : key.children)
            if (!child.fallback.empty()) text += fmt::format("{}{} = {}\n", prefix, child.name, child.fallback);
    }
    auto spelled = testing::load_request(testing::request_of(text));
    ASSERT_EQ(spelled.error, "") << text;
    EXPECT_EQ(spelled.sandbox, plain.sandbox);
}

TEST(KeysTest, TheFullManifestOfTheTestsHasEveryKey) {
    for (const Key& section : sandbox_root().children) {
        EXPECT_NE(testing::kFullManifest.find(section.name), std::string_view::npos) << section.name;
        for (const Key& key : section.children)
            EXPECT_NE(testing::kFullManifest.find(key.name), std::string_view::npos) << section.name << '.' << key.name;
    }
}

TEST(KeysTest, NamesAreUniqueAndHaveHelp) {
    for (const Key* root : {&sandbox_root(), &batch_root()}) {
        std::set<std::string_view> names;
        for (const Key& section : root->children) {
            EXPECT_TRUE(names.insert(section.name).second) << section.name;
            EXPECT_FALSE(section.help.empty()) << section.name;
            std::set<std::string_view> inner;
            for (const Key& key : section.children) {
                EXPECT_TRUE(inner.insert(key.name).second) << section.name << '.' << key.name;
                EXPECT_FALSE(key.help.empty()) << section.name << '.' << key.name;
            }
        }
    }
}

TEST(StarterTest, IsAValidManifest) {
    LoadRequest request = testing::request_of(starter_manifest("My Agent"));
    auto loaded = testing::load_request(request);
    ASSERT_EQ(loaded.error, "");
    EXPECT_EQ(loaded.sandbox.name, "my-agent");
    EXPECT_EQ(not_available_yet(loaded.sandbox), std::vector<std::string>{});
    EXPECT_NE(starter_manifest("%%").find("name = \"sandbox\""), std::string::npos);
}

TEST(StarterTest, NamesOtherRootsAndNothingThatIsNotThereYet) {
    std::string starter = starter_manifest("x");
    for (const char* root : {"\"squashfs+file://", "\"tar+file://", "\"tar+https://", "#sha256="})
        EXPECT_NE(starter.find(root), std::string::npos) << root;
    EXPECT_EQ(starter.find("setup ="), std::string::npos);
    EXPECT_NE(starter.find("allowlist is not available yet"), std::string::npos);
}

TEST(StarterTest, StaysValidWithEveryCommentTakenAway) {
    std::string starter = starter_manifest("x");
    std::string text;
    for (std::size_t start = 0; start < starter.size();) {
        std::size_t end = starter.find('\n', start);
        std::string line = starter.substr(start, end - start);
        if (line.starts_with("# ") && (line.find(" = ") != line.npos || line.starts_with("# ["))) line.erase(0, 2);
        text += line + '\n';
        start = end + 1;
    }
    auto loaded = testing::load_request(testing::request_of(text));
    EXPECT_EQ(loaded.error, "") << text;
    EXPECT_EQ(loaded.sandbox.shares.size(), 1U);
    EXPECT_EQ(not_available_yet(loaded.sandbox), std::vector<std::string>{}) << text;
}

}  // namespace
}  // namespace vmette::manifest
