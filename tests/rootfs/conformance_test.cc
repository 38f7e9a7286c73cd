/// What every provider that makes images must do, whatever its source is.

#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "rootfs/fixture.h"
#include "rootfs/http_server.h"
#include "rootfs/superblock.h"
#include "rootfs/tar_builder.h"

namespace vmette::rootfs {
namespace {

struct Kind {
    const char* provider;
    bool over_http;
};

class ConformanceTest : public RootfsTest, public testing::WithParamInterface<Kind> {
protected:
    ConformanceTest()
        : server_([this](const HttpRequest& request, HttpConnection& connection) {
              std::error_code ignored;
              auto path = dir / request.path.substr(1);
              if (!std::filesystem::exists(path, ignored)) return connection.answer(404, {}, "");
              serve_file(request, connection, read_whole(path), "\"1\"");
          }) {}
    std::string content(const std::string& text) {
        if (std::string_view(GetParam().provider) == "tar") return make_tar({tar_file("file", text)});
        return read_whole(make_squashfs(dir, text));
    }
    std::string source(const std::string& name) const {
        std::string where = GetParam().over_http ? server_.url("/" + name) : "file://" + (dir / name).string();
        return std::string(GetParam().provider) + "+" + where;
    }
    /// How messages name the source.
    std::string shown(const std::string& name) const {
        return GetParam().over_http ? server_.url("/" + name) : (dir / name).string();
    }

private:
    HttpServer server_;
};

TEST_P(ConformanceTest, MatchesItsOwnSpellingAlone) {
    EXPECT_EQ(registry.find(source("x"))->name(), GetParam().provider);
    for (const auto& provider : registry.providers())
        EXPECT_EQ(provider->matches(source("x")), provider->name() == GetParam().provider || provider->name() == "oci");
}

TEST_P(ConformanceTest, GivesAReadOnlyLockedImageNamedByItsDigest) {
    write("image", content("one"));
    auto resolved = resolve(source("image"));
    ASSERT_TRUE(resolved) << resolved.error().text();
    EXPECT_EQ(resolved->kind, RootKind::block_image);
    EXPECT_EQ(resolved->provider, GetParam().provider);
    EXPECT_EQ(resolved->source, source("image"));
    EXPECT_EQ(resolved->digest, "sha256:" + sha256_file(resolved->path).value());
    EXPECT_EQ(resolved->path, layout.image(resolved->digest.substr(7)));
    EXPECT_TRUE(check_superblock(resolved->image.get(), "image"));
    EXPECT_EQ(std::filesystem::status(resolved->path).permissions(), std::filesystem::perms::owner_read);
    EXPECT_LT(::pwrite(resolved->image.get(), "x", 1, 0), 0);
    EXPECT_EQ(resolved->config, ImageConfig{});
}

TEST_P(ConformanceTest, SameInputGivesTheSameDigest) {
    std::string bytes = content("one");
    write("a", bytes);
    write("b", bytes);
    auto a = resolve(source("a")), b = resolve(source("b"));
    ASSERT_TRUE(a && b);
    EXPECT_EQ(a->digest, b->digest);
    write("c", content("two"));
    auto c = resolve(source("c"));
    ASSERT_TRUE(c);
    EXPECT_NE(c->digest, a->digest);
}

TEST_P(ConformanceTest, RecordSaysWhatTheImageIs) {
    std::string bytes = content("one");
    write("image", bytes);
    auto resolved = resolve(source("image"));
    ASSERT_TRUE(resolved);
    ASSERT_EQ(index.records.size(), 1U);
    const ImageRecord& record = index.records[0];
    EXPECT_EQ(record.digest, resolved->digest);
    EXPECT_EQ(record.source, source("image"));
    EXPECT_EQ(record.provider, GetParam().provider);
    EXPECT_EQ(record.content_digest, "sha256:" + sha256_hex(bytes));
    EXPECT_EQ(record.bytes, resolved->bytes);
}

TEST_P(ConformanceTest, WhatIsMissingOrBadIsNamedAndLeavesNothing) {
    std::string error = error_of(source("missing"));
    EXPECT_NE(error.find(shown("missing")), error.npos) << error;
    EXPECT_TRUE(error.starts_with(GetParam().over_http ? "network: " : "not-found: ")) << error;
    write("garbage", std::string(10'000, 'g'));
    error = error_of(source("garbage"));
    EXPECT_TRUE(error.starts_with("bad-image: " + shown("garbage") + " is not a ")) << error;
    EXPECT_TRUE(index.records.empty());
    EXPECT_TRUE(image_files().empty());
}

TEST_P(ConformanceTest, CancelIsHeard) {
    write("image", content(std::string(8 * kMiB, 'x')));
    Context context{.layout = layout, .index = index};
    context.cancelled = [] { return true; };
    EXPECT_TRUE(error_of(source("image"), context).starts_with("cancelled: "));
    EXPECT_TRUE(index.records.empty());
    EXPECT_TRUE(image_files().empty());
}

TEST_P(ConformanceTest, IndexThatCannotRememberIsAnError) {
    class BrokenIndex final : public ImageIndex {
        std::optional<ImageRecord> find_source(const std::string&) override { return std::nullopt; }
        std::optional<ImageRecord> find_content(const std::string&) override { return std::nullopt; }
        Result<> add(const ImageRecord&) override { return fail(ErrorCode::io, "the index is broken"); }
        Result<> remove(const std::string&) override { return {}; }
    } broken;
    write("image", content("one"));
    EXPECT_EQ(error_of(source("image"), Context{.layout = layout, .index = broken}), "io: the index is broken");
}

INSTANTIATE_TEST_SUITE_P(Providers, ConformanceTest,
                         testing::Values(Kind{"tar", false}, Kind{"tar", true}, Kind{"squashfs", false},
                                         Kind{"squashfs", true}),
                         [](const auto& kind) {
                             return std::string(kind.param.provider) + (kind.param.over_http ? "_http" : "_file");
                         });

}  // namespace
}  // namespace vmette::rootfs
