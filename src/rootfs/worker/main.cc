/// vmette-image-worker: what touches hostile bytes and heavy libraries, in a process of its own. It is started by
/// vmette alone: `convert MAX_UNPACKED MAX_ENTRIES`, `fetch` or `pull`, with the descriptors that rootfs/report.h
/// names.

#include <sched.h>

#include <algorithm>
#include <clocale>
#include <exception>
#include <string_view>

#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"
#include "base/units.h"
#include "rootfs/report.h"
#include "rootfs/worker/confine.h"
#include "rootfs/worker/fetch.h"
#include "rootfs/worker/registry_pull.h"
#include "rootfs/worker/squashfs_writer.h"

namespace vmette::rootfs {
namespace {

constexpr unsigned kMaxThreads = 8;
/// Memory of a conversion: a fixed part (libraries, stacks, blocks in flight, the window of the archive's compression:
/// at most 160 MiB), and for each entry its place in the tree and its block list.
constexpr std::uint64_t kFixedMemory = 384 * kMiB;
constexpr std::uint64_t kMemoryPerEntry = 512;
/// Squashfs may need more than the contents: metadata, blocks that do not compress.
constexpr std::uint64_t kImageSlack = 1 * kGiB;

void send(const ReportLine& line) {
    // When the parent is gone there is nobody left to tell.
    (void)write_all(kWorkerReport, encode_line(line));
}

/// Tells the parent how far it is, at most ten times a second.
class ProgressSender {
public:
    void operator()(std::uint64_t done, std::uint64_t total) {
        auto now = std::chrono::steady_clock::now();
        if (now < next_) return;
        next_ = now + std::chrono::milliseconds(100);
        send(ProgressLine{done, total, {}});
    }

private:
    MonotonicTime next_ = std::chrono::steady_clock::now();
};

unsigned usable_processors() {
    cpu_set_t set;
    if (::sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    return std::clamp(static_cast<unsigned>(CPU_COUNT(&set)), 1U, kMaxThreads);
}

Result<Fields> convert(std::uint64_t max_unpacked, std::uint64_t max_entries) {
    // libarchive hands names over in the locale's encoding; in this one bytes stay as they are.
    std::setlocale(LC_CTYPE, "C.UTF-8");
    VMETTE_CHECK_OK(limit_resources(max_unpacked + kImageSlack, kFixedMemory + max_entries * kMemoryPerEntry));
    unsigned threads = usable_processors();
    VMETTE_CHECK_OK(forbid_new_resources());
    OutputFile image(kWorkerOutput);
    Tree tree(max_entries);
    VMETTE_TRY(auto writer, SquashfsWriter::create(image, threads));
    VMETTE_TRY(auto archive, decompressed(std::make_unique<FdSource>(kWorkerInput)));
    ProgressSender progress;
    VMETTE_TRY(TarSummary summary, read_tar(std::move(archive), TarLimits{max_unpacked}, tree, *writer,
                                            [&](std::uint64_t done) { progress(done, 0); }));
    VMETTE_CHECK_OK(writer->finish(tree));
    return Fields{{"entries", std::to_string(summary.entries)}, {"unpacked", std::to_string(summary.unpacked)}};
}

Result<Fields> fetch_requested() {
    VMETTE_TRY(std::string text, read_all(kWorkerInput, kMaxReportLine, "the request"));
    auto fields = decode_fields(text);
    if (!fields) return fail(ErrorCode::protocol, "the request cannot be read");
    auto number = [&](const char* name) { return parse_number((*fields)[name]).value_or(0); };
    FetchRequest request;
    request.url = (*fields)["url"];
    request.max_bytes = number("max_bytes");
    request.stall = std::chrono::seconds(number("stall"));
    request.total = std::chrono::seconds(number("total"));
    request.ca_certs = (*fields)["ca_certs"];
    request.validator = (*fields)["validator"];
    VMETTE_CHECK_OK(limit_resources(request.max_bytes + kMiB, 0));
    ProgressSender progress;
    VMETTE_TRY(FetchResult result, fetch(request, kWorkerOutput, kWorkerState, std::ref(progress)));
    return Fields{{"unchanged", result.unchanged ? "1" : "0"},
                  {"validator", result.validator},
                  {"bytes", std::to_string(result.bytes)}};
}

Result<Fields> work(int count, char** arguments) {
    std::string_view what = count > 1 ? arguments[1] : "";
    if (what == "pull" && count == 2) return serve_pull();
    if (what == "fetch" && count == 2) return fetch_requested();
    if (what == "convert" && count == 4) {
        auto unpacked = parse_number(arguments[2]), entries = parse_number(arguments[3]);
        if (unpacked && entries) return convert(*unpacked, *entries);
    }
    return fail(ErrorCode::bad_input, "is started by vmette alone");
}

}  // namespace
}  // namespace vmette::rootfs

int main(int count, char** arguments) {
    using namespace vmette;
    Result<rootfs::Fields> result = fail(ErrorCode::io, "needs more memory than it may have");
    try {
        result = rootfs::work(count, arguments);
    } catch (const std::bad_alloc&) {
    } catch (const std::exception& error) {
        result = fail(ErrorCode::internal, "failed: {}", error.what());
    }
    if (!result) {
        rootfs::send(result.error());
        return 1;
    }
    rootfs::send(rootfs::DoneLine{*result});
    return 0;
}
