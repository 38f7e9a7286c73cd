#include <gmock/gmock.h>

#include "store/store_fixture.h"

namespace vmette::store {
namespace {

using ::testing::ElementsAre;

class LedgerTest : public OpenStoreTest {
protected:
    static LedgerEntry directory(const std::string& run, const std::string& path) {
        LedgerEntry entry;
        entry.run_id = run;
        entry.kind = LedgerKind::directory;
        entry.path = path;
        entry.what = "a folder";
        return entry;
    }
    std::vector<std::int64_t> ids(std::string_view run = {}) {
        std::vector<std::int64_t> out;
        for (const auto& entry : value_of(store().ledger_list(run))) out.push_back(entry.id);
        return out;
    }
};

TEST_F(LedgerTest, EntriesComeBackWholeAndNewestFirst) {
    LedgerEntry process;
    process.run_id = "01a";
    process.kind = LedgerKind::process;
    process.process = {123, 456, "boot"};
    process.what = "QEMU";
    auto first = store().ledger_add(directory("01a", "/run/x"));
    auto second = store().ledger_add(process);
    ASSERT_OK(first);
    ASSERT_OK(second);
    auto entries = store().ledger_list();
    ASSERT_OK(entries);
    ASSERT_EQ(entries->size(), 2u);
    EXPECT_EQ((*entries)[0].id, *second);
    EXPECT_EQ((*entries)[0].kind, LedgerKind::process);
    EXPECT_EQ((*entries)[0].process, process.process);
    EXPECT_EQ((*entries)[0].what, "QEMU");
    EXPECT_EQ((*entries)[1].id, *first);
    EXPECT_EQ((*entries)[1].path, "/run/x");
    EXPECT_EQ((*entries)[1].run_id, "01a");
}

TEST_F(LedgerTest, OneRunsEntriesAlone) {
    auto a = store().ledger_add(directory("01a", "/a")).value();
    store().ledger_add(directory("01b", "/b")).value();
    auto c = store().ledger_add(directory("01a", "/c")).value();
    EXPECT_THAT(ids("01a"), ElementsAre(c, a));
    EXPECT_EQ(ids("01z").size(), 0u);
}

TEST_F(LedgerTest, RemovedEntryIsGoneAndItsIdIsNotUsedAgain) {
    auto first = store().ledger_add(directory("01a", "/a")).value();
    auto second = store().ledger_add(directory("01a", "/b")).value();
    ASSERT_OK(store().ledger_remove(second));
    ASSERT_OK(store().ledger_remove(second));
    auto third = store().ledger_add(directory("01a", "/c")).value();
    EXPECT_GT(third, second);
    EXPECT_THAT(ids(), ElementsAre(third, first));
}

TEST_F(LedgerTest, KindsHaveNames) {
    EXPECT_EQ(to_string(LedgerKind::directory), "directory");
    EXPECT_EQ(to_string(LedgerKind::file), "file");
    EXPECT_EQ(to_string(LedgerKind::process), "process");
}

class ImagesTest : public OpenStoreTest {
protected:
    StoredImage image(const std::string& digest, const std::string& source) {
        StoredImage made;
        made.digest = digest;
        made.source = source;
        made.provider = "tar";
        made.content_digest = "content-of-" + digest;
        made.validator = "etag";
        made.bytes = 4096;
        made.created_at = made.last_used_at = clock_.now();
        return made;
    }
};

TEST_F(ImagesTest, ImageIsFoundBySourceAndByContent) {
    ASSERT_OK(store().put_image(image("d1", "tar+file:///a.tar")));
    for (const auto& found :
         {store().image_by_source("tar+file:///a.tar"), store().image_by_content("content-of-d1")}) {
        ASSERT_OK(found);
        ASSERT_TRUE(found->has_value());
        EXPECT_EQ((*found)->digest, "d1");
        EXPECT_EQ((*found)->source, "tar+file:///a.tar");
        EXPECT_EQ((*found)->provider, "tar");
        EXPECT_EQ((*found)->content_digest, "content-of-d1");
        EXPECT_EQ((*found)->validator, "etag");
        EXPECT_EQ((*found)->bytes, 4096u);
        EXPECT_EQ((*found)->created_at, clock_.now());
        EXPECT_EQ((*found)->last_used_at, clock_.now());
        EXPECT_EQ((*found)->uses, 0u);
    }
    EXPECT_FALSE(store().image_by_source("tar+file:///b.tar")->has_value());
    EXPECT_FALSE(store().image_by_content("nothing")->has_value());
}

TEST_F(ImagesTest, SeveralSourcesShareAnImage) {
    ASSERT_OK(store().put_image(image("d1", "a")));
    clock_.advance(std::chrono::seconds(1));
    ASSERT_OK(store().put_image(image("d1", "b")));
    EXPECT_EQ((*store().image_by_source("a"))->digest, "d1");
    EXPECT_EQ((*store().image_by_source("b"))->digest, "d1");
    EXPECT_EQ((*store().image_by_content("content-of-d1"))->source, "b");
    auto all = store().list_images();
    ASSERT_OK(all);
    ASSERT_EQ(all->size(), 1u);
    EXPECT_EQ(all->front().source, "b");
}

TEST_F(ImagesTest, SourceMovesToTheImageItWasPutWithLast) {
    ASSERT_OK(store().put_image(image("d1", "a")));
    ASSERT_OK(store().put_image(image("d2", "a")));
    EXPECT_EQ((*store().image_by_source("a"))->digest, "d2");
    EXPECT_EQ((*store().image_by_source("a"))->content_digest, "content-of-d2");
}

TEST_F(ImagesTest, UseIsCountedAndDatedAndSurvivesAnotherPut) {
    ASSERT_OK(store().put_image(image("d1", "a")));
    auto made = clock_.now();
    clock_.advance(std::chrono::seconds(5));
    ASSERT_OK(store().touch_image("d1"));
    ASSERT_OK(store().touch_image("d1"));
    ASSERT_OK(store().touch_image("unknown"));
    auto used = clock_.now();
    StoredImage older = image("d1", "a");
    older.created_at = older.last_used_at = made;
    ASSERT_OK(store().put_image(older));
    StoredImage found = **store().image_by_source("a");
    EXPECT_EQ(found.uses, 2u);
    EXPECT_EQ(found.last_used_at, used);
    EXPECT_EQ(found.created_at, made);
}

TEST_F(ImagesTest, ListIsByLastUse) {
    for (const char* digest : {"d1", "d2", "d3"}) ASSERT_OK(store().put_image(image(digest, digest)));
    clock_.advance(std::chrono::seconds(1));
    ASSERT_OK(store().touch_image("d2"));
    std::vector<std::string> digests;
    for (const auto& one : value_of(store().list_images())) digests.push_back(one.digest);
    EXPECT_THAT(digests, ElementsAre("d2", "d1", "d3"));
}

TEST_F(ImagesTest, ImageThatLostItsLastSourceIsStillListed) {
    ASSERT_OK(store().put_image(image("d1", "a")));
    ASSERT_OK(store().put_image(image("d2", "a")));
    std::vector<std::string> digests;
    for (const auto& one : value_of(store().list_images())) digests.push_back(one.digest);
    EXPECT_THAT(digests, ElementsAre("d1", "d2"));
}

TEST_F(ImagesTest, RemovedImageTakesItsSourcesAlong) {
    ASSERT_OK(store().put_image(image("d1", "a")));
    ASSERT_OK(store().put_image(image("d1", "b")));
    ASSERT_OK(store().put_image(image("d2", "c")));
    ASSERT_OK(store().remove_image("d1"));
    ASSERT_OK(store().remove_image("d1"));
    EXPECT_FALSE(store().image_by_source("a")->has_value());
    EXPECT_FALSE(store().image_by_source("b")->has_value());
    EXPECT_TRUE(store().image_by_source("c")->has_value());
}

TEST_F(ImagesTest, NameIsRemovedAloneWhileTheImageHasAnother) {
    ASSERT_OK(store().put_image(image("d1", "a")));
    ASSERT_OK(store().put_image(image("d1", "b")));
    ASSERT_OK(store().put_image(image("d2", "c")));
    EXPECT_FALSE(value_of(store().remove_image_source("nothing")));
    EXPECT_TRUE(value_of(store().remove_image_source("a")));
    EXPECT_FALSE(store().image_by_source("a")->has_value());
    EXPECT_TRUE(store().image_by_source("b")->has_value());
    EXPECT_FALSE(value_of(store().remove_image_source("b"))) << "the last name goes with its image";
    EXPECT_FALSE(value_of(store().remove_image_source("c")));
    EXPECT_EQ(store().list_images()->size(), 2u);
}

TEST_F(ImagesTest, WhatTheImageRunsAndWhenItsSourceWasCheckedIsKept) {
    StoredImage made = image("d1", "docker.io/library/python:3.12");
    made.config = R"({"Cmd":["python3"]})";
    ASSERT_OK(store().put_image(made));
    clock_.advance(std::chrono::minutes(2));
    ASSERT_OK(store().put_image(made));
    StoredImage found = **store().image_by_source(made.source);
    EXPECT_EQ(found.config, made.config);
    EXPECT_EQ(found.checked_at, clock_.now());
    EXPECT_EQ(found.created_at, made.created_at);
}

TEST_F(ImagesTest, AllSourcesOfAnImageAreListedNewestFirst) {
    ASSERT_OK(store().put_image(image("d1", "a")));
    clock_.advance(std::chrono::seconds(1));
    ASSERT_OK(store().put_image(image("d1", "b")));
    ASSERT_OK(store().put_image(image("d2", "c")));
    std::vector<std::string> sources;
    for (const auto& one : value_of(store().image_sources("d1"))) sources.push_back(one.source);
    EXPECT_THAT(sources, ElementsAre("b", "a"));
    EXPECT_TRUE(value_of(store().image_sources("d3")).empty());
}

TEST_F(ImagesTest, ImageIsFoundByWhatAPersonTypes) {
    ASSERT_OK(store().put_image(image("sha256:abcd0001", "tar+file:///a.tar")));
    ASSERT_OK(store().put_image(image("sha256:abcd0002", "tar+file:///b.tar")));
    EXPECT_EQ(value_of(store().find_image("tar+file:///b.tar")).digest, "sha256:abcd0002");
    EXPECT_EQ(value_of(store().find_image("sha256:abcd0001")).digest, "sha256:abcd0001");
    EXPECT_EQ(value_of(store().find_image("abcd0001")).digest, "sha256:abcd0001");
    EXPECT_EQ(store().find_image("abcd").error().text(),
              "abcd fits 2 images; give more of the digest: sha256:abcd0001 (tar+file:///a.tar), sha256:abcd0002 "
              "(tar+file:///b.tar)");
    EXPECT_EQ(store().find_image("abcd").error().code, ErrorCode::bad_input);
    EXPECT_EQ(store().find_image("abc").error().text(),
              "there is no image \"abc\" in the cache; the beginning of a digest has at least 4 digits");
    EXPECT_EQ(store().find_image("xyz").error().text(), "there is no image \"xyz\" in the cache");
    EXPECT_EQ(store().find_image("no\x1b[31m").error().code, ErrorCode::not_found);
    EXPECT_EQ(store().find_image("no\x1b[31m").error().text().find('\x1b'), std::string::npos);
}

using FactsTest = OpenStoreTest;

TEST_F(FactsTest, FactIsRememberedAndReplaced) {
    EXPECT_EQ(store().get_fact("accel:x").value(), std::nullopt);
    ASSERT_OK(store().put_fact("accel:x", "tcg"));
    EXPECT_EQ(store().get_fact("accel:x").value(), "tcg");
    ASSERT_OK(store().put_fact("accel:x", ""));
    EXPECT_EQ(store().get_fact("accel:x").value(), "");
}

TEST_F(FactsTest, FactsAreForgottenByPrefixAlone) {
    for (const char* key : {"digest:/a:1", "digest:/a:2", "digest:/b", "digest", "Digest:/a", "digest;"})
        ASSERT_OK(store().put_fact(key, "v"));
    ASSERT_OK(store().remove_facts("digest:"));
    for (const char* key : {"digest:/a:1", "digest:/a:2", "digest:/b"})
        EXPECT_EQ(store().get_fact(key).value(), std::nullopt) << key;
    for (const char* key : {"digest", "Digest:/a", "digest;"}) EXPECT_EQ(store().get_fact(key).value(), "v") << key;
}

TEST_F(FactsTest, PatternCharactersInAPrefixMeanThemselves) {
    ASSERT_OK(store().put_fact("abc", "v"));
    ASSERT_OK(store().remove_facts("%"));
    ASSERT_OK(store().remove_facts("a*"));
    EXPECT_EQ(store().get_fact("abc").value(), "v");
}

TEST_F(FactsTest, EmptyPrefixForgetsEverything) {
    ASSERT_OK(store().put_fact("abc", "v"));
    ASSERT_OK(store().put_fact("\xFF\xFF", "v"));
    ASSERT_OK(store().remove_facts("\xFF"));
    EXPECT_EQ(store().get_fact("\xFF\xFF").value(), std::nullopt);
    ASSERT_OK(store().remove_facts(""));
    EXPECT_EQ(store().get_fact("abc").value(), std::nullopt);
}

}  // namespace
}  // namespace vmette::store
