/// OCI layouts and archives of `docker save`, right and wrong.

#include "rootfs/oci/local_image.h"

#include "base/process.h"
#include "rootfs/oci/layers_fixture.h"
#include "rootfs/oci/layout_builder.h"

namespace vmette::rootfs::oci {
namespace {

class LocalImageTest : public LayersFixture {
protected:
    LocalImageTest() {
        builder.add_layer(lower, lower, "application/vnd.oci.image.layer.v1.tar");
        builder.add_layer(upper, upper, "application/vnd.oci.image.layer.v1.tar");
        builder.finish("test");
    }
    Result<LocalImage> open(const std::string& source) {
        auto parsed = parse_local_source(source);
        if (!parsed) return Failure(parsed.error());
        return open_local_image(*parsed, this_platform(), context());
    }
    /// The names in the merged image, or the error; with the test's folder taken out.
    std::string names_of(const std::string& source) {
        auto image = open(source);
        if (!image) return without_dir(image.error().text());
        layers_ = image->layers;
        auto merged = merge();
        return merged ? names() : without_dir(merged.error().text());
    }
    std::string without_dir(std::string text) const {
        for (auto at = text.find(dir.string() + "/"); at != text.npos; at = text.find(dir.string() + "/"))
            text.erase(at, dir.string().size() + 1);
        return text;
    }
    std::string layout_source(const std::string& tag = "") const {
        return "oci-layout:" + (dir / "layout").string() + (tag.empty() ? "" : ":" + tag);
    }
    /// docker-archive of these entries and the config of the layout.
    std::string archive(std::vector<TarEntry> entries, const std::string& layer_names) {
        std::string ids = fmt::format("\"{}\",\"{}\"", builder.diff_ids[0], builder.diff_ids[1]);
        std::string config =
            fmt::format(R"({{"architecture":"{}","os":"linux","rootfs":{{"type":"layers","diff_ids":[{}]}}}})",
                        this_platform().architecture, ids);
        entries.push_back(tar_file("config.json", config));
        entries.push_back(tar_file(
            "manifest.json",
            fmt::format(R"([{{"Config":"config.json","RepoTags":["acme/app:1"],"Layers":[{}]}}])", layer_names)));
        return "docker-archive:" + write("saved.tar", make_tar(entries)).string();
    }

    std::string lower = make_tar({tar_file("a", "1"), tar_file("b", "1")});
    std::string upper = make_tar({tar_file(".wh.a", ""), tar_file("c", "2")});
    LayoutBuilder builder{dir / "layout"};
};

TEST_F(LocalImageTest, LayoutIsOpenedByTagOrWithout) {
    EXPECT_EQ(names_of(layout_source("test")), "b c ");
    EXPECT_EQ(names_of(layout_source()), "b c ");
    EXPECT_EQ(names_of(layout_source("other")), "layout holds no image \"other\" (there are: test)");
}

TEST_F(LocalImageTest, ChangedBlobsAreNoticed) {
    auto path = builder.blob_path(builder.layers[1].digest);
    std::string changed = upper;
    changed[0] = 'x';
    write("layout/blobs/sha256/" + path.filename().string(), changed);
    EXPECT_NE(names_of(layout_source()).find("the layer " + builder.layers[1].digest + " has the digest "),
              std::string::npos);
    std::filesystem::resize_file(path, 512);
    EXPECT_EQ(names_of(layout_source()),
              fmt::format("layout: the layer {} has 512 bytes instead of {}", builder.layers[1].digest, upper.size()));
}

TEST_F(LocalImageTest, BlobThatIsALinkToTheOutsideIsNotOpened) {
    auto path = builder.blob_path(builder.layers[1].digest);
    auto outside = write("outside", upper);
    std::filesystem::remove(path);
    std::filesystem::create_symlink(outside, path);
    EXPECT_EQ(names_of(layout_source()), "layout lacks the layer " + builder.layers[1].digest);
}

TEST_F(LocalImageTest, SavedArchiveIsOpenedPlainAndCompressed) {
    std::string source =
        archive({tar_file("1/layer.tar", lower), tar_file("2/layer.tar", upper)}, R"("1/layer.tar","2/layer.tar")");
    EXPECT_EQ(names_of(source), "b c ");
    EXPECT_EQ(names_of(source + ":acme/app:1"), "b c ");
    EXPECT_EQ(names_of(source + ":acme/app:2"),
              "saved.tar holds no image \"docker.io/acme/app:2\" (there are: acme/app:1)");
    write("saved.tar", run_program({"gzip", "-c", (dir / "saved.tar").string()}));
    EXPECT_EQ(names_of(source), "b c ");
}

TEST_F(LocalImageTest, LayersOfASavedArchiveMayBeLinksWithinIt) {
    EXPECT_EQ(names_of(archive({tar_file("x/lower.tar", lower), tar_symlink("1/layer.tar", "../x/lower.tar"),
                                tar_file("u", upper), tar_hardlink("2/layer.tar", "u")},
                               R"("1/layer.tar","2/layer.tar")")),
              "b c ");
}

TEST_F(LocalImageTest, NamesAndLinksThatClimbLeadNowhere) {
    write("outside.tar", lower);
    EXPECT_EQ(names_of(archive({tar_symlink("1", "../outside.tar"), tar_file("2", upper)}, R"("1","2")")),
              "saved.tar lacks the layer 1");
    EXPECT_EQ(names_of(archive({tar_file("../1", lower), tar_file("2", upper)}, R"("../1","2")")),
              "saved.tar lacks the layer ../1");
    EXPECT_EQ(names_of(archive({tar_symlink("1", "1"), tar_file("2", upper)}, R"("1","2")")),
              "saved.tar lacks the layer 1");
}

TEST_F(LocalImageTest, LastOfTwoMembersOfOneNameCountsAndMustBeTheImages) {
    EXPECT_EQ(names_of(archive({tar_file("1", lower), tar_file("2", upper), tar_file("1", upper)}, R"("1","2")")),
              fmt::format("image: the layer {} unpacks to {} instead of {}", builder.diff_ids[0], builder.diff_ids[1],
                          builder.diff_ids[0]));
}

TEST_F(LocalImageTest, ArchiveIsReadAgainOnlyWhenItChanged) {
    std::string source = archive({tar_file("1", lower), tar_file("2", upper)}, R"("1","2")");
    wait_until_settled(dir / "saved.tar");
    auto first = resolve(source);
    ASSERT_TRUE(first) << first.error().text();
    // Nothing could be read of it any more.
    ::setenv("VMETTE_LIBEXEC_DIR", "/nowhere", 1);
    auto again = resolve(source);
    EXPECT_TRUE(again && again->digest == first->digest);
    ::setenv("VMETTE_LIBEXEC_DIR", VMETTE_TEST_LIBEXEC_DIR, 1);
    write("saved.tar", std::string(5000, 'g'));
    EXPECT_NE(error_of(source).find("is not a tar archive"), std::string::npos) << error_of(source);
}

TEST_F(LocalImageTest, FreshlyWrittenArchiveIsReadAgainBecauseItsTimeProvesNothing) {
    std::string source = archive({tar_file("1", lower), tar_file("2", upper)}, R"("1","2")");
    ASSERT_TRUE(resolve(source));
    // Whether the test was fast enough to count as fresh is up to the machine; a trusted time must be an old one.
    if (index.records.at(0).validator.starts_with("file:"))
        GTEST_SKIP() << "the machine is too slow for a file to be fresh";
    write("saved.tar", std::string(5000, 'g'));
    EXPECT_NE(error_of(source).find("is not a tar archive"), std::string::npos);
}

TEST_F(LocalImageTest, WhatIsNotThereIsSaidWithoutReadingAnything) {
    for (const char* source : {"oci-layout:/nowhere/x:1", "docker-archive:/nowhere/x", "oci-archive:/nowhere/x:y"}) {
        auto checked = registry.check(source);
        ASSERT_FALSE(checked) << source;
        EXPECT_NE(checked.error().message.find("/nowhere/x does not exist"), std::string::npos);
    }
    EXPECT_TRUE(registry.check(layout_source("other")));
    EXPECT_TRUE(registry.check("docker-daemon:app"));
}

TEST_F(LocalImageTest, WhatIsNoArchiveIsRefused) {
    auto source = "docker-archive:" + write("garbage", std::string(5000, 'g')).string();
    EXPECT_EQ(names_of(source), "garbage is not a tar archive, or is damaged or cut short");
    source = "docker-archive:" + write("other.tar", make_tar({tar_file("a", "1")})).string();
    EXPECT_EQ(names_of(source), "other.tar is no archive of an image: it has no manifest.json");
}

TEST_F(LocalImageTest, ArchivesOfSkopeoAreRead) {
    if (!find_program("skopeo")) GTEST_SKIP() << "skopeo is not installed";
    for (const char* kind : {"docker-archive", "oci-archive"}) {
        auto path = (dir / kind).string();
        run_program({"skopeo", "copy", "--quiet", layout_source("test").replace(0, 10, "oci"),
                     std::string(kind) + ":" + path + ":acme/app:1"});
        EXPECT_EQ(names_of("docker-archive:" + path), "b c ") << kind;
    }
}

}  // namespace
}  // namespace vmette::rootfs::oci
