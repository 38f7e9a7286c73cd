/// vmette-image-worker: what touches hostile bytes and heavy libraries, in a process of its own. It is started by
/// vmette alone: `convert MAX_UNPACKED MAX_ENTRIES`, `merge MAX_UNPACKED MAX_ENTRIES zstd|lz4|gzip`, `list-archive`,
/// `copy-archive MAX_UNPACKED`, `fetch`, `pull` or `daemon`, with the descriptors that rootfs/report.h names.

#include <sched.h>

#include <algorithm>
#include <clocale>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "base/clock.h"
#include "base/digest.h"
#include "base/fd.h"
#include "base/text.h"
#include "base/units.h"
#include "rootfs/oci/manifest.h"
#include "rootfs/oci/settings.h"
#include "rootfs/report.h"
#include "rootfs/worker/archive_list.h"
#include "rootfs/worker/confine.h"
#include "rootfs/worker/daemon_get.h"
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
constexpr std::uint64_t kMaxList = 8 * kMiB;

void send(const ReportLine& line) {
    // When the parent is gone there is nobody left to tell.
    [[maybe_unused]] auto told = write_all(kWorkerReport, encode_line(line));
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

/// The image that is made of one archive or of many layers, and what makes it.
struct Conversion {
    OutputFile image{kWorkerOutput};
    Tree tree;
    std::unique_ptr<SquashfsWriter> writer;
    TarLimits limits;
    TarTotals totals;
    ProgressSender progress;

    /// Nothing hostile is read before this has returned.
    static Result<std::unique_ptr<Conversion>> start(const TarLimits& limits, std::uint64_t max_entries,
                                                     TreeRules rules, oci::Compression compression) {
        // libarchive hands names over in the locale's encoding; in this one bytes stay as they are.
        std::setlocale(LC_CTYPE, "C.UTF-8");
        VMETTE_CHECK_OK(
            limit_resources(limits.max_unpacked + kImageSlack, kFixedMemory + max_entries * kMemoryPerEntry));
        unsigned threads = usable_processors();
        // OpenSSL looks for its configuration when it is first used.
        (void)sha256_hex("");
        VMETTE_CHECK_OK(forbid_new_resources());
        std::unique_ptr<Conversion> made(new Conversion{.tree = Tree(max_entries, rules), .limits = limits});
        VMETTE_TRY(made->writer, SquashfsWriter::create(made->image, threads, compression));
        return made;
    }
    OnUnpacked on_unpacked() {
        return [this](std::uint64_t done) { progress(done, 0); };
    }
    Result<Fields> finish() {
        VMETTE_CHECK_OK(writer->finish(tree));
        return Fields{{"entries", std::to_string(totals.entries)}, {"unpacked", std::to_string(totals.unpacked)}};
    }
};

Result<Fields> convert(const TarLimits& limits, std::uint64_t max_entries) {
    VMETTE_TRY(auto made, Conversion::start(limits, max_entries, TreeRules::archive, oci::Compression::zstd));
    VMETTE_TRY(auto archive, decompressed(std::make_unique<FdSource>(kWorkerInput)));
    VMETTE_CHECK_OK(read_tar(std::move(archive), limits, made->totals, made->tree, *made->writer, made->on_unpacked()));
    return made->finish();
}

/// The length in front of the next layer; nothing at the end of the input.
Result<std::optional<std::uint64_t>> next_layer() {
    constexpr std::size_t kLengthBytes = 8;
    FdSource source(kWorkerInput, kLengthBytes);
    VMETTE_TRY(auto bytes, source.next());
    if (bytes.empty()) return std::nullopt;
    if (bytes.size() < kLengthBytes) return fail(ErrorCode::protocol, "the layers end within a length");
    std::uint64_t length = 0;
    for (std::size_t i = kLengthBytes; i-- > 0;) length = length << 8 | std::to_integer<std::uint64_t>(bytes[i]);
    return length;
}

Result<Fields> merge(const TarLimits& limits, std::uint64_t max_entries, oci::Compression compression) {
    VMETTE_TRY(auto made, Conversion::start(limits, max_entries, TreeRules::layers, compression));
    std::string diff_ids;
    for (std::size_t number = 1;; ++number) {
        VMETTE_TRY(auto length, next_layer());
        if (!length) break;
        if (number > oci::kMaxLayers) return fail(ErrorCode::bad_image, "has more than {} layers", oci::kMaxLayers);
        auto diff_id = read_layer(std::make_unique<FdSource>(kWorkerInput, *length), limits, made->totals, made->tree,
                                  *made->writer, made->on_unpacked());
        if (!diff_id) {
            Error error = diff_id.error();
            if (error.code == ErrorCode::bad_image) error.message += fmt::format(" (in layer {})", number);
            return Failure(error);
        }
        diff_ids += (diff_ids.empty() ? "" : " ") + *diff_id;
    }
    VMETTE_TRY(Fields fields, made->finish());
    fields["diff_ids"] = diff_ids;
    return fields;
}

std::optional<oci::Compression> parse_compression(std::string_view name) {
    if (name == "zstd") return oci::Compression::zstd;
    if (name == "lz4") return oci::Compression::lz4;
    if (name == "gzip") return oci::Compression::gzip;
    return std::nullopt;
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
    VMETTE_TRY(FetchResult result, fetch(request, kWorkerOutput, kWorkerState, std::ref(progress),
                                         [](const std::string& notice) { send(NoticeLine{notice}); }));
    return Fields{{"unchanged", result.unchanged ? "1" : "0"},
                  {"validator", result.validator},
                  {"bytes", std::to_string(result.bytes)}};
}

/// For list-archive and copy-archive: reads the input, writes the output, and may do nothing else.
Result<Fields> on_archive(std::uint64_t limit, const std::function<Result<>()>& work) {
    std::setlocale(LC_CTYPE, "C.UTF-8");
    VMETTE_CHECK_OK(limit_resources(limit + kMiB, kFixedMemory));
    VMETTE_CHECK_OK(forbid_new_resources());
    VMETTE_CHECK_OK(work());
    return Fields{};
}

Result<> copy_input(std::uint64_t limit) {
    ProgressSender progress;
    VMETTE_TRY(auto archive, decompressed(std::make_unique<FdSource>(kWorkerInput)));
    return copy_archive(std::move(archive), kWorkerOutput, kWorkerState, limit,
                        [&](std::uint64_t done) { progress(done, 0); });
}

Result<Fields> question_requested() {
    VMETTE_TRY(std::string text, read_all(kWorkerInput, kMaxReportLine, "the request"));
    auto fields = decode_fields(text);
    if (!fields) return fail(ErrorCode::protocol, "the request cannot be read");
    auto number = [&](const char* name) { return parse_number((*fields)[name]).value_or(0); };
    DaemonRequest request;
    request.socket = (*fields)["socket"];
    request.path = (*fields)["path"];
    request.max_bytes = number("max_bytes");
    request.stall = std::chrono::seconds(number("stall"));
    request.total = std::chrono::seconds(number("total"));
    VMETTE_CHECK_OK(limit_resources(request.max_bytes + kMiB, 0));
    ProgressSender progress;
    VMETTE_TRY(DaemonAnswer answer, ask_daemon(request, kWorkerOutput, std::ref(progress)));
    return Fields{{"status", std::to_string(answer.status)}, {"message", answer.message}};
}

Result<Fields> work(int count, char** arguments) {
    std::string_view what = count > 1 ? arguments[1] : "";
    if (what == "pull" && count == 2) return serve_pull();
    if (what == "fetch" && count == 2) return fetch_requested();
    if (what == "daemon" && count == 2) return question_requested();
    if (what == "list-archive" && count == 2)
        return on_archive(kMaxList, [] { return list_archive(kWorkerInput, kWorkerOutput); });
    if (what == "copy-archive" && count == 3) {
        auto limit = parse_number(arguments[2]);
        if (limit) return on_archive(*limit, [&] { return copy_input(*limit); });
    }
    if ((what == "convert" && count == 4) || (what == "merge" && count == 5)) {
        auto unpacked = parse_number(arguments[2]), entries = parse_number(arguments[3]);
        auto compression = parse_compression(count > 4 ? arguments[4] : "zstd");
        if (unpacked && entries && what == "convert") return convert(TarLimits{*unpacked}, *entries);
        if (unpacked && entries && compression) return merge(TarLimits{*unpacked}, *entries, *compression);
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
