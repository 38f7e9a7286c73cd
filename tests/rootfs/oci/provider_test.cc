/// The way from a name to an image: what is asked of a registry, and what is taken from the cache.

#include <algorithm>

#include <gmock/gmock.h>

#include "rootfs/oci/fake_registry.h"
#include "rootfs/oci/settings.h"
#include "rootfs/tar_builder.h"

namespace vmette::rootfs::oci {
namespace {

using std::chrono::minutes;
using testing::HasSubstr;
using testing::StartsWith;

class OciProviderTest : public RootfsTest {
protected:
    OciProviderTest() { settings.ttl = minutes(60); }

    Context at(WallTime now, PullPolicy pull = PullPolicy::missing, bool offline = false) {
        Context out{.layout = layout, .index = index, .pull = pull, .offline = offline, .settings = settings};
        out.now = now;
        return out;
    }
    /// The digest, or "code: message".
    std::string get(const Context& context, const std::string& tag = "v1") {
        return get_source(context, hub.reference(tag).text());
    }
    std::string get_source(const Context& context, const std::string& source) {
        auto image = registry.resolve(source, context);
        return image ? image->digest : fmt::format("{}: {}", to_string(image.error().code), image.error().text());
    }
    /// How often the registry was asked for anything.
    std::size_t asked() const { return hub.requests().size(); }
    void change_image(const std::string& content) {
        FakeImage other = FakeImage::of({make_tar({tar_file("file", content)})});
        hub.change([&] {
            hub.image.manifests.insert(other.manifests.begin(), other.manifests.end());
            hub.image.manifests["v1"] = other.manifest;
            hub.image.blobs.insert(other.blobs.begin(), other.blobs.end());
        });
    }
    /// The index in memory keeps the time that it is told here; the real one writes down the present.
    void checked_at(WallTime time) {
        for (auto& record : index.records) record.checked_at = time;
    }

    bool down = false;
    FakeRegistry hub{FakeImage::of({make_tar({tar_file("file", "one")})}),
                     [this](const HttpRequest&, HttpConnection& connection) {
                         if (down) connection.answer(400, {}, "");
                         return down;
                     }};
    ImageSettings settings;
    const WallTime then = WallTime(std::chrono::hours(24 * 365 * 50));
};

TEST_F(OciProviderTest, TagIsBelievedForItsTimeAndThenAskedForAgain) {
    std::string one = get(at(then));
    ASSERT_THAT(one, StartsWith("sha256:"));
    checked_at(then);
    std::size_t before = asked();
    change_image("two");
    EXPECT_EQ(get(at(then + minutes(59))), one);
    EXPECT_EQ(asked(), before);
    std::string two = get(at(then + minutes(60)));
    EXPECT_THAT(two, StartsWith("sha256:"));
    EXPECT_NE(two, one);
    EXPECT_GT(asked(), before);
}

TEST_F(OciProviderTest, ClockThatWasSetBackMakesNoTagEternal) {
    std::string one = get(at(then));
    checked_at(then);
    change_image("two");
    EXPECT_NE(get(at(then - minutes(1))), one);
}

TEST_F(OciProviderTest, WhatDidNotChangeIsNotFetchedAgain) {
    std::string one = get(at(then));
    checked_at(then);
    std::size_t before = hub.paths().size();
    EXPECT_EQ(get(at(then + minutes(90))), one);
    auto paths = hub.paths();
    for (std::size_t i = before; i < paths.size(); ++i)
        EXPECT_NE(paths[i], "/blobs/" + hub.image.layer_digest(0)) << "a layer that is in the image already";
}

TEST_F(OciProviderTest, PolicyDecidesWhetherARegistryIsAsked) {
    EXPECT_THAT(get(at(then, PullPolicy::never)), StartsWith("offline: "));
    EXPECT_THAT(get(at(then, PullPolicy::always, true)), StartsWith("offline: ")) << "offline wins";
    EXPECT_EQ(asked(), 0U);
    std::string one = get(at(then));
    checked_at(then);
    std::size_t before = asked();
    change_image("two");
    // However old it is.
    EXPECT_EQ(get(at(then + minutes(600), PullPolicy::never)), one);
    EXPECT_EQ(get(at(then + minutes(600), PullPolicy::missing, true)), one);
    EXPECT_EQ(asked(), before);
    EXPECT_NE(get(at(then, PullPolicy::always)), one);
}

TEST_F(OciProviderTest, DigestNamesTheSameForEver) {
    std::string digest = hub.image.manifest_digest();
    std::string one = get(at(then), digest);
    ASSERT_THAT(one, StartsWith("sha256:"));
    checked_at(then);
    std::size_t before = asked();
    EXPECT_EQ(get(at(then + minutes(6000)), digest), one);
    EXPECT_EQ(get(at(then, PullPolicy::always), digest), one);
    EXPECT_EQ(asked(), before);
}

TEST_F(OciProviderTest, AllSpellingsOfANameAreOne) {
    std::string one = get(at(then));
    checked_at(then);
    std::size_t before = asked();
    EXPECT_EQ(get_source(at(then), "oci://" + hub.reference().text()), one);
    EXPECT_EQ(asked(), before);
    EXPECT_EQ(index.records.size(), 1U);
}

TEST_F(OciProviderTest, ImageOfBeforeServesWhenTheRegistryDoesNot) {
    std::string one = get(at(then));
    checked_at(then);
    hub.change([&] { down = true; });
    EXPECT_EQ(get(at(then + minutes(90))), one);
    EXPECT_THAT(get(at(then + minutes(90), PullPolicy::always)),
                AllOf(StartsWith("network: "), HasSubstr("answered 400")));
    EXPECT_THAT(get(at(then), "v2"), StartsWith("network: "));
}

TEST_F(OciProviderTest, NameThatIsGoneIsNotServedFromTheCache) {
    std::string one = get(at(then));
    checked_at(then);
    hub.change([&] { hub.image.manifests.erase("v1"); });
    EXPECT_THAT(get(at(then + minutes(90))), StartsWith("not-found: "));
}

TEST_F(OciProviderTest, RemovedImageIsMadeAgain) {
    std::string one = get(at(then));
    checked_at(then);
    for (const auto& file : image_files()) std::filesystem::remove(file);
    EXPECT_EQ(get(at(then)), one);
    EXPECT_EQ(image_files().size(), 1U);
}

TEST_F(OciProviderTest, UnpackedSizeHasItsCap) {
    Context context = at(then);
    context.limits.max_unpacked = 1000;
    change_image(std::string(2000, 'x'));
    EXPECT_THAT(get(context), AllOf(StartsWith("bad-image: "), HasSubstr("more than 1000 B")));
    EXPECT_TRUE(image_files().empty());
    EXPECT_TRUE(std::filesystem::is_empty(layout.layers_dir()));
}

}  // namespace
}  // namespace vmette::rootfs::oci
