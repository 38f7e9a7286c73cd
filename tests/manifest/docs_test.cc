#include <cstdlib>

#include <gtest/gtest.h>

#include "base/fd.h"
#include "manifest/batch_helpers.h"
#include "manifest/keys.h"

namespace vmette::manifest {
namespace {

using testing::Files;
using testing::load_batch_text;

std::string page_of_docs(const char* name) {
    const char* tree = std::getenv("VMETTE_SOURCE_DIR");
    if (tree == nullptr) return {};
    auto text = read_file(std::filesystem::path(tree) / "docs" / name, 1 << 20);
    EXPECT_TRUE(text) << text.error().text();
    return text ? *text : std::string();
}

/// The row of the page's table that opens with this key; empty when there is none.
std::string row_of(const std::string& page, const std::string& key) {
    std::size_t start = page.find(fmt::format("\n| `{}` |", key));
    return start == page.npos ? "" : page.substr(start + 1, page.find('\n', start + 1) - start - 1);
}

void expect_rows(const std::string& page, const Key& table, const std::string& prefix) {
    for (const Key& key : table.children) {
        std::string path = prefix + std::string(key.name);
        std::string row = row_of(page, path);
        EXPECT_NE(row, "") << path << " has no row in the docs";
        if (!key.fallback.empty()) {
            EXPECT_NE(row.find(key.fallback), row.npos) << path << ": default " << key.fallback;
        }
        for (std::string_view choice : key.choices) EXPECT_NE(row.find(choice), row.npos) << path << ": " << choice;
        EXPECT_EQ(key.later,
                  row.find("not available yet") != row.npos && key.choices.empty() && key.kind != Kind::table_map)
            << path;
        std::string_view list = key.kind == Kind::table_list ? "[]." : key.kind == Kind::table_map ? ".NAME." : ".";
        expect_rows(page, key, path + std::string(list));
    }
}

TEST(DocsTest, TheReferenceHasARowForEveryKeyWithItsDefault) {
    std::string page = page_of_docs("manifest.md");
    if (page.empty()) GTEST_SKIP() << "VMETTE_SOURCE_DIR is not set";
    expect_rows(page, sandbox_root(), "");
}

TEST(DocsTest, TheExamplesOfTheReferenceAreValid) {
    std::string page = page_of_docs("manifest.md");
    if (page.empty()) GTEST_SKIP() << "VMETTE_SOURCE_DIR is not set";
    int examples = 0;
    for (std::size_t start = page.find("```toml\n"); start != page.npos; start = page.find("```toml\n", start)) {
        start += 8;
        std::string text = page.substr(start, page.find("```", start) - start);
        LoadRequest request = testing::request_of(text);
        request.environment = [](const std::string&) { return "value"; };
        EXPECT_EQ(testing::load_request(request).error, "") << text;
        ++examples;
    }
    EXPECT_GE(examples, 2);
}

TEST(DocsTest, ThePageOfBatchesHasARowForEveryKeyWithItsDefault) {
    std::string page = page_of_docs("batch.md");
    if (page.empty()) GTEST_SKIP() << "VMETTE_SOURCE_DIR is not set";
    expect_rows(page, batch_root(), "");
}

TEST(DocsTest, TheExamplesOfThePageOfBatchesAreValid) {
    std::string page = page_of_docs("batch.md");
    if (page.empty()) GTEST_SKIP() << "VMETTE_SOURCE_DIR is not set";
    Files files{{"/proj/agent.toml", "rootfs = \"./rootfs\"\n"},
                {"/proj/tasks.jsonl", "{\"id\": 1, \"repo\": \"a\", \"prompt\": \"x\", \"memory\": \"1G\"}\n"}};
    int examples = 0;
    for (std::size_t start = page.find("```toml\n"); start != page.npos; start = page.find("```toml\n", start)) {
        start += 8;
        std::string text = page.substr(start, page.find("```", start) - start);
        EXPECT_EQ(load_batch_text(text, files).error, "") << text;
        ++examples;
    }
    EXPECT_GE(examples, 3);
}

}  // namespace
}  // namespace vmette::manifest
