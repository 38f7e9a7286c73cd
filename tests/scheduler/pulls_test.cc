/// Many pulls of one image at a time, by many processes with one cache and one history. The program starts itself again
/// as those processes.

#include <unistd.h>

#include <gmock/gmock.h>

#include <map>
#include <thread>

#include "base/process.h"
#include "rootfs/oci/fake_registry.h"
#include "rootfs/tar_builder.h"
#include "scheduler/resolve_image.h"

namespace vmette::scheduler {
namespace {

using rootfs::oci::FakeImage;
using rootfs::oci::FakeRegistry;
using rootfs::oci::noise;

Layout layout_under(const std::filesystem::path& folder) {
    return {folder / "cache", folder / "state", folder / "run", folder / "config"};
}

/// A thread's whole way from a reference to an image; its digest, or the error. A history of its own connection.
std::string pull_once(const Layout& layout, const std::string& reference) {
    SystemClock clock;
    auto store = store::Store::open(layout.database(), clock);
    if (!store) return store.error().text();
    auto image = resolve_image(layout, *store, clock, rootfs::Registry::with_builtin(), {.source = reference});
    return image ? image->digest : image.error().text();
}

/// FOLDER THREADS REFERENCE…: says that it is there, waits for the end of its input, and prints what each thread got.
/// The references are taken in turn.
int run_puller(const std::vector<std::string>& arguments) {
    Layout layout = layout_under(arguments.at(0));
    std::size_t count = std::stoul(arguments.at(1)), names = arguments.size() - 2;
    (void)write_all(STDOUT_FILENO, "ready\n");
    char byte = 0;
    while (::read(STDIN_FILENO, &byte, 1) > 0) {
    }
    std::vector<std::string> results(count);
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < count; ++i)
        threads.emplace_back([&, i] { results[i] = pull_once(layout, arguments[2 + i % names]); });
    for (auto& thread : threads) thread.join();
    for (const auto& result : results) (void)write_all(STDOUT_FILENO, result + "\n");
    return 0;
}

class ManyPullsTest : public testing::Test {
protected:
    ManyPullsTest() { ::setenv("VMETTE_LIBEXEC_DIR", VMETTE_TEST_LIBEXEC_DIR, 1); }

    static FakeImage three_layers() {
        std::vector<std::string> layers;
        for (int i = 0; i < 3; ++i)
            layers.push_back(rootfs::make_tar({rootfs::tar_file(fmt::format("file{}", i), noise(2 << 20, i))}));
        return FakeImage::of(std::move(layers));
    }

    /// What so many processes with so many threads each got, all of them begun at once: how often.
    std::map<std::string, int> pull(int processes, int threads, const std::vector<std::string>& references) {
        std::vector<Process> pullers;
        std::vector<Fd> inputs, outputs;
        for (int i = 0; i < processes; ++i) {
            auto input = make_pipe(), output = make_pipe();
            ProcessSpec spec;
            spec.argv = {"/proc/self/exe", "--puller", folder_.path().string(), std::to_string(threads)};
            spec.argv.insert(spec.argv.end(), references.begin(), references.end());
            spec.descriptors = {{(*input)[0].get(), 0}, {(*output)[1].get(), 1}};
            auto started = spawn(spec);
            EXPECT_TRUE(started) << started.error().text();
            pullers.push_back(*std::move(started));
            inputs.push_back(std::move((*input)[1]));
            outputs.push_back(std::move((*output)[0]));
        }
        char ready[6];
        for (auto& output : outputs) EXPECT_EQ(::read(output.get(), ready, sizeof ready), 6);
        inputs.clear();
        std::map<std::string, int> results;
        for (auto& output : outputs) {
            std::string text = read_all(output.get(), kMiB, "the puller").value_or("");
            for (std::size_t start = 0, end = 0; (end = text.find('\n', start)) != text.npos; start = end + 1)
                ++results[text.substr(start, end - start)];
        }
        return results;
    }

    static int count(const FakeRegistry& hub, const std::string& part) {
        auto paths = hub.paths();
        return static_cast<int>(
            std::count_if(paths.begin(), paths.end(), [&](auto& path) { return path.find(part) != path.npos; }));
    }

    TempDir folder_ = *TempDir::make();
    Layout layout_ = layout_under(folder_.path());
};

TEST_F(ManyPullsTest, TwoHundredPullsOfTwentyProcessesDownloadEachBlobOnce) {
    FakeRegistry hub(three_layers());
    auto results = pull(20, 10, {hub.reference().text()});
    ASSERT_EQ(results.size(), 1U) << testing::PrintToString(results);
    EXPECT_EQ(results.begin()->second, 200);
    EXPECT_THAT(results.begin()->first, testing::StartsWith("sha256:"));
    EXPECT_EQ(count(hub, "/manifests/"), 1);
    for (const auto& [digest, content] : hub.image.blobs) EXPECT_EQ(count(hub, digest), 1) << digest;
    EXPECT_TRUE(std::filesystem::is_empty(layout_.layers_dir()));
}

TEST_F(ManyPullsTest, NamesOfOneImageShareItsLayers) {
    FakeImage image = three_layers();
    image.manifests["v2"] = image.manifest;
    FakeRegistry hub(image);
    auto results = pull(
        10, 6, {hub.reference().text(), hub.reference("v2").text(), hub.reference(image.manifest_digest()).text()});
    ASSERT_EQ(results.size(), 1U) << testing::PrintToString(results);
    EXPECT_EQ(results.begin()->second, 60);
    EXPECT_EQ(count(hub, "/manifests/"), 3);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(count(hub, image.layer_digest(i)), 1);
}

/// Different images that have layers in common: whoever comes first fetches one, the others wait for it and use it.
TEST_F(ManyPullsTest, ImagesShareTheLayersThatTheyHaveInCommon) {
    FakeImage image = three_layers(), other = FakeImage::of({image.layers[0], image.layers[2]});
    image.manifests["other"] = other.manifest;
    image.blobs.insert(other.blobs.begin(), other.blobs.end());
    FakeRegistry hub(image);
    auto results = pull(4, 4, {hub.reference().text(), hub.reference("other").text()});
    EXPECT_EQ(results.size(), 2U) << testing::PrintToString(results);
    for (const auto& [digest, times] : results) EXPECT_EQ(times, 8) << digest;
    // A layer may be merged and removed before the other image comes to ask for it.
    for (std::size_t i = 0; i < 3; ++i) EXPECT_LE(count(hub, image.layer_digest(i)), i == 1 ? 1 : 2);
}

}  // namespace
}  // namespace vmette::scheduler

int main(int argc, char** argv) {
    if (argc > 1 && std::string(argv[1]) == "--puller")
        return vmette::scheduler::run_puller(std::vector<std::string>(argv + 2, argv + argc));
    ::testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}
