#include "rootfs/oci/remember.h"

#include "base/digest.h"
#include "base/log.h"
#include "base/text.h"
#include "rootfs/oci/manifest.h"

namespace vmette::rootfs::oci {

std::string lock_name(std::string_view kind, std::string_view what) {
    return fmt::format("{}-{}", kind, sha256_hex(what));
}

Resolved make_resolved(const std::string& source, OpenImage image, ImageConfig config) {
    Resolved out;
    out.path = std::move(image.path);
    out.image = std::move(image.fd);
    out.digest = std::move(image.digest);
    out.bytes = image.bytes;
    out.provider = kProviderName;
    out.source = source;
    out.config = std::move(config);
    return out;
}

Result<Resolved> remember(const std::string& source, OpenImage image, const Documents& documents,
                          const std::string& name, const Context& context) {
    ImageRecord record{.digest = image.digest,
                       .source = name,
                       .provider = std::string(kProviderName),
                       .content_digest = documents.manifest_digest,
                       .validator = documents.top_digest,
                       .bytes = image.bytes,
                       .config = encode_description(describe(documents.manifest, documents.image))};
    VMETTE_CHECK_OK(context.index.add(record));
    return make_resolved(source, std::move(image), documents.image.config);
}

std::optional<Resolved> open_record(const std::string& source, const std::optional<ImageRecord>& record,
                                    const Context& context) {
    if (!record) return std::nullopt;
    auto image = open_image(context.layout, record->digest, record->bytes);
    auto config = decode_image_config(record->config);
    if (image && config) return make_resolved(source, *std::move(image), *std::move(config));
    LogLevel level = image ? LogLevel::info : level_of(image.error());
    log(level, "the image of {} is to be made again: {}", harmless_line(source),
        image ? config.error().text() : image.error().text());
    [[maybe_unused]] auto forgotten = context.index.remove(record->digest);
    return std::nullopt;
}

std::optional<OpenImage> open_same_manifest(const Documents& documents, const Context& context) {
    auto record = context.index.find_content(documents.manifest_digest);
    if (!record) return std::nullopt;
    if (auto image = open_image(context.layout, record->digest, record->bytes)) return *std::move(image);
    [[maybe_unused]] auto forgotten = context.index.remove(record->digest);
    return std::nullopt;
}

}  // namespace vmette::rootfs::oci
