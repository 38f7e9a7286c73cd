/// A scratch disk of 8 GiB made, formatted and removed: ours, against what a script would do (truncate, mkfs.ext4, rm).
/// Both in one folder, with the bytes that each occupies before it is removed.
///
///     scratch_bench [FOLDER]

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <vector>

#include <fmt/format.h>

#include "base/layout.h"
#include "base/process.h"
#include "base/units.h"
#include "vm/scratch.h"

namespace {

using namespace vmette;

constexpr std::uint64_t kBytes = 8 * kGiB;
constexpr int kRounds = 9;

struct Cost {
    double ms = 0;
    std::uint64_t bytes = 0;
};

std::uint64_t occupied(int fd) {
    struct stat status{};
    constexpr std::uint64_t kStatBlock = 512;
    return ::fstat(fd, &status) == 0 ? static_cast<std::uint64_t>(status.st_blocks) * kStatBlock : 0;
}

/// `work` returns what it occupied.
Result<Cost> timed(const std::function<Result<std::uint64_t>()>& work) {
    auto start = std::chrono::steady_clock::now();
    VMETTE_TRY(std::uint64_t bytes, work());
    std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    return Cost{took.count(), bytes};
}

Result<std::uint64_t> ours(const Layout& layout) {
    VMETTE_TRY(Fd scratch, vm::make_scratch(layout, kBytes));
    return occupied(scratch.get());
}

Result<std::uint64_t> theirs(const std::filesystem::path& path) {
    auto run = [](std::vector<std::string> argv) -> Result<> {
        VMETTE_TRY(auto done, run_captured({.argv = std::move(argv)}, std::chrono::seconds(60)));
        if (!done.ok()) return fail(ErrorCode::io, "{}", done.err);
        return {};
    };
    VMETTE_CHECK_OK(run({"truncate", "-s", std::to_string(kBytes), path.string()}));
    VMETTE_CHECK_OK(run({"mkfs.ext4", "-q", "-F", path.string()}));
    VMETTE_TRY(Fd fd, open_file(path, O_RDONLY));
    std::uint64_t bytes = occupied(fd.get());
    fd.reset();
    if (::unlink(path.c_str()) != 0) return fail_errno("unlink " + path.string());
    return bytes;
}

Result<Cost> median(const std::function<Result<std::uint64_t>()>& work) {
    std::vector<Cost> costs;
    for (int i = 0; i < kRounds; ++i) {
        VMETTE_TRY(Cost cost, timed(work));
        costs.push_back(cost);
    }
    std::ranges::sort(costs, {}, &Cost::ms);
    return costs[kRounds / 2];
}

Result<> run(const std::filesystem::path& under) {
    VMETTE_TRY(TempDir folder, TempDir::make(under));
    Layout layout{.cache = folder.path() / "cache", .state = {}, .runtime = {}, .config = {}};
    VMETTE_TRY(Cost first, timed([&] { return ours(layout); }));
    VMETTE_TRY(Cost mine, median([&] { return ours(layout); }));
    VMETTE_TRY(Cost peer, median([&] { return theirs(folder.path() / "scratch.img"); }));
    auto line = [](std::string_view name, const Cost& cost) {
        fmt::print("{:<44} {:>9.2f} ms {:>9} KiB\n", name, cost.ms, cost.bytes / kKiB);
    };
    fmt::print("scratch disk of {}, made, formatted, removed (median of {})\n", human_size(kBytes), kRounds);
    line("vmette, the first of its size", first);
    line("vmette", mine);
    line("truncate + mkfs.ext4 + rm", peer);
    fmt::print("ratio: {:.0f}x the time, {:.0f}x the bytes; aim: under 100 ms and under 8 MiB: {}\n", peer.ms / mine.ms,
               static_cast<double>(peer.bytes) / static_cast<double>(std::max<std::uint64_t>(mine.bytes, 1)),
               std::max(first.ms, mine.ms) < 100 && mine.bytes < 8 * kMiB ? "met" : "MISSED");
    return {};
}

}  // namespace

int main(int argc, char** argv) {
    auto done = run(argc > 1 ? argv[1] : "");
    if (!done) fmt::print(stderr, "scratch_bench: {}\n", done.error().text());
    return done ? 0 : 1;
}
