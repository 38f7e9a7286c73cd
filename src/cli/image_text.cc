#include "cli/image_text.h"

#include <filesystem>

#include "base/clock.h"
#include "base/source_path.h"
#include "base/text.h"
#include "cli/json_writer.h"
#include "rootfs/oci/local_source.h"
#include "rootfs/oci/reference.h"

namespace vmette::cli {
namespace {

/// The provider of images that are made of layers.
constexpr std::string_view kOci = "oci";

}  // namespace

std::vector<ImageSources> by_image(std::vector<store::StoredImage> all) {
    std::vector<ImageSources> out;
    for (auto& one : all) {
        if (out.empty() || out.back().front().digest != one.digest) out.emplace_back();
        out.back().push_back(std::move(one));
    }
    return out;
}

std::string short_digest(std::string_view digest) {
    constexpr std::string_view kPrefix = "sha256:";
    constexpr std::size_t kShown = 12;
    if (digest.starts_with(kPrefix)) digest.remove_prefix(kPrefix.size());
    return harmless_line(digest.substr(0, kShown));
}

std::string with_absolute_path(const std::string& source) {
    auto found = find_source_path(source);
    if (!found || found->path.empty()) return source;
    std::error_code error;
    auto path = std::filesystem::absolute(found->path, error);
    return error ? source : with_path(source, *found, path.lexically_normal());
}

std::string full_name(const std::string& source) {
    if (find_source_path(source)) return with_absolute_path(source);
    if (rootfs::oci::is_local_source(source)) return source;
    auto reference = rootfs::oci::parse_reference(source);
    return reference ? reference->text() : source;
}

std::string registry_digest(const store::StoredImage& image) {
    bool of_registry = image.provider == kOci && !rootfs::oci::is_local_source(image.source);
    return of_registry && rootfs::oci::is_digest(image.validator) ? image.validator : "";
}

std::string pinned_source(const store::StoredImage& image) {
    using namespace rootfs::oci;
    if (image.provider != kOci) {
        bool pinned = image.source.find('#') != std::string::npos;
        if (pinned || !is_digest(image.content_digest)) return pinned ? image.source : "";
        return fmt::format("{}#sha256={}", image.source,
                           image.content_digest.substr(image.content_digest.find(':') + 1));
    }
    std::string digest = registry_digest(image);
    auto reference = parse_reference(image.source);
    if (digest.empty() || !reference) return "";
    reference->digest = digest;
    return reference->text();
}

std::string image_source_json(const store::StoredImage& image) {
    return JsonObject()
        .text("source", image.source)
        .text("provider", image.provider)
        .text_or_null("pinned", pinned_source(image))
        .text_or_null("registry_digest", registry_digest(image))
        .text_or_null("content_digest", image.content_digest)
        .text_or_null("validator", image.validator)
        .text("checked_at", format_rfc3339(image.checked_at))
        .render(false);
}

std::string image_json(const ImageSources& image, bool in_use, bool pretty) {
    const store::StoredImage& newest = image.front();
    std::vector<std::string> sources;
    sources.reserve(image.size());
    for (const auto& one : image) sources.push_back(image_source_json(one));
    return JsonObject()
        .text("digest", newest.digest)
        .text("source", newest.source)
        .text("provider", newest.provider)
        .text_or_null("registry_digest", registry_digest(newest))
        .text_or_null("content_digest", newest.content_digest)
        .number("bytes", newest.bytes)
        .text("created_at", format_rfc3339(newest.created_at))
        .text("last_used_at", format_rfc3339(newest.last_used_at))
        .number("uses", newest.uses)
        .boolean("in_use", in_use)
        .raw("sources", pretty ? json_array(sources) : fmt::format("[{}]", fmt::join(sources, ",")))
        .render(pretty);
}

Result<store::StoredImage> find_named_image(store::Store& store, const std::string& name) {
    auto found = store.find_image(name);
    if (found || found.error().code != ErrorCode::not_found) return found;
    // Registry images are kept under their full name.
    if (auto by_full_name = store.find_image(full_name(name))) return by_full_name;
    return found;
}

}  // namespace vmette::cli
