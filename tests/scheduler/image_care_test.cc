#include "scheduler/image_care.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>

#include <fstream>

#include "base/digest.h"
#include "base/fd.h"
#include "base/units.h"
#include "rootfs/image_cache.h"
#include "support/manual_clock.h"

namespace vmette::scheduler {
namespace {

using std::chrono::hours;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// A cache of a few images, each of so many bytes and last used so long ago.
struct ImageCareTest : ::testing::Test {
    TempDir folder = *TempDir::make();
    Layout layout{folder.path() / "cache", folder.path() / "state", folder.path() / "run", folder.path() / "config"};
    // Files get the system's time, so the clock starts there.
    testing::ManualClock clock{SystemClock().now()};
    store::Store store = *store::Store::open(layout.database(), clock);

    static std::string content(const std::string& name, std::size_t bytes) {
        std::string text = name;
        text.resize(bytes, '.');
        return text;
    }

    std::string add(const std::string& name, std::size_t bytes) {
        std::string text = content(name, bytes);
        std::string hex = sha256_hex(text);
        std::filesystem::create_directories(layout.images_dir());
        std::ofstream(layout.image(hex)) << text;
        store::StoredImage image;
        image.digest = "sha256:" + hex;
        image.source = name;
        image.provider = "tar";
        image.bytes = bytes;
        image.created_at = image.last_used_at = clock.now();
        EXPECT_TRUE(store.put_image(image));
        return image.digest;
    }

    Pruned prune(const PrunePolicy& policy, bool dry_run = false) {
        auto pruned = prune_images(layout, store, clock, policy, dry_run);
        EXPECT_TRUE(pruned) << pruned.error().text();
        return pruned.value_or(Pruned{});
    }

    static std::vector<std::string> names(const std::vector<store::StoredImage>& images) {
        std::vector<std::string> out;
        for (const auto& image : images) out.push_back(image.source);
        return out;
    }
    std::vector<std::string> left() { return names(*store.list_images()); }
    std::size_t files() const { return rootfs::image_files(layout).size(); }
};

TEST_F(ImageCareTest, OldImagesGoByTheirLastUse) {
    std::string used = add("used", 10);
    add("old", 20);
    clock.advance(hours(48));
    ASSERT_TRUE(store.touch_image(used));
    auto pruned = prune({.max_age = hours(24), .max_bytes = {}});
    EXPECT_THAT(names(pruned.removed), ElementsAre("old"));
    EXPECT_EQ(pruned.bytes, 20u);
    EXPECT_THAT(left(), ElementsAre("used"));
    EXPECT_EQ(files(), 1u);
}

TEST_F(ImageCareTest, NothingIsRemovedThroughAFolderThatOthersCanWrite) {
    std::string digest = add("old", 10);
    std::filesystem::create_directories(layout.layers_dir());
    for (const auto& open : {layout.cache, layout.images_dir(), layout.layers_dir()}) {
        std::filesystem::permissions(open, std::filesystem::perms::all);
        auto pruned = prune_images(layout, store, clock, {.all = true, .max_age = {}, .max_bytes = {}}, false);
        ASSERT_FALSE(pruned);
        EXPECT_EQ(pruned.error().text(),
                  open.string() + " can be written by other users (mode 0777): chmod go-w " + open.string());
        std::filesystem::permissions(open, std::filesystem::perms::owner_all);
    }
    std::filesystem::permissions(layout.images_dir(), std::filesystem::perms::all);
    EXPECT_EQ(verify_image(layout, store, *store.find_image(digest)).error().code, ErrorCode::io);
    EXPECT_EQ(remove_cached_image(layout, store, digest).error().code, ErrorCode::io);
    EXPECT_EQ(files(), 1u);
    EXPECT_TRUE(store.find_image(digest)) << "it is still known";
}

TEST_F(ImageCareTest, LeastRecentlyUsedGoUntilTheRestFits) {
    for (const char* name : {"first", "second", "third"}) {
        add(name, 100);
        clock.advance(hours(1));
    }
    EXPECT_THAT(names(prune({.max_age = {}, .max_bytes = 300}).removed), IsEmpty());
    EXPECT_THAT(names(prune({.max_age = {}, .max_bytes = 150}).removed), ElementsAre("first", "second"));
    EXPECT_THAT(left(), ElementsAre("third"));
}

TEST_F(ImageCareTest, DryRunSaysTheSameAndRemovesNothing) {
    add("one", 10);
    add("two", 10);
    EXPECT_EQ(prune({.all = true, .max_age = {}, .max_bytes = {}}, true).removed.size(), 2u);
    EXPECT_EQ(files(), 2u);
    EXPECT_EQ(left().size(), 2u);
    EXPECT_EQ(prune({.all = true, .max_age = {}, .max_bytes = {}}).removed.size(), 2u);
    EXPECT_EQ(files(), 0u);
    EXPECT_THAT(left(), IsEmpty());
}

TEST_F(ImageCareTest, WhatARunHoldsStaysWhateverIsAsked) {
    std::string held = add("held", 10);
    auto run = rootfs::open_image(layout, held, 10);
    ASSERT_TRUE(run);
    for (bool dry_run : {true, false}) {
        auto pruned = prune({.all = true, .max_age = {}, .max_bytes = {}}, dry_run);
        EXPECT_THAT(pruned.removed, IsEmpty());
        EXPECT_THAT(names(pruned.in_use), ElementsAre("held"));
    }
    EXPECT_EQ(remove_cached_image(layout, store, held).error().text(),
              "the image " + held + " is in use: another vmette makes, checks or starts it");
    EXPECT_EQ(files(), 1u);
    run->fd.reset();
    EXPECT_TRUE(remove_cached_image(layout, store, held));
    EXPECT_EQ(files(), 0u);
    EXPECT_THAT(left(), IsEmpty());
}

TEST_F(ImageCareTest, ImageThatTheIndexDoesNotKnowGoesAfterAnHour) {
    add("known", 10);
    std::ofstream(layout.image(std::string(64, 'a'))) << "stray";
    EXPECT_EQ(prune({}).strays.size(), 0u);
    clock.advance(hours(2));
    auto pruned = prune({});
    EXPECT_EQ(pruned.strays.size(), 1u);
    EXPECT_EQ(pruned.bytes, 5u);
    EXPECT_EQ(files(), 1u);
}

TEST_F(ImageCareTest, UnfinishedPullGoesAfterAWeekUnlessSomebodyWorksOnIt) {
    std::filesystem::create_directories(layout.layers_dir());
    auto part = layout.layers_dir() / "abc.part";
    std::ofstream(part) << "half";
    clock.advance(hours(24 * 6));
    EXPECT_EQ(prune({}).strays.size(), 0u);
    clock.advance(hours(48));
    {
        auto worker = open_file(part, O_RDWR);
        ASSERT_TRUE(worker);
        ASSERT_EQ(::flock(worker->get(), LOCK_EX), 0);
        EXPECT_EQ(prune({}).strays.size(), 0u);
    }
    EXPECT_EQ(prune({}).strays.size(), 1u);
    EXPECT_FALSE(std::filesystem::exists(part));
}

TEST_F(ImageCareTest, VerifyingTellsSoundFromMissingFromDamaged) {
    std::string sound = add("sound", 10), missing = add("missing", 10), damaged = add("damaged", 10);
    std::filesystem::remove(layout.image(missing.substr(7)));
    std::ofstream(layout.image(damaged.substr(7))) << "0123456789";
    auto health = [&](const std::string& digest) { return *verify_image(layout, store, *store.find_image(digest)); };
    EXPECT_EQ(health(sound), ImageHealth::sound);
    EXPECT_EQ(health(missing), ImageHealth::missing);
    EXPECT_EQ(health(damaged), ImageHealth::damaged);
    EXPECT_THAT(left(), ElementsAre("sound"));
    EXPECT_EQ(files(), 1u);
}

}  // namespace
}  // namespace vmette::scheduler
