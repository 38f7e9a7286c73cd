#include "scheduler/image_index.h"

namespace vmette::scheduler {
namespace {

/// A database that cannot answer costs a rebuild, not the run.
std::optional<rootfs::ImageRecord> to_record(const Result<std::optional<store::StoredImage>>& found) {
    if (!found || !*found) return std::nullopt;
    const store::StoredImage& image = **found;
    return rootfs::ImageRecord{.digest = image.digest,
                               .source = image.source,
                               .provider = image.provider,
                               .content_digest = image.content_digest,
                               .validator = image.validator,
                               .bytes = image.bytes,
                               .config = image.config,
                               .checked_at = image.checked_at};
}

}  // namespace

std::optional<rootfs::ImageRecord> StoredImageIndex::find_source(const std::string& source) {
    return to_record(store_.image_by_source(source));
}

std::optional<rootfs::ImageRecord> StoredImageIndex::find_content(const std::string& content_digest) {
    return to_record(store_.image_by_content(content_digest));
}

Result<> StoredImageIndex::add(const rootfs::ImageRecord& record) {
    store::StoredImage image;
    image.digest = record.digest;
    image.source = record.source;
    image.provider = record.provider;
    image.content_digest = record.content_digest;
    image.validator = record.validator;
    image.bytes = record.bytes;
    image.config = record.config;
    image.created_at = image.last_used_at = clock_.now();
    added_ = true;
    return store_.put_image(image);
}

Result<> StoredImageIndex::remove(const std::string& digest) { return store_.remove_image(digest); }

}  // namespace vmette::scheduler
