/// tar → image beside tar2sqfs at the same compression: `tar_image ARCHIVE WORK-FOLDER`. Ours is the whole way that a
/// user waits for: the archive hashed, converted in the confined worker, the image hashed and synced to disk.

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <functional>

#include "base/process.h"
#include "rootfs/provider.h"

namespace {

using namespace vmette;

constexpr int kRounds = 7;
constexpr long kMaxMemoryKib = 64 * 1024;

/// Knows nothing, so that every resolve builds.
class NoIndex final : public rootfs::ImageIndex {
public:
    std::optional<rootfs::ImageRecord> find_source(const std::string&) override { return std::nullopt; }
    std::optional<rootfs::ImageRecord> find_content(const std::string&) override { return std::nullopt; }
    Result<> add(const rootfs::ImageRecord&) override { return {}; }
    Result<> remove(const std::string&) override { return {}; }
};

Result<double> seconds(const std::function<Result<>()>& work) {
    auto start = std::chrono::steady_clock::now();
    VMETTE_CHECK_OK(work());
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

Result<> ours(const std::string& archive, const std::filesystem::path& work, std::uintmax_t& bytes) {
    std::filesystem::remove_all(work / "cache");
    Layout layout{.cache = work / "cache", .state = work / "state", .runtime = {}, .config = {}};
    NoIndex index;
    rootfs::Context context{.layout = layout, .index = index};
    VMETTE_TRY(auto image, rootfs::Registry::with_builtin().resolve("tar+file://" + archive, context));
    bytes = image.bytes;
    return {};
}

Result<> tar2sqfs(const std::string& archive, const std::filesystem::path& work) {
    ProcessSpec spec;
    // The same level as worker/squashfs_writer.cc.
    spec.argv = {"sh",
                 "-c",
                 "exec tar2sqfs --quiet --force --compressor zstd --comp-extra level=1 \"$1\" <\"$2\"",
                 "sh",
                 (work / "peer.squashfs").string(),
                 archive};
    VMETTE_TRY(auto done, run_captured(spec, std::chrono::minutes(5)));
    if (!done.ok()) return fail(ErrorCode::io, "tar2sqfs: {}", done.err);
    return {};
}

Result<> compare(const std::string& archive, const std::filesystem::path& work) {
    std::uintmax_t bytes = 0;
    // The first conversion is for the page cache and for the memory: no other child has run yet.
    VMETTE_CHECK_OK(ours(archive, work, bytes));
    rusage worker{}, self{};
    ::getrusage(RUSAGE_CHILDREN, &worker);
    ::getrusage(RUSAGE_SELF, &self);
    std::vector<double> our_times, peer_times;
    for (int round = 0; round < kRounds; ++round) {
        VMETTE_TRY(double mine, seconds([&] { return ours(archive, work, bytes); }));
        VMETTE_TRY(double theirs, seconds([&] { return tar2sqfs(archive, work); }));
        our_times.push_back(mine);
        peer_times.push_back(theirs);
    }
    double mine = median(our_times), theirs = median(peer_times);
    std::printf(
        "tar of %.0f MB -> image of %.0f MB: vmette %.2f s, tar2sqfs (zstd 1) %.2f s, ratio %.2f (bound: 1.00)\n",
        static_cast<double>(std::filesystem::file_size(archive)) / 1e6, static_cast<double>(bytes) / 1e6, mine, theirs,
        mine / theirs);
    std::printf("peak memory: worker %ld KiB, vmette itself %ld KiB (bound: %ld)\n", worker.ru_maxrss, self.ru_maxrss,
                kMaxMemoryKib);
    return {};
}

}  // namespace

int main(int count, char** arguments) {
    if (count != 3) {
        std::fprintf(stderr, "usage: tar_image ARCHIVE WORK-FOLDER\n");
        return 2;
    }
    auto done = compare(std::filesystem::absolute(arguments[1]).string(), std::filesystem::absolute(arguments[2]));
    if (done) return 0;
    std::fprintf(stderr, "tar_image: %s\n", done.error().text().c_str());
    return 1;
}
