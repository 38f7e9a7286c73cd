/// Images made while their layers still come.

#include <sys/wait.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "rootfs/image_tree.h"
#include "rootfs/oci/fake_registry.h"
#include "rootfs/tar_builder.h"
#include "support/processes.h"

namespace vmette::rootfs::oci {
namespace {

bool a_merge_runs() {
    auto workers = vmette::testing::descendants(::getpid());
    return std::ranges::any_of(workers,
                               [](auto& worker) { return worker.command.find(" merge ") != std::string::npos; });
}

bool await_merge() {
    for (int i = 0; i < 1000 && !a_merge_runs(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return a_merge_runs();
}

class OverlapTest : public PullTest {
protected:
    static FakeImage three_tars() {
        return FakeImage::of({make_tar({tar_file("a", noise(400'000, 1))}),
                              make_tar({tar_file("b", noise(300'000, 2))}),
                              make_tar({tar_file("c", noise(200'000, 3)), tar_file(".wh.a", "")})});
    }
    Result<Resolved> resolve_it(const FakeRegistry& hub) { return registry.resolve(hub.reference().text(), patient); }
    std::string error_of_resolve(const FakeRegistry& hub) {
        std::string text = error_of(hub.reference().text(), patient);
        for (std::size_t at = 0; (at = text.find(hub.reference().text())) != text.npos;)
            text.replace(at, hub.reference().text().size(), "REF");
        return text;
    }
    std::string names(const Resolved& image) const {
        std::string out;
        for (const auto& [name, what] : list_image(image.path, dir))
            if (name != ".") out += name + " ";
        return out;
    }
};

TEST_F(OverlapTest, LayersAreMergedWhileTheyCome) {
    FakeImage image = three_tars();
    std::atomic<int> merging = 0;
    // The rest of the lowest layer, and all of the highest, come once something is being merged.
    auto half = [&](const HttpRequest&, HttpConnection& connection) {
        const std::string& layer = image.layers[0];
        connection.send(fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", layer.size()));
        connection.send(std::string_view(layer).substr(0, 200'000));
        merging += await_merge();
        connection.send(std::string_view(layer).substr(200'000));
    };
    FakeRegistry hub(image, [&](const HttpRequest& request, HttpConnection& connection) {
        if (request.path.ends_with(image.layer_digest(2))) merging += await_merge();
        if (!request.path.ends_with(image.layer_digest(0))) return false;
        half(request, connection);
        return true;
    });
    std::vector<std::string> steps;
    patient.progress = [&](const Progress& at) {
        if (steps.empty() || steps.back() != at.step) steps.emplace_back(at.step);
    };
    auto made = resolve_it(hub);
    ASSERT_TRUE(made) << made.error().text();
    EXPECT_EQ(merging, 2);
    EXPECT_EQ(names(*made), "b c ");
    EXPECT_TRUE(std::filesystem::is_empty(layout.layers_dir()));
    EXPECT_EQ(steps.at(0), "download");
    EXPECT_LE(steps.size(), 2U) << "the two are not told of by turns";
}

TEST_F(OverlapTest, WrongPartOfAnEarlierPullIsNotPartOfTheImage) {
    FakeImage image = three_tars();
    for (std::size_t bytes : {1'000UL, 399'000UL}) {
        FakeRegistry hub(image);
        std::filesystem::create_directories(layout.layers_dir());
        for (int layer : {0, 1}) {
            auto digest = image.layer_digest(static_cast<std::size_t>(layer));
            write("cache/layers/" + digest.substr(7) + ".part", noise(bytes, 77).substr(0, bytes));
        }
        auto made = resolve_it(hub);
        ASSERT_TRUE(made) << made.error().text();
        EXPECT_EQ(names(*made), "b c ");
        index.records.clear();
        for (auto& file : image_files()) std::filesystem::remove(file);
    }
}

TEST_F(OverlapTest, ImageIsTheSameHoweverItsLayersCome) {
    FakeImage image = three_tars();
    FakeRegistry hub(image);
    auto streamed = resolve_it(hub);
    ASSERT_TRUE(streamed) << streamed.error().text();
    index.records.clear();
    for (std::size_t i = 0; i < 3; ++i) write("cache/layers/" + image.layer_digest(i).substr(7), image.layers[i]);
    auto whole = resolve_it(hub);
    ASSERT_TRUE(whole) << whole.error().text();
    EXPECT_EQ(whole->digest, streamed->digest);
}

TEST_F(OverlapTest, WrongContentIsTheDownloadsErrorAndLeavesNothing) {
    FakeImage image = three_tars();
    std::string lowest = image.layer_digest(0);
    image.blobs[lowest][1000] ^= 1;
    FakeRegistry hub(image);
    EXPECT_EQ(error_of_resolve(hub),
              "bad-image: REF: the layer " + lowest + " has another content than its digest says");
    EXPECT_TRUE(image_files().empty());
    EXPECT_FALSE(std::filesystem::exists(layer_file(lowest)));
}

TEST_F(OverlapTest, LayerThatCannotBeMergedIsNamedOnceAllHaveCome) {
    FakeRegistry hub(FakeImage::of({make_tar({tar_file("../a", "x")}), make_tar({tar_file("b", noise(300'000))})}));
    EXPECT_EQ(error_of_resolve(hub),
              "bad-image: REF holds the entry \"../a\", whose name has \"..\" in it (in layer 1)");
    EXPECT_TRUE(image_files().empty());
    EXPECT_TRUE(std::filesystem::is_empty(layout.layers_dir()));
}

TEST_F(OverlapTest, LayerThatDoesNotComeEndsTheMerge) {
    FakeImage image = three_tars();
    FakeRegistry hub(image, for_path(image.layer_digest(2), times(9, status(500))));
    EXPECT_THAT(error_of_resolve(hub), ::testing::MatchesRegex("network: REF: .* answered 500 for the layer " +
                                                               image.layer_digest(2) + ", 5 times in a row"));
    EXPECT_TRUE(image_files().empty());
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a worker was left";
    // What has come is used the next time.
    auto made = resolve_it(hub);
    ASSERT_TRUE(made) << made.error().text();
    auto paths = hub.paths();
    EXPECT_EQ(std::count(paths.begin(), paths.end(), "/blobs/" + image.layer_digest(0)), 1);
}

TEST_F(OverlapTest, CancelIsHeardWhileALayerIsWaitedFor) {
    FakeImage image = three_tars();
    FakeRegistry hub(image, for_path(image.layer_digest(0),
                                     {[](const HttpRequest&, HttpConnection& connection) { connection.stall(); }}));
    patient.cancelled = [] { return a_merge_runs(); };
    EXPECT_EQ(error_of_resolve(hub), "cancelled: cancelled");
    EXPECT_TRUE(image_files().empty());
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a worker was left";
}

}  // namespace
}  // namespace vmette::rootfs::oci
