#include "rootfs/oci/manifest.h"

#include <gtest/gtest.h>

#include "rootfs/oci/reference.h"

namespace vmette::rootfs::oci {
namespace {

const std::string kA = "sha256:" + std::string(64, 'a');
const std::string kB = "sha256:" + std::string(64, 'b');
const std::string kC = "sha256:" + std::string(64, 'c');
const std::string kOci = "application/vnd.oci.image.";
const std::string kDocker = "application/vnd.docker.";

std::string descriptor(const std::string& type, const std::string& digest, const std::string& size,
                       const std::string& more = "") {
    return R"({"mediaType":")" + type + R"(","digest":")" + digest + R"(","size":)" + size + more + "}";
}

std::string platform(const std::string& os, const std::string& architecture, const std::string& variant = "") {
    return R"(,"platform":{"os":")" + os + R"(","architecture":")" + architecture + "\"" +
           (variant.empty() ? "" : R"(,"variant":")" + variant + "\"") + "}";
}

std::string layer(const std::string& digest = kB, const std::string& size = "10", const std::string& more = "") {
    return descriptor(kOci + "layer.v1.tar+gzip", digest, size, more);
}

std::string manifest(const std::string& layers, const std::string& more = "",
                     const std::string& config = descriptor(kOci + "config.v1+json", kA, "7")) {
    return R"({"schemaVersion":2,"config":)" + config + R"(,"layers":)" + layers + more + "}";
}

std::string index(const std::string& manifests, const std::string& more = "") {
    return R"({"schemaVersion":2,"manifests":)" + manifests + more + "}";
}

std::string error_of(const std::string& text, const std::string& type = "") {
    auto parsed = parse_document(text, type);
    if (parsed) return "no error";
    EXPECT_EQ(parsed.error().code, ErrorCode::bad_image);
    return parsed.error().message;
}

Index parsed_index(const std::string& text) {
    auto parsed = parse_document(text, "");
    if (!parsed) ADD_FAILURE() << parsed.error().message;
    return parsed && std::holds_alternative<Index>(*parsed) ? std::get<Index>(*parsed) : Index{};
}

TEST(ManifestTest, AnOciIndexAsBuildkitWritesIt) {
    std::string text =
        index("[" + descriptor(kOci + "manifest.v1+json", kA, "1000", platform("linux", "amd64")) + "," +
                  descriptor(kOci + "manifest.v1+json", kB, "1001", platform("linux", "arm64", "v8")) + "," +
                  descriptor(kOci + "manifest.v1+json", kC, "566",
                             R"(,"annotations":{"vnd.docker.reference.type":"attestation-manifest"})" +
                                 platform("unknown", "unknown")) +
                  "]",
              R"(,"mediaType":"application/vnd.oci.image.index.v1+json","annotations":{"a":"b"})");
    auto parsed = parse_document(text, kOci + "index.v1+json");
    ASSERT_TRUE(parsed) << parsed.error().message;
    const Index& got = std::get<Index>(*parsed);
    ASSERT_EQ(got.manifests.size(), 3u);
    EXPECT_EQ(got.manifests[1], (Descriptor{kOci + "manifest.v1+json", kB, 1001, {"linux", "arm64", "v8"}, {}}));
    EXPECT_EQ(choose_platform(got, {"linux", "amd64", ""})->digest, kA);
    EXPECT_EQ(choose_platform(got, {"linux", "arm64", "v8"})->digest, kB);
    EXPECT_EQ(choose_platform(got, {"linux", "s390x", ""}).error().message,
              "has no image for linux/s390x, only for linux/amd64, linux/arm64/v8");
    EXPECT_EQ(choose_platform(got, {"unknown", "unknown", ""}).error().message,
              "has no image for unknown/unknown, only for linux/amd64, linux/arm64/v8");
}

TEST(ManifestTest, ADockerManifestList) {
    auto one =
        descriptor(kDocker + "distribution.manifest.v2+json", kA, "527",
                   R"(,"platform":{"os":"windows","architecture":"amd64","os.version":"10.0","features":["x"]})");
    auto parsed =
        parse_document(index("[" + one + "]", R"(,"mediaType":")" + kDocker + R"(distribution.manifest.list.v2+json")"),
                       kDocker + "distribution.manifest.list.v2+json");
    ASSERT_TRUE(parsed) << parsed.error().message;
    EXPECT_EQ(choose_platform(std::get<Index>(*parsed), this_platform()).error().code, ErrorCode::bad_image);
}

TEST(ManifestTest, AManifestOfEitherKind) {
    auto oci = parse_document(manifest("[" + layer() + "," + layer(kC, "0") + "]"), "application/json");
    ASSERT_TRUE(oci) << oci.error().message;
    const Manifest& got = std::get<Manifest>(*oci);
    EXPECT_EQ(got.config, (Descriptor{kOci + "config.v1+json", kA, 7, {}, {}}));
    ASSERT_EQ(got.layers.size(), 2u);
    EXPECT_EQ(got.layers[1].digest, kC);

    std::string docker = manifest("[" + descriptor(kDocker + "image.rootfs.diff.tar.gzip", kB, "5") + "]",
                                  R"(,"mediaType":")" + kDocker + R"(distribution.manifest.v2+json")",
                                  descriptor(kDocker + "container.image.v1+json", kA, "7"));
    EXPECT_EQ(error_of(docker, kDocker + "distribution.manifest.v2+json"), "no error");
    EXPECT_EQ(error_of(manifest("null")), "no error");
    for (const char* type : {"layer.v1.tar", "layer.v1.tar+zstd"})
        EXPECT_EQ(error_of(manifest("[" + descriptor(kOci + type, kB, "5") + "]")), "no error");
}

TEST(ManifestTest, AnnotationsNameALayoutsImages) {
    auto got =
        parsed_index(index("[" +
                           descriptor(kOci + "manifest.v1+json", kA, "5",
                                      R"(,"annotations":{"org.opencontainers.image.ref.name":"1.0"},"platform":null)") +
                           "]"));
    ASSERT_EQ(got.manifests.size(), 1u);
    EXPECT_EQ(got.manifests[0].ref_name, "1.0");
    EXPECT_EQ(got.manifests[0].platform, Platform{});
}

TEST(ManifestTest, PlatformsAreChosenByVariant) {
    auto one = [](const std::string& digest, const std::string& variant) {
        return descriptor(kOci + "manifest.v1+json", digest, "5", platform("linux", "arm64", variant));
    };
    Platform v8{"linux", "arm64", "v8"};
    EXPECT_EQ(
        choose_platform(parsed_index(index("[" + one(kA, "v9") + "," + one(kB, "") + "," + one(kC, "v8") + "]")), v8)
            ->digest,
        kC);
    EXPECT_EQ(choose_platform(parsed_index(index("[" + one(kA, "v9") + "," + one(kB, "") + "]")), v8)->digest, kB);
    EXPECT_EQ(choose_platform(parsed_index(index("[" + one(kA, "v9") + "," + one(kB, "v7") + "]")), v8)->digest, kA);
    // One that says nothing is better than none.
    std::string silent = descriptor(kOci + "manifest.v1+json", kC, "5");
    EXPECT_EQ(choose_platform(parsed_index(index("[" + silent + "," + one(kA, "") + "]")), v8)->digest, kA);
    EXPECT_EQ(choose_platform(parsed_index(index("[" + silent + "]")), v8)->digest, kC);
    std::string other = descriptor("application/vnd.example+json", kB, "5", platform("linux", "arm64"));
    EXPECT_EQ(choose_platform(parsed_index(index("[" + other + "]")), v8).error().message, "lists no image");
    EXPECT_EQ(choose_platform(Index{}, v8).error().message, "lists no image");
}

TEST(ManifestTest, ManyPlatformsAreNotAllNamed) {
    Index many;
    for (int i = 0; i < 100; ++i) many.manifests.push_back({.platform = {"linux", "cpu\n" + std::to_string(i), ""}});
    std::string message = choose_platform(many, this_platform()).error().message;
    EXPECT_TRUE(message.ends_with(", linux/cpu\\x0a19, …")) << message;
}

TEST(ManifestTest, Schema1IsRefusedByName) {
    const std::string why = "is a manifest of Docker's schema 1, which is no longer supported: push the image again";
    EXPECT_EQ(error_of(R"({"schemaVersion":1,"name":"x","fsLayers":[]})"), why);
    EXPECT_EQ(error_of(manifest("[]"), kDocker + "distribution.manifest.v1+prettyjws"), why);
}

TEST(ManifestTest, ArtifactsAndForeignLayersAreRefusedByName) {
    EXPECT_EQ(error_of(manifest("[]", "", descriptor("application/vnd.cncf.helm.config.v1+json", kA, "7"))),
              "is an artifact (\"application/vnd.cncf.helm.config.v1+json\"), not an image");
    EXPECT_EQ(error_of(manifest("[]", R"(,"artifactType":"application/vnd.ex\u001bample")",
                                descriptor("application/vnd.oci.empty.v1+json", kA, "2"))),
              "is an artifact (\"application/vnd.ex\\x1bample\"), not an image");
    const std::string foreign =
        "layers[0] is foreign: to be had from elsewhere, not from this registry, which is not supported";
    EXPECT_EQ(error_of(manifest("[" + descriptor(kDocker + "image.rootfs.foreign.diff.tar.gzip", kB, "5") + "]")),
              foreign);
    EXPECT_EQ(error_of(manifest("[" + layer(kB, "5", R"(,"urls":["http://elsewhere/x"])") + "]")), foreign);
    EXPECT_EQ(error_of(manifest("[" + layer(kB, "5", R"(,"urls":[])") + "]")), "no error");
    EXPECT_EQ(error_of(manifest("[" + descriptor(kOci + "layer.v1.tar+gzip+encrypted", kB, "5") + "]")),
              "layers[0] has the media type \"application/vnd.oci.image.layer.v1.tar+gzip+encrypted\", which is no "
              "layer's");
}

TEST(ManifestTest, ContradictionsAreRefused) {
    EXPECT_EQ(error_of(manifest("[]", R"(,"manifests":[])")), "contradicts itself: it is both an index and a manifest");
    EXPECT_EQ(error_of(index("[]", R"(,"layers":[])")), "contradicts itself: it is both an index and a manifest");
    EXPECT_EQ(error_of(index("[]"), kOci + "manifest.v1+json"),
              "is an index, but the answer's media type is \"application/vnd.oci.image.manifest.v1+json\"");
    EXPECT_EQ(error_of(manifest("[]", R"(,"mediaType":"application/vnd.oci.image.index.v1+json")")),
              "is a manifest, but its own media type is \"application/vnd.oci.image.index.v1+json\"");
}

TEST(ManifestTest, WhatIsNoDocumentIsRefused) {
    EXPECT_EQ(error_of(""), "is no JSON: it goes wrong at byte 1 of 0");
    EXPECT_EQ(error_of("<html>secret</html>"), "is no JSON: it goes wrong at byte 1 of 19");
    EXPECT_EQ(error_of("{} x"), "is no JSON: it goes wrong at byte 4 of 4");
    EXPECT_EQ(error_of("{\"a\":\"\xff\"}"), "is no JSON: it goes wrong at byte 7 of 9");
    EXPECT_EQ(error_of("{\"a\":1e999}"), "is no JSON: it holds a number out of range");
    EXPECT_EQ(error_of("[]"), "is no JSON object");
    EXPECT_EQ(error_of("{}"), "is no manifest: its schemaVersion is not 2");
    EXPECT_EQ(error_of(R"({"schemaVersion":"2"})"), "is no manifest: its schemaVersion is not 2");
    EXPECT_EQ(error_of(R"({"schemaVersion":2})"), "is no manifest: it lists neither manifests nor layers");
    EXPECT_EQ(error_of(R"({"schemaVersion":2,"layers":[]})"), "is no manifest: it has no config");
    EXPECT_EQ(error_of(std::string(kMaxDocument + 1, ' ')), "is larger than 4194304 bytes");
}

TEST(ManifestTest, DepthAndNumbersAreBounded) {
    std::string deep(100'000, '[');
    EXPECT_EQ(error_of(deep), "is nested more than 32 levels deep");
    EXPECT_EQ(error_of("{\"a\":" + std::string(31, '[') + std::string(31, ']') + "}"),
              "is no manifest: its schemaVersion is not 2");
    EXPECT_EQ(error_of("{\"a\":" + std::string(32, '[') + std::string(32, ']') + "}"),
              "is nested more than 32 levels deep");
    std::string many = "[0";
    for (int i = 0; i < 200'000; ++i) many += ",0";
    EXPECT_EQ(error_of("{\"a\":" + many + "]}"), "holds more than 100000 values");
    std::string layers = layer();
    for (int i = 1; i < 10'000; ++i) layers += "," + layer();
    EXPECT_EQ(error_of(manifest("[" + layers + "]")), "has 10000 layers, more than 512");
    std::string entries = "{}";
    for (int i = 0; i < 1024; ++i) entries += ",{}";
    EXPECT_EQ(error_of(index("[" + entries + "]")), "lists more than 1024 manifests");
}

TEST(ManifestTest, SizesAreWholeAndAddUp) {
    for (const char* size : {"-1", "1.5", "1e3", "\"5\"", "null", "[]", "9223372036854775808", "18446744073709551616",
                             "99999999999999999999999"})
        EXPECT_EQ(error_of(manifest("[" + layer(kB, size) + "]")), "layers[0].size is no whole number of bytes")
            << size;
    EXPECT_EQ(error_of(manifest("[" + layer(kB, "9223372036854775807") + "]")), "no error");
    EXPECT_EQ(error_of(manifest("[" + layer(kB, "9223372036854775807") + "," + layer(kC, "1") + "]")),
              "has layers of more than 2^63 bytes in all");
    EXPECT_EQ(error_of(manifest("[]", "", descriptor(kOci + "config.v1+json", kA, "4194305"))),
              "has a config of more than 4194304 bytes");
}

TEST(ManifestTest, DigestsAreSha256) {
    for (const std::string& digest :
         {std::string(), std::string("sha256:"), "sha256:" + std::string(63, 'a'), "sha256:" + std::string(65, 'a'),
          "sha256:" + std::string(64, 'A'), "sha256:" + std::string(64, 'g'), "sha512:" + std::string(64, 'a'),
          "sha256:../../../../" + std::string(52, 'a')})
        EXPECT_EQ(error_of(manifest("[" + layer(digest) + "]")).substr(0, 20), "layers[0].digest is ") << digest;
    EXPECT_EQ(error_of(manifest("[" + layer("sha256:\\u001b") + "]")),
              "layers[0].digest is \"sha256:\\x1b\", no SHA-256 digest");
}

TEST(ManifestTest, WrongTypesAreErrorsEverywhere) {
    EXPECT_EQ(error_of(manifest("{}")), "layers is object, not an array");
    EXPECT_EQ(error_of(manifest("[1]")), "layers[0] is number, not an object");
    EXPECT_EQ(error_of(manifest("[null]")), "layers[0] is null, not an object");
    EXPECT_EQ(error_of(manifest("[]", "", "\"x\"")), "config is string, not an object");
    EXPECT_EQ(error_of(manifest("[]", "", R"({"mediaType":3})")), "config.mediaType is number, not a string");
    EXPECT_EQ(error_of(manifest("[]", R"(,"mediaType":[])")), "mediaType is array, not a string");
    EXPECT_EQ(error_of(manifest("[" + layer(kB, "1", R"(,"urls":"x")") + "]")),
              "layers[0].urls is string, not an array");
    EXPECT_EQ(error_of(index("7")), "manifests is number, not an array");
    EXPECT_EQ(error_of(index("[" + descriptor("x", kA, "1", R"(,"platform":[])") + "]")),
              "manifests[0].platform is array, not an object");
    EXPECT_EQ(error_of(index("[" + descriptor("x", kA, "1", R"(,"platform":{"os":1})") + "]")),
              "manifests[0].platform.os is number, not a string");
    EXPECT_EQ(
        error_of(index("[" + descriptor("x", kA, "1", R"(,"annotations":{"org.opencontainers.image.ref.name":true})") +
                       "]")),
        "manifests[0].annotations.org.opencontainers.image.ref.name is boolean, not a string");
    EXPECT_EQ(error_of(index("[" + descriptor("a\\u0000b", kA, "1") + "]")), "manifests[0].mediaType holds a NUL byte");
}

TEST(ManifestTest, OfADoubleKeyTheLastCounts) {
    EXPECT_EQ(error_of(R"({"schemaVersion":1,"schemaVersion":2,"manifests":[]})"), "no error");
    auto parsed = parse_document(manifest("[" + layer() + "]", R"(,"layers":[])"), "");
    EXPECT_TRUE(std::get<Manifest>(*parsed).layers.empty());
}

TEST(ManifestTest, AcceptNamesAllThatIsRead) {
    EXPECT_EQ(accepted_media_types(),
              "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
              "application/vnd.docker.distribution.manifest.list.v2+json, "
              "application/vnd.docker.distribution.manifest.v2+json");
}

std::string config_error(const std::string& text) {
    auto parsed = parse_config(text);
    return parsed ? "no error" : parsed.error().message;
}

std::string rootfs(const std::string& diff_ids) { return R"("rootfs":{"type":"layers","diff_ids":)" + diff_ids + "}"; }

TEST(ImageConfigTest, AsDockerWritesIt) {
    auto parsed = parse_config(R"({"architecture":"amd64","os":"linux","created":"2024-01-01T00:00:00Z","config":{
        "Hostname":"","User":"1000:1000","AttachStdin":false,"ExposedPorts":{"80/tcp":{}},"Tty":false,
        "Env":["PATH=/usr/bin","EMPTY=","A=b=c","NONE","=x"],"Cmd":["sh","-c","true"],"Image":"sha256:x",
        "Volumes":null,"WorkingDir":"/app","Entrypoint":["/entry"],"OnBuild":null,"Labels":{}},
        "history":[{"created_by":"x","empty_layer":true}],)" +
                               rootfs("[\"" + kA + "\",\"" + kB + "\"]") + "}");
    ASSERT_TRUE(parsed) << parsed.error().message;
    ImageConfig wanted{
        {"/entry"}, {"sh", "-c", "true"}, {{"PATH", "/usr/bin"}, {"EMPTY", ""}, {"A", "b=c"}}, "1000:1000", "/app"};
    EXPECT_EQ(parsed->config, wanted);
    EXPECT_EQ(parsed->diff_ids, (std::vector<std::string>{kA, kB}));
    EXPECT_EQ(parsed->platform, (Platform{"linux", "amd64", ""}));
}

TEST(ImageConfigTest, NullAndMissingFieldsAreEmpty) {
    auto parsed = parse_config(R"({"config":{"User":null,"Env":null,"Cmd":null,"WorkingDir":null,"Entrypoint":null},)" +
                               rootfs("null") + "}");
    ASSERT_TRUE(parsed) << parsed.error().message;
    EXPECT_EQ(parsed->config, ImageConfig{});
    EXPECT_EQ(config_error("{\"config\":null," + rootfs("[]") + "}"), "no error");
    EXPECT_EQ(config_error("{" + rootfs("[]") + "}"), "no error");
}

TEST(ImageConfigTest, WrongOnesAreRefused) {
    auto with = [](const std::string& config) { return "{\"config\":" + config + "," + rootfs("[]") + "}"; };
    EXPECT_EQ(config_error("{}"), "is no image config: it has no rootfs");
    EXPECT_EQ(config_error("[]"), "is no JSON object");
    EXPECT_EQ(config_error(R"({"rootfs":{"diff_ids":[]}})"), "has a rootfs.type other than \"layers\"");
    EXPECT_EQ(config_error("{" + rootfs("[\"md5:1\"]") + "}"), "rootfs.diff_ids holds \"md5:1\", no SHA-256 digest");
    EXPECT_EQ(config_error("{" + rootfs("[7]") + "}"), "rootfs.diff_ids[0] is number, not a string");
    EXPECT_EQ(config_error("{" + rootfs("{}") + "}"), "rootfs.diff_ids is object, not an array");
    EXPECT_EQ(config_error(with("[]")), "config is array, not an object");
    EXPECT_EQ(config_error(with(R"({"User":0})")), "config.User is number, not a string");
    EXPECT_EQ(config_error(with(R"({"Cmd":"sh"})")), "config.Cmd is string, not an array");
    EXPECT_EQ(config_error(with(R"({"Env":["A=b",null]})")), "config.Env[1] is null, not a string");
    EXPECT_EQ(config_error(with(R"({"Env":["A=\u0000"]})")), "config.Env[0] holds a NUL byte");
    EXPECT_EQ(config_error(R"({"os":[],)" + rootfs("[]") + "}"), "os is array, not a string");
    std::string many = "\"" + kA + "\"";
    for (int i = 0; i < 512; ++i) many += ",\"" + kA + "\"";
    EXPECT_EQ(config_error("{" + rootfs("[" + many + "]") + "}"), "has 513 layers, more than 512");
}

TEST(DescriptionTest, ComesBackFromOneLine) {
    Description all{.config = {{"/entry", "two\nlines"}, {"ü", "\"\\"}, {{"A", "b=c"}, {"E", ""}}, "root", "/"},
                    .platform = {"linux", "arm64", "v8"},
                    .created = "2024-01-01T00:00:00Z",
                    .layers = {{kA, kB, 123}, {"", kB, 0}}};
    std::string line = encode_description(all);
    EXPECT_EQ(line.find('\n'), line.npos);
    EXPECT_EQ(*decode_description(line), all);
    EXPECT_EQ(*decode_image_config(line), all.config);
    EXPECT_EQ(*decode_description(encode_description({})), Description{});
    all.config.user = "\xff";
    EXPECT_EQ(decode_image_config(encode_description(all))->user, "\xEF\xBF\xBD");
    EXPECT_EQ(decode_image_config("").error().code, ErrorCode::bad_image);
    EXPECT_EQ(decode_image_config(R"({"user":1})").error().message, "user is number, not a string");
    EXPECT_EQ(decode_description(R"({"layers":[{"digest":"x"}]})").error().message,
              "layers.bytes is no whole number of bytes");
}

TEST(DescriptionTest, OfAnOlderVmetteHasNoLayers) {
    auto old = decode_description(R"({"entrypoint":[],"command":["sh"],"env":[],"user":"","workdir":"/"})");
    ASSERT_TRUE(old);
    EXPECT_EQ(old->config.command, std::vector<std::string>{"sh"});
    EXPECT_TRUE(old->layers.empty());
    EXPECT_EQ(old->platform, Platform{});
}

}  // namespace
}  // namespace vmette::rootfs::oci
