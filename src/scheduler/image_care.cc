#include "scheduler/image_care.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "base/digest.h"
#include "base/fd.h"
#include "base/text.h"
#include "rootfs/image_cache.h"
#include "rootfs/oci/reference.h"

namespace vmette::scheduler {
namespace {

/// Between its publishing and its record an image is known to nobody for a moment.
constexpr std::chrono::hours kStrayAfter{1};
/// For so long an interrupted pull or download may be taken up again.
constexpr std::chrono::hours kUnfinishedAfter{24 * 7};

class Pruner {
public:
    Pruner(const Layout& layout, store::Store& store, const Clock& clock, bool dry_run)
        : layout_(layout), store_(store), now_(clock.now()), dry_run_(dry_run) {}

    Result<Pruned> run(const PrunePolicy& policy) {
        VMETTE_CHECK_OK(require_ours());
        VMETTE_TRY(auto images, store_.list_images());
        std::uint64_t total = 0;
        for (const auto& image : images) total += image.bytes;
        // From the one that has gone unused the longest.
        for (auto image = images.rbegin(); image != images.rend(); ++image) {
            bool old = policy.max_age && now_ - image->last_used_at > *policy.max_age;
            bool too_much = policy.max_bytes && total > *policy.max_bytes;
            if (!policy.all && !old && !too_much) continue;
            VMETTE_TRY(bool gone, remove(*image));
            if (gone) total -= image->bytes;
        }
        VMETTE_CHECK_OK(remove_strays(images));
        remove_unfinished("layer of an unfinished pull", layout_.layers_dir());
        remove_unfinished("unfinished download", layout_.downloads_dir());
        return std::move(pruned_);
    }

private:
    /// In a folder that others can write, a name may lead to any file of the user's.
    Result<> require_ours() const {
        for (const auto& folder : {layout_.images_dir(), layout_.layers_dir(), layout_.downloads_dir()})
            if (auto ours = require_cache_dir(folder); !ours && ours.error().code != ErrorCode::not_found) return ours;
        return {};
    }

    Result<bool> remove(const store::StoredImage& image) {
        VMETTE_TRY(bool gone, remove_file(image.digest));
        if (!gone) {
            pruned_.in_use.push_back(image);
            return false;
        }
        if (!dry_run_) VMETTE_CHECK_OK(store_.remove_image(image.digest));
        pruned_.bytes += image.bytes;
        pruned_.removed.push_back(image);
        return true;
    }

    Result<bool> remove_file(const std::string& digest) const {
        if (dry_run_) return !rootfs::is_image_in_use(layout_, digest);
        return rootfs::remove_image(layout_, digest);
    }

    Result<> remove_strays(const std::vector<store::StoredImage>& known) {
        std::set<std::string> digests;
        for (const auto& image : known) digests.insert(image.digest);
        for (const auto& file : rootfs::image_files(layout_)) {
            if (digests.contains(file.digest) || now_ - file.changed < kStrayAfter) continue;
            VMETTE_TRY(bool gone, remove_file(file.digest));
            if (gone)
                count({"unknown image", layout_.image(file.digest.substr(file.digest.find(':') + 1)), file.bytes});
        }
        return {};
    }

    void remove_unfinished(std::string_view what, const std::filesystem::path& folder) {
        std::error_code ignored;
        for (const auto& file : std::filesystem::directory_iterator(folder, ignored)) {
            struct stat info{};
            if (::lstat(file.path().c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
            if (now_ - std::chrono::system_clock::from_time_t(info.st_mtim.tv_sec) < kUnfinishedAfter) continue;
            // Whoever works on it holds its lock.
            auto fd = open_file(file.path(), O_RDONLY | O_NOFOLLOW);
            if (!fd || ::flock(fd->get(), LOCK_EX | LOCK_NB) != 0) continue;
            if (dry_run_ || ::unlink(file.path().c_str()) == 0)
                count({what, file.path(), static_cast<std::uint64_t>(info.st_size)});
        }
    }

    void count(StrayFile stray) {
        pruned_.bytes += stray.bytes;
        pruned_.strays.push_back(std::move(stray));
    }

    const Layout& layout_;
    store::Store& store_;
    const WallTime now_;
    const bool dry_run_;
    Pruned pruned_;
};

}  // namespace

Result<Pruned> prune_images(const Layout& layout, store::Store& store, const Clock& clock, const PrunePolicy& policy,
                            bool dry_run) {
    return Pruner(layout, store, clock, dry_run).run(policy);
}

Result<std::vector<store::RunRecord>> runs_holding(store::Store& store, const std::string& digest) {
    store::RunFilter live;
    live.status = store::RunStatus::running;
    live.limit = 0;
    VMETTE_TRY(auto runs, store.list_runs(live));
    VMETTE_TRY(auto sources, store.image_sources(digest));
    // The digest is recorded when the command begins; a run that boots yet is known by its source.
    std::erase_if(runs, [&](const store::RunRecord& run) {
        if (!run.image_digest.empty()) return run.image_digest != digest;
        auto reference = rootfs::oci::parse_reference(run.image_source);
        std::string full_name = reference ? reference->text() : run.image_source;
        return std::none_of(sources.begin(), sources.end(), [&](const store::StoredImage& image) {
            return image.source == run.image_source || image.source == full_name;
        });
    });
    return runs;
}

Result<> remove_cached_image(const Layout& layout, store::Store& store, const std::string& digest) {
    VMETTE_TRY(bool gone, rootfs::remove_image(layout, digest));
    if (gone) return store.remove_image(digest);
    VMETTE_TRY(auto runs, runs_holding(store, digest));
    std::string names;
    for (const auto& run : runs)
        names += fmt::format("{}{} ({})", names.empty() ? "" : ", ", run.id, harmless_line(run.name, 80));
    if (names.empty())
        return fail(ErrorCode::busy, "the image {} is in use: another vmette makes, checks or starts it", digest);
    return fail(ErrorCode::busy, "the image {} is in use by {} {}", digest, runs.size() == 1 ? "the run" : "the runs",
                names);
}

Result<ImageHealth> verify_image(const Layout& layout, store::Store& store, const store::StoredImage& image) {
    ImageHealth health = ImageHealth::missing;
    auto ours = require_cache_dir(layout.images_dir());
    if (!ours && ours.error().code != ErrorCode::not_found) return Failure(ours.error());
    if (auto open = rootfs::open_image(layout, image.digest, image.bytes)) {
        VMETTE_TRY(std::string hex, sha256_fd(open->fd.get(), open->path.string()));
        health = "sha256:" + hex == image.digest ? ImageHealth::sound : ImageHealth::damaged;
    }
    if (health == ImageHealth::sound) return health;
    VMETTE_CHECK_OK(store.remove_image(image.digest));
    VMETTE_CHECK_OK(rootfs::remove_image(layout, image.digest));
    return health;
}

}  // namespace vmette::scheduler
