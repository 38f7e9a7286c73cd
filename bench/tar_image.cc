/// tar → image beside tar2sqfs at the same compression: `tar_image ARCHIVE WORK-FOLDER WORKER`. Twice: the conversion
/// alone, which is what tar2sqfs does; and the whole way that a user waits for, where the archive and the image are
/// also hashed and the image is synced to disk, beside tar2sqfs followed by sha256sum and sync.

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

struct Setup {
    std::string archive;
    std::filesystem::path work;
    std::string worker;
    std::uintmax_t bytes = 0;

    /// A shell command over $1 the archive, $2 an image to be made, $3 the worker.
    Result<> shell(const std::string& command) const {
        ProcessSpec spec;
        spec.argv = {"sh", "-c", command, "sh", archive, (work / "shell.squashfs").string(), worker};
        VMETTE_TRY(auto done, run_captured(spec, std::chrono::minutes(5)));
        if (!done.ok()) return fail(ErrorCode::io, "{}: {}{}", command, done.out, done.err);
        return {};
    }
    Result<> resolve() {
        std::filesystem::remove_all(work / "cache");
        Layout layout{.cache = work / "cache", .state = work / "state", .runtime = {}, .config = {}};
        NoIndex index;
        rootfs::Context context{.layout = layout, .index = index};
        VMETTE_TRY(auto image, rootfs::Registry::with_builtin().resolve("tar+file://" + archive, context));
        bytes = image.bytes;
        return {};
    }
};

/// Medians of rounds that alternate between ours and theirs.
Result<> compare(const char* what, const std::function<Result<>()>& ours, const std::function<Result<>()>& theirs,
                 const char* their_name) {
    std::vector<double> our_times, their_times;
    for (int round = 0; round < kRounds; ++round) {
        VMETTE_TRY(double mine, seconds(ours));
        VMETTE_TRY(double peer, seconds(theirs));
        our_times.push_back(mine);
        their_times.push_back(peer);
    }
    double mine = median(our_times), peer = median(their_times);
    std::printf("%s: vmette %.3f s, %s %.3f s, ratio %.2f (bound: 1.00)\n", what, mine, their_name, peer, mine / peer);
    return {};
}

Result<> measure(Setup& setup) {
    // The first conversion is for the page cache and for the memory: no other child has run yet.
    VMETTE_CHECK_OK(setup.resolve());
    rusage worker{}, self{};
    ::getrusage(RUSAGE_CHILDREN, &worker);
    ::getrusage(RUSAGE_SELF, &self);
    std::printf("tar of %.0f MB -> image of %.0f MB, zstd level 1\n",
                static_cast<double>(std::filesystem::file_size(setup.archive)) / 1e6,
                static_cast<double>(setup.bytes) / 1e6);
    // The level of worker/squashfs_writer.cc.
    const std::string peer = "tar2sqfs --quiet --force --compressor zstd --comp-extra level=1 \"$2\" <\"$1\"";
    const std::string convert = "rm -f \"$2\"; \"$3\" convert 68719476736 4000000 <\"$1\" 3<>\"$2\" >/dev/null";
    VMETTE_CHECK_OK(
        compare("conversion", [&] { return setup.shell(convert); }, [&] { return setup.shell(peer); }, "tar2sqfs"));
    VMETTE_CHECK_OK(compare(
        "hashed, converted, hashed, on disk", [&] { return setup.resolve(); },
        [&] { return setup.shell(peer + " && sha256sum \"$1\" \"$2\" && sync \"$2\""); },
        "tar2sqfs + sha256sum + sync"));
    std::printf("peak memory: worker %ld KiB, vmette itself %ld KiB (bound: %ld)\n", worker.ru_maxrss, self.ru_maxrss,
                kMaxMemoryKib);
    return {};
}

}  // namespace

int main(int count, char** arguments) {
    if (count != 4) {
        std::fprintf(stderr, "usage: tar_image ARCHIVE WORK-FOLDER WORKER\n");
        return 2;
    }
    Setup setup{std::filesystem::absolute(arguments[1]).string(), std::filesystem::absolute(arguments[2]),
                arguments[3]};
    auto done = measure(setup);
    if (done) return 0;
    std::fprintf(stderr, "tar_image: %s\n", done.error().text().c_str());
    return 1;
}
