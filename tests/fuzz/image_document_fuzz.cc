/// What registries and users say of an image: its name and its documents. What is taken holds what the headers promise,
/// and a name or a config comes back from its own spelling.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string_view>

#include "base/text.h"
#include "rootfs/oci/manifest.h"
#include "rootfs/oci/reference.h"

namespace {

using namespace vmette;
using namespace vmette::rootfs::oci;

void require(bool holds) {
    if (!holds) std::abort();
}

/// Fit for a terminal, and not the whole of what was sent.
void check_message(const Error& error) {
    require(!error.message.empty() && error.message.size() < 3000);
    require(harmless_line(error.message, error.message.size()) == error.message);
}

void check_reference(std::string_view text) {
    auto reference = parse_reference(text);
    if (!reference) return check_message(reference.error());
    auto again = parse_reference(reference->text());
    require(again && *again == *reference && !reference->wanted().empty() && !reference->endpoint().empty());
    require(is_registry_host(reference->registry) && reference->repository.size() < 300);
    require(reference->digest.empty() || is_digest(reference->digest));
}

void check_document(std::string_view text) {
    auto document = parse_document(text, "");
    if (!document) return check_message(document.error());
    if (const auto* index = std::get_if<Index>(&*document)) {
        require(index->manifests.size() <= kMaxManifests);
        for (const Descriptor& one : index->manifests) require(is_digest(one.digest));
        auto chosen = choose_platform(*index, this_platform());
        if (!chosen) check_message(chosen.error());
        return;
    }
    const auto& manifest = std::get<Manifest>(*document);
    require(is_digest(manifest.config.digest) && manifest.config.size <= kMaxDocument);
    require(manifest.layers.size() <= kMaxLayers);
    std::uint64_t sum = 0;
    for (const Descriptor& one : manifest.layers) {
        require(is_digest(one.digest));
        sum += one.size;
        require(sum <= std::numeric_limits<std::int64_t>::max());
    }
}

void check_round_trip(const rootfs::ImageConfig& config) {
    std::string line = encode_image_config(config);
    require(line.find('\n') == line.npos);
    auto again = decode_image_config(line);
    require(again && *again == config);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view text(reinterpret_cast<const char*>(data), size);
    check_reference(text);
    check_document(text);
    if (auto image = parse_config(text)) {
        for (const auto& one : image->diff_ids) require(is_digest(one));
        check_round_trip(image->config);
    } else {
        check_message(image.error());
    }
    if (auto config = decode_image_config(text)) check_round_trip(*config);
    return 0;
}
