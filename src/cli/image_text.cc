#include "cli/image_text.h"

#include "base/clock.h"
#include "base/text.h"
#include "cli/json_writer.h"
#include "rootfs/oci/reference.h"

namespace vmette::cli {

std::string short_digest(std::string_view digest) {
    constexpr std::string_view kPrefix = "sha256:";
    constexpr std::size_t kShown = 12;
    if (digest.starts_with(kPrefix)) digest.remove_prefix(kPrefix.size());
    return harmless_line(digest.substr(0, kShown));
}

std::string image_json(const store::StoredImage& image, bool pretty) {
    return JsonObject()
        .text("digest", image.digest)
        .text("source", image.source)
        .text("provider", image.provider)
        .text_or_null("content_digest", image.content_digest)
        .number("bytes", image.bytes)
        .text("created_at", format_rfc3339(image.created_at))
        .text("last_used_at", format_rfc3339(image.last_used_at))
        .number("uses", image.uses)
        .render(pretty);
}

Result<store::StoredImage> find_named_image(store::Store& store, const std::string& name) {
    auto found = store.find_image(name);
    if (found || found.error().code != ErrorCode::not_found) return found;
    // Registry images are kept under their full name.
    auto reference = rootfs::oci::parse_reference(name);
    if (reference)
        if (auto by_full_name = store.find_image(reference->text())) return by_full_name;
    return found;
}

}  // namespace vmette::cli
