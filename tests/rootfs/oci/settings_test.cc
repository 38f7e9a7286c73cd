#include "rootfs/oci/settings.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/layout.h"

namespace vmette::rootfs::oci {
namespace {

class SettingsTest : public testing::Test {
protected:
    Result<ImageSettings> load(const std::string& text) {
        std::ofstream(file_) << text;
        return load_image_settings(file_);
    }
    /// Without the folder, which is another one at each run.
    std::string error(const std::string& text) {
        auto loaded = load(text);
        if (loaded) return "no error";
        EXPECT_EQ(loaded.error().code, ErrorCode::bad_input);
        std::string message = loaded.error().message;
        for (std::size_t at = 0; (at = message.find(file_.string(), at)) != message.npos;)
            message.replace(at, file_.string().size(), "config.toml");
        return message;
    }
    const std::filesystem::path& folder() const { return temp_.path(); }

private:
    TempDir temp_ = *TempDir::make();
    std::filesystem::path file_ = temp_.path() / "config.toml";
};

TEST_F(SettingsTest, AMissingOrForeignFileGivesTheDefaults) {
    EXPECT_EQ(*load_image_settings(folder() / "none.toml"), ImageSettings{});
    EXPECT_EQ(*load(""), ImageSettings{});
    EXPECT_EQ(*load("[defaults]\nimages = 7\n[notify]\nx.y = 1\n"), ImageSettings{});
}

TEST_F(SettingsTest, AllKeysAreRead) {
    auto settings = load(R"([images]
compression = "lz4"
ttl = "2h"
max_download = "1G"
max_unpacked = 512
max_entries = 1000
cache_size = "50G"
cache_age = "30d"

[registries."docker.io"]
mirrors = ["mirror.example:5000", "[::1]:5000"]
plain_http = true
ca_certs = "certs/registry.pem"
[registries."10.0.0.1:5000"]
ca_certs = "/etc/ca"
)");
    ASSERT_TRUE(settings) << settings.error().message;
    ImageSettings wanted;
    wanted.compression = Compression::lz4;
    wanted.ttl = std::chrono::hours(2);
    wanted.max_download = 1ULL << 30;
    wanted.max_unpacked = 512ULL << 20;
    wanted.max_entries = 1000;
    wanted.cache_size = 50ULL << 30;
    wanted.cache_age = std::chrono::days(30);
    wanted.registries["docker.io"] = {{"mirror.example:5000", "[::1]:5000"}, true, folder() / "certs/registry.pem"};
    wanted.registries["10.0.0.1:5000"] = {{}, false, "/etc/ca"};
    EXPECT_EQ(*settings, wanted);
    EXPECT_EQ(settings->of("docker.io"), wanted.registries["docker.io"]);
    EXPECT_EQ(settings->of("index.docker.io"), wanted.registries["docker.io"]);
    EXPECT_EQ(settings->of("10.0.0.1"), RegistrySettings{});
}

TEST_F(SettingsTest, DurationsAndSizesHaveTheirLimits) {
    EXPECT_EQ(load("images.ttl = 0")->ttl.count(), 0);
    EXPECT_EQ(load("images.ttl = 90")->ttl.count(), 90);
    EXPECT_EQ(load("images.cache_age = '3660d'")->cache_age, std::chrono::days(3660));
    EXPECT_EQ(load("images.cache_size = 0")->cache_size, 0u);
    for (const std::string text : {"'1y'", "'d'", "'-1d'", "'1.5h'", "'1500ms'", "'3661d'", "'99999999999999999999d'",
                                   "'1dd'", "-1", "1.5", "true", "[]", "{}", "1979-05-27"})
        EXPECT_TRUE(error("images.ttl = " + text)
                        .starts_with("config.toml:1:14: images.ttl must be a duration such as \"1h\" or \"30d\", or a "
                                     "whole number of seconds, "
                                     "not "))
            << text << ": " << error("images.ttl = " + text);
    for (const std::string text : {"'1X'", "'-1G'", "'99999999999T'", "''", "-1", "1.5", "false"})
        EXPECT_TRUE(error("images.cache_size = " + text)
                        .starts_with("config.toml:1:21: images.cache_size must be a size such as \"64G\", or a whole "
                                     "number of MiB, not "))
            << text << ": " << error("images.cache_size = " + text);
}

TEST_F(SettingsTest, ErrorsNameThePlaceAndTheNearestName) {
    EXPECT_EQ(error("[images]\ncompresion = \"zstd\"\n"),
              "config.toml:2:1: unknown key \"compresion\" in images; did you mean \"compression\"?");
    EXPECT_EQ(error("[images]\nfrobnicate = 1\n"), "config.toml:2:1: unknown key \"frobnicate\" in images");
    EXPECT_EQ(error("[registries.\"a.example\"]\nmirror = []\n"),
              "config.toml:2:1: unknown key \"mirror\" in registries.\"a.example\"; did you mean \"mirrors\"?");
    EXPECT_EQ(error("[images]\ncompression = \"zsdt\"\n"),
              "config.toml:2:15: images.compression must be one of \"zstd\", \"lz4\" and \"gzip\", not \"zsdt\"; did "
              "you mean \"zstd\"?");
    EXPECT_EQ(error("images = 1\nregistries = []\n"),
              "config.toml:1:10: images must be a table, not 1\n"
              "config.toml:2:14: registries must be a table, not an array");
}

TEST_F(SettingsTest, WrongValuesAreAllSaid) {
    EXPECT_EQ(
        error(R"([images]
max_entries = 0
max_download = "0"
compression = 3
[registries]
"a.example" = 1
"no host" = {}
[registries."b.example"]
mirrors = ["x/y", 4]
plain_http = "yes"
ca_certs = ""
[registries."c.example"]
mirrors = "d.example"
)"),
        "config.toml:2:15: images.max_entries must be a whole number above 0, not 0\n"
        "config.toml:3:16: images.max_download must be more than 0\n"
        "config.toml:4:15: images.compression must be one of \"zstd\", \"lz4\" and \"gzip\", not 3\n"
        "config.toml:6:15: registries.\"a.example\" must be a table, not 1\n"
        "config.toml:7:1: registries.\"no host\": no registry, which is a host, with or without a port\n"
        "config.toml:9:12: registries.\"b.example\".mirrors must hold hosts, with or without a port, not \"x/y\"\n"
        "config.toml:9:19: registries.\"b.example\".mirrors must hold hosts, with or without a port, not 4\n"
        "config.toml:10:14: registries.\"b.example\".plain_http must be true or false, not \"yes\"\n"
        "config.toml:11:12: registries.\"b.example\".ca_certs must be a path, not \"\"\n"
        "config.toml:13:11: registries.\"c.example\".mirrors must be an array of strings, not \"d.example\"");
}

TEST_F(SettingsTest, TwoNamesOfOneRegistryAreAMistake) {
    EXPECT_EQ(error("[registries.\"docker.io\"]\n[registries.\"index.docker.io\"]\n"),
              "config.toml:2:13: registries.\"index.docker.io\": docker.io stands here under another name already");
}

TEST_F(SettingsTest, BrokenFilesAreRefused) {
    EXPECT_TRUE(error("[images\n").starts_with("config.toml:1:8: not valid TOML: ")) << error("[images\n");
    EXPECT_TRUE(error("a = \"\x1b\xff\"").starts_with("config.toml:1:")) << error("a = \"\x1b\xff\"");
    EXPECT_EQ(error(std::string((1 << 20) + 1, '#')), "config.toml is larger than 1048576 bytes");
    std::string deep = "a";
    for (int i = 0; i < 200'000; ++i) deep += ".a";
    EXPECT_EQ(error(deep + " = 1"), "config.toml: nested too deeply");
    std::string many = "[images]\n";
    for (int i = 0; i < 25; ++i) many += "zzzzzzzz" + std::to_string(i) + " = 1\n";
    EXPECT_TRUE(error(many).ends_with("\n5 more are not shown"));
}

}  // namespace
}  // namespace vmette::rootfs::oci
