/// Pulls from a registry that is good, slow, broken or hostile.

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include <algorithm>
#include <ctime>
#include <thread>

#include "rootfs/oci/fake_registry.h"

namespace vmette::rootfs::oci {
namespace {

FakeImage small_image() { return FakeImage::of({noise(300'000, 1), noise(50'000, 2), noise(70'000, 3)}); }

/// Of the last request for this layer.
std::string last_range(const FakeRegistry& hub, const std::string& layer) {
    std::string range;
    for (auto& asked : hub.requests())
        if (asked.path.ends_with(layer)) range = asked.headers["range"];
    return range;
}

TEST_F(PullTest, DocumentsAndLayersComeAndAreNotFetchedTwice) {
    FakeRegistry hub(small_image());
    std::map<std::string, std::uint64_t> seen;
    patient.progress = [&](const Progress& at) { seen[std::string(at.item)] = at.done; };
    auto pulled = pull_it(request(hub));
    ASSERT_TRUE(pulled) << pulled.error().text();
    EXPECT_EQ(pulled->documents.top_digest, hub.image.manifest_digest());
    EXPECT_EQ(pulled->documents.manifest_digest, hub.image.manifest_digest());
    EXPECT_EQ(pulled->documents.image.config.command, std::vector<std::string>{"sh"});
    EXPECT_EQ(contents(*pulled), hub.image.layers);
    EXPECT_EQ(seen[hub.image.layer_digest(0)], 300'000U);
    EXPECT_EQ(seen.size(), 3U);
    std::size_t requests = hub.requests().size();
    EXPECT_EQ(requests, 5U);
    auto again = pull_it(request(hub, hub.image.manifest_digest()));
    ASSERT_TRUE(again) << again.error().text();
    EXPECT_EQ(contents(*again), hub.image.layers);
    EXPECT_EQ(hub.requests().size(), requests + 2);
    forget_layers(again->documents.manifest, layout);
    EXPECT_TRUE(std::filesystem::is_empty(layout.layers_dir()));
}

TEST_F(PullTest, SameLayerTwiceIsFetchedOnce) {
    std::string layer = noise(1000);
    FakeRegistry hub(FakeImage::of({layer, noise(10, 5), layer, ""}));
    auto pulled = pull_it(request(hub));
    ASSERT_TRUE(pulled) << pulled.error().text();
    EXPECT_EQ(contents(*pulled), hub.image.layers);
}

TEST_F(PullTest, IndexLeadsToThisPlatform) {
    FakeImage image = small_image();
    auto entry = [](const std::string& manifest, const std::string& architecture) {
        std::string text = descriptor(kManifestType, manifest);
        text.pop_back();
        return text + fmt::format(R"(,"platform":{{"os":"linux","architecture":"{}"}}}})", architecture);
    };
    auto index_of = [&](const std::string& entries) {
        return fmt::format(R"({{"schemaVersion":2,"mediaType":"{}","manifests":[{}]}})", kIndexType, entries);
    };
    image.manifests["multi"] =
        index_of(entry("other", "s390x") + "," + entry(image.manifest, this_platform().architecture));
    image.manifests["foreign"] = index_of(entry("other", "s390x") + "," + entry("third", "riscv64"));
    FakeRegistry hub(image);
    auto pulled = pull_it(request(hub, "multi"));
    ASSERT_TRUE(pulled) << pulled.error().text();
    EXPECT_EQ(pulled->documents.top_digest, digest_of(image.manifests["multi"]));
    EXPECT_EQ(pulled->documents.manifest_digest, image.manifest_digest());
    EXPECT_EQ(error_of_pull(request(hub, "foreign")),
              fmt::format("bad-image: REF has no image for linux/{}, only for linux/s390x, linux/riscv64",
                          this_platform().architecture));
}

TEST_F(PullTest, ImageForAnotherPlatformIsRefused) {
    FakeRegistry hub(FakeImage::of({"layer"}, Platform{"linux", "s390x", ""}));
    EXPECT_EQ(
        error_of_pull(request(hub)),
        fmt::format("bad-image: REF: it is an image for linux/s390x, not for linux/{}", this_platform().architecture));
}

TEST_F(PullTest, UnknownAndForbiddenAreToldApart) {
    FakeRegistry hub(
        small_image(),
        for_path("/manifests/secret", {status(403, {}, R"({"errors":[{"code":"DENIED","message":"no\u001b[31m"}]})")}));
    EXPECT_EQ(
        error_of_pull(request(hub, "none")),
        "not-found: REF: HOST answered 404 for the manifest (MANIFEST_UNKNOWN: manifest unknown); its name or its "
        "tag may be spelt wrong");
    EXPECT_EQ(error_of_pull(request(hub, digest_of("none"))),
              "not-found: REF: HOST answered 404 for the manifest (MANIFEST_UNKNOWN: manifest unknown)");
    EXPECT_EQ(error_of_pull(request(hub, "secret")),
              "not-found: REF: HOST answered 403 for the manifest (DENIED: no\\x1b[31m); VARIABLE=USER:PASSWORD or "
              "`docker login HOST` gives credentials");
}

TEST_F(PullTest, WrongDigestsAreRefused) {
    FakeImage image = small_image();
    std::string layer = image.layer_digest(1), config = digest_of(image.config), manifest = image.manifest_digest();
    image.blobs[layer][100] ^= 1;
    FakeRegistry hub(image);
    EXPECT_EQ(error_of_pull(request(hub)),
              "bad-image: REF: the layer " + layer + " has another content than its digest says");
    EXPECT_FALSE(std::filesystem::exists(layer_file(layer)));
    hub.change([&] { hub.image.blobs[config][3] ^= 1; });
    EXPECT_EQ(error_of_pull(request(hub)),
              "bad-image: REF: the config " + config + " has another content than its digest says");
    hub.change([&] { hub.image.manifests[manifest] += " "; });
    EXPECT_EQ(error_of_pull(request(hub, manifest)),
              "bad-image: REF: the manifest has another content than its digest says");
}

TEST_F(PullTest, WrongLengthsAreRefused) {
    FakeImage image = small_image();
    std::string layer = image.layer_digest(1);
    image.blobs[layer] += "more";
    FakeRegistry hub(image);
    EXPECT_EQ(error_of_pull(request(hub)),
              "bad-image: REF: the layer " + layer + " is of 50004 bytes, but its manifest says 50000");
    hub.change([&] { hub.image.blobs[layer].resize(49'999); });
    EXPECT_EQ(error_of_pull(request(hub)),
              "bad-image: REF: the layer " + layer + " is of 49999 bytes, but its manifest says 50000");
}

TEST_F(PullTest, EndlessLayerIsCut) {
    FakeImage image = small_image();
    FakeRegistry hub(image, for_path(image.layer_digest(1), {[](const HttpRequest&, HttpConnection& connection) {
                                         connection.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
                                         while (connection.send(std::string(65536, 'x'))) {
                                         }
                                     }}));
    EXPECT_EQ(error_of_pull(request(hub)), "bad-image: REF: the layer " + image.layer_digest(1) +
                                               " does not end after the 50000 bytes that its manifest says");
}

TEST_F(PullTest, HugeDocumentsAreRefused) {
    FakeImage image = small_image();
    image.manifests["said"] = std::string(100 << 20, ' ');
    FakeRegistry hub(image, for_path("/manifests/endless", {[](const HttpRequest&, HttpConnection& connection) {
                                         connection.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
                                         while (connection.send(std::string(65536, ' '))) {
                                         }
                                     }}));
    for (const char* tag : {"said", "endless"})
        EXPECT_EQ(error_of_pull(request(hub, tag)), "bad-image: REF: the manifest is larger than 4.0 MiB");
}

TEST_F(PullTest, TenThousandLayersAreRefusedBeforeOneIsAskedFor) {
    FakeImage image = FakeImage::of(std::vector<std::string>(10'000, "layer"));
    ASSERT_LT(image.manifest.size(), 4U << 20);
    FakeRegistry hub(image);
    EXPECT_EQ(error_of_pull(request(hub)), "bad-image: REF has 10000 layers, more than 512");
    EXPECT_EQ(hub.requests().size(), 1U);
}

TEST_F(PullTest, EndlessHeadersAreCut) {
    FakeRegistry hub(small_image(), for_path("/manifests/", {[](const HttpRequest&, HttpConnection& connection) {
                                                 connection.send("HTTP/1.1 200 OK\r\n");
                                                 for (int i = 0; connection.send(
                                                          fmt::format("X-{}: {}\r\n", i, std::string(1000, 'x')));)
                                                     ++i;
                                             }}));
    EXPECT_EQ(error_of_pull(request(hub)),
              "network: REF: the manifest cannot be fetched from HOST: it sent more "
              "than 256.0 KiB of headers");
}

TEST_F(PullTest, LayerLargerThanAllowedIsNotAskedFor) {
    FakeRegistry hub(small_image());
    patient.limits.max_download = 200'000;
    EXPECT_EQ(error_of_pull(request(hub)), "bad-image: REF: the layer " + hub.image.layer_digest(0) +
                                               " is of 293.0 KiB, more than the 195.3 KiB that one download may have");
    EXPECT_EQ(hub.requests().size(), 2U);
}

TEST_F(PullTest, CutLayerGoesOnWhereItBroke) {
    FakeImage image = small_image();
    std::string layer = image.layer_digest(0);
    FakeRegistry hub(image, for_path(layer, {cut_after(image.layers[0], 123'456)}));
    auto pulled = pull_it(request(hub));
    ASSERT_TRUE(pulled) << pulled.error().text();
    EXPECT_EQ(contents(*pulled), image.layers);
    std::vector<std::string> ranges;
    for (auto& asked : hub.requests())
        if (asked.path.ends_with(layer)) ranges.push_back(asked.headers["range"]);
    EXPECT_EQ(ranges, (std::vector<std::string>{"", "bytes=123456-"}));
}

TEST_F(PullTest, LayerThatIsCutAgainAndAgainIsGivenUp) {
    FakeImage image = small_image();
    FakeRegistry hub(image, for_path(image.layer_digest(0), times(9, [](auto&, HttpConnection& connection) {
                                         connection.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc");
                                     })));
    EXPECT_EQ(error_of_pull(request(hub)), "network: REF: the layer " + image.layer_digest(0) +
                                               " is cut off by HOST after 3 bytes, 5 times in a row");
}

TEST_F(PullTest, LaterProcessGoesOnAndRehashesWhatIsThere) {
    FakeImage image = small_image();
    std::string layer = image.layer_digest(0);
    FakeRegistry hub(image, for_path(layer, {[&](const HttpRequest&, HttpConnection& connection) {
                                         connection.send("HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" +
                                                         image.layers[0].substr(0, 200'000));
                                         connection.stall();
                                     }}));
    auto part = layer_file(layer) + ".part";
    // Stopped once the first piece is on disk: the worker is killed.
    patient.cancelled = [&] {
        struct stat info{};
        return ::stat(part.c_str(), &info) == 0 && info.st_size == 200'000;
    };
    EXPECT_EQ(error_of_pull(request(hub)), "cancelled: cancelled");
    patient.cancelled = {};
    auto pulled = pull_it(request(hub));
    ASSERT_TRUE(pulled) << pulled.error().text();
    EXPECT_EQ(contents(*pulled), image.layers);
    EXPECT_EQ(last_range(hub, layer), "bytes=200000-");
}

TEST_F(PullTest, DamagedPartIsFetchedAnew) {
    FakeRegistry hub(small_image());
    std::string layer = hub.image.layer_digest(0);
    for (std::size_t size : {1000, 300'000, 300'001}) {
        std::filesystem::create_directories(layout.layers_dir());
        auto fd = open_file(layer_file(layer) + ".part", O_WRONLY | O_CREAT);
        ASSERT_TRUE(fd && write_all(fd->get(), std::string(size, 'x')));
        auto pulled = pull_it(request(hub));
        ASSERT_TRUE(pulled) << pulled.error().text();
        EXPECT_EQ(contents(*pulled), hub.image.layers);
        forget_layers(pulled->documents.manifest, layout);
    }
}

TEST_F(PullTest, LayerOfAnotherProcessIsWaitedForAndUsed) {
    FakeRegistry hub(small_image());
    std::string layer = hub.image.layer_digest(0);
    std::filesystem::create_directories(layout.layers_dir());
    auto part = open_file(layer_file(layer) + ".part", O_RDWR | O_CREAT);
    ASSERT_TRUE(part && ::flock(part->get(), LOCK_EX) == 0);
    // It is finished once the other layers are there: so they are not kept waiting.
    patient.cancelled = [&] {
        if (part->get() < 0 || !std::filesystem::exists(layer_file(hub.image.layer_digest(2)))) return false;
        EXPECT_TRUE(write_all(part->get(), hub.image.layers[0]));
        std::filesystem::rename(layer_file(layer) + ".part", layer_file(layer));
        part->reset();
        return false;
    };
    auto pulled = pull_it(request(hub));
    ASSERT_TRUE(pulled) << pulled.error().text();
    EXPECT_EQ(contents(*pulled), hub.image.layers);
    for (const std::string& path : hub.paths()) EXPECT_EQ(path.find(layer), path.npos);
}

TEST_F(PullTest, LayerOfAnotherProcessThatDiesIsTakenOver) {
    FakeRegistry hub(small_image());
    std::string layer = hub.image.layer_digest(0);
    std::filesystem::create_directories(layout.layers_dir());
    auto part = open_file(layer_file(layer) + ".part", O_RDWR | O_CREAT);
    ASSERT_TRUE(part && ::flock(part->get(), LOCK_EX) == 0);
    ASSERT_TRUE(write_all(part->get(), hub.image.layers[0].substr(0, 100'000)));
    patient.cancelled = [&] {
        if (std::filesystem::exists(layer_file(hub.image.layer_digest(2)))) part->reset();
        return false;
    };
    auto pulled = pull_it(request(hub));
    ASSERT_TRUE(pulled) << pulled.error().text();
    EXPECT_EQ(contents(*pulled), hub.image.layers);
    EXPECT_EQ(last_range(hub, layer), "bytes=100000-");
}

TEST_F(PullTest, ServerErrorsAreTriedAgain) {
    FakeRegistry hub(small_image(), for_path("/manifests/", {status(503), status(500), status(408)}));
    auto pulled = pull_it(request(hub));
    ASSERT_TRUE(pulled) << pulled.error().text();
    FakeRegistry broken(small_image(), for_path("/manifests/", times(9, status(500))));
    EXPECT_EQ(error_of_pull(request(broken)), "network: REF: HOST answered 500 for the manifest, 5 times in a row");
    EXPECT_EQ(broken.requests().size(), 5U);
}

TEST_F(PullTest, EachTryThatIsRepeatedIsSaid) {
    std::vector<std::string> notices;
    patient.notice = [&](std::string_view notice) { notices.emplace_back(notice); };
    FakeRegistry hub(small_image(), for_path("/manifests/", {status(503), status(429, {{"Retry-After", "1"}})}));
    auto with = request(hub);
    auto pulled = pull_it(with);
    ASSERT_TRUE(pulled) << pulled.error().text();
    std::string start = with.reference.text() + ": " + hub.host() + " answered ";
    ASSERT_EQ(notices.size(), 2U);
    EXPECT_THAT(notices[0], testing::MatchesRegex(start + "503 for the manifest; try 2 of 5 in 0\\.1[0-9] s"));
    EXPECT_EQ(notices[1], start + "429 for the manifest; try 3 of 5 in 1.00 s");
}

/// A label of 64 letters is no name: nobody is asked about it.
TEST_F(PullTest, NameThatLeadsNowhereIsLookedUpOnceMore) {
    std::vector<std::string> notices;
    patient.notice = [&](std::string_view notice) { notices.emplace_back(notice); };
    FakeRegistry unused(small_image());
    auto with = request(unused);
    with.reference.registry = std::string(64, 'a') + ".example";
    EXPECT_THAT(error_of_pull(with), testing::MatchesRegex("network: REF: the manifest cannot be fetched from HOST: "
                                                           "Could not resolve host: HOST, 2 times in a row"));
    ASSERT_EQ(notices.size(), 1U);
    EXPECT_THAT(notices[0], testing::HasSubstr("; try 2 of 2 in "));
}

TEST_F(PullTest, RetryAfterIsHonoured) {
    FakeRegistry hub(small_image(), for_path("/manifests/", {status(429, {{"Retry-After", "1"}})}));
    auto start = std::chrono::steady_clock::now();
    auto pulled = pull_it(request(hub));
    ASSERT_TRUE(pulled) << pulled.error().text();
    EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(1000));
}

/// As in a header: "Sun, 06 Nov 1994 08:49:37 GMT".
std::string http_date(std::chrono::seconds from_now) {
    std::time_t at = std::time(nullptr) + from_now.count();
    std::tm parts{};
    char text[64];
    return {text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", ::gmtime_r(&at, &parts))};
}

TEST_F(PullTest, RetryAfterMayBeADate) {
    auto elapsed = [&](const std::string& date) {
        FakeRegistry hub(small_image(), for_path("/manifests/", {status(503, {{"Retry-After", date}})}));
        auto start = std::chrono::steady_clock::now();
        auto pulled = pull_it(request(hub));
        EXPECT_TRUE(pulled) << pulled.error().text();
        return std::chrono::steady_clock::now() - start;
    };
    EXPECT_GE(elapsed(http_date(std::chrono::seconds(3))), std::chrono::milliseconds(1900));
    for (const std::string& useless : {http_date(std::chrono::hours(-1)), std::string("soon"), std::string("-5")})
        EXPECT_LT(elapsed(useless), std::chrono::milliseconds(1500)) << useless;
}

TEST_F(PullTest, RetryAfterIsBounded) {
    // A minute is the most that is waited; what a transfer may take in all would be over by then.
    patient.limits.total = std::chrono::seconds(50);
    auto start = std::chrono::steady_clock::now();
    for (const std::string& far : {http_date(std::chrono::hours(24 * 365)), std::string("86400")}) {
        FakeRegistry hub(small_image(), for_path("/manifests/", times(9, status(429, {{"Retry-After", far}}))));
        EXPECT_EQ(error_of_pull(request(hub)), "network: REF: HOST answered 429 for the manifest");
        EXPECT_EQ(hub.requests().size(), 1U);
    }
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

TEST_F(PullTest, SilenceAndSlowDripAreEnded) {
    FakeImage image = small_image();
    patient.limits.stall = std::chrono::seconds(1);
    FakeRegistry silent(image, for_path("/manifests/", times(9, [](auto&, auto& connection) { connection.stall(); })));
    EXPECT_EQ(error_of_pull(request(silent)),
              "network: REF: the manifest cannot be fetched from HOST: it sent nothing for 1.00 s, 3 times in a row");
    EXPECT_EQ(silent.requests().size(), 3U);
    FakeRegistry slow(image, for_path(image.layer_digest(1), times(9, [](auto&, HttpConnection& connection) {
                                          connection.send("HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n");
                                          while (connection.send("x"))
                                              std::this_thread::sleep_for(std::chrono::milliseconds(100));
                                      })));
    EXPECT_THAT(
        error_of_pull(request(slow)),
        testing::MatchesRegex("network: REF: the layer " + image.layer_digest(1) +
                              " cannot be fetched from HOST: it sent only [0-9]+ B in 1.00 s, 3 times in a row"));
}

TEST_F(PullTest, RedirectsStayWithinBounds) {
    FakeImage image = small_image();
    std::string layer = image.layer_digest(1);
    FakeRegistry to_file(image, for_path(layer, {redirect("file:///etc/passwd")}));
    EXPECT_EQ(error_of_pull(request(to_file)), "network: REF: the layer " + layer +
                                                   " cannot be fetched from HOST: it redirects to where http must not "
                                                   "lead (Protocol \"file\" not supported or disabled in libcurl)");
    FakeRegistry circle(image, for_path(layer, times(20, redirect("/v2/acme/app/blobs/" + layer))));
    EXPECT_EQ(error_of_pull(request(circle)),
              "network: REF: the layer " + layer + " cannot be fetched from HOST: it redirects more than 10 times");
    auto paths = circle.paths();
    EXPECT_EQ(std::count(paths.begin(), paths.end(), "/blobs/" + layer), 11);
}

TEST_F(PullTest, LayersDoNotComeIntoAFolderThatOthersCanWrite) {
    FakeRegistry hub(small_image());
    std::filesystem::create_directories(layout.layers_dir());
    ASSERT_EQ(::chmod(layout.layers_dir().c_str(), 0777), 0);
    EXPECT_THAT(error_of_pull(request(hub)), testing::HasSubstr("layers can be written by other users (mode 0777)"));
    EXPECT_TRUE(hub.paths().empty());
}

TEST_F(PullTest, UnwritableAndFullCachesAreNamed) {
    FakeRegistry hub(small_image());
    std::filesystem::create_directories(layout.cache);
    write("cache/layers", "a file");
    EXPECT_THAT(error_of_pull(request(hub)), testing::HasSubstr(layout.layers_dir().string()));
    std::filesystem::remove(layout.layers_dir());
    if (::mount("tmpfs", layout.cache.c_str(), "tmpfs", 0, "size=256k,mode=0700") != 0)
        GTEST_SKIP() << "a small filesystem can be mounted by root alone: " << ::strerror(errno);
    EXPECT_EQ(error_of_pull(request(hub)), "no-space: no space left on the cache's filesystem while REF was pulled");
    // What came before is kept, and gone on with once there is room.
    ASSERT_EQ(::mount("tmpfs", layout.cache.c_str(), "tmpfs", MS_REMOUNT, "size=4m"), 0);
    {
        auto pulled = pull_it(request(hub));
        EXPECT_TRUE(pulled && contents(*pulled) == hub.image.layers);
    }
    EXPECT_THAT(last_range(hub, hub.image.layer_digest(0)), testing::StartsWith("bytes="));
    EXPECT_EQ(::umount(layout.cache.c_str()), 0);
}

}  // namespace
}  // namespace vmette::rootfs::oci
