/// What registries and users say of an image: its name and its documents. What is taken holds what the headers promise,
/// and a name or a config comes back from its own spelling.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string_view>

#include "base/text.h"
#include "rootfs/oci/choose_image.h"
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

void check_round_trip(const Description& description) {
    std::string line = encode_description(description);
    require(line.find('\n') == line.npos);
    auto again = decode_description(line);
    require(again && *again == description);
    auto config = decode_image_config(line);
    require(config && *config == description.config);
}

void check_choices(std::string_view text) {
    // The first line is what is asked for, the rest an index or an archive's list of images.
    std::size_t end = std::min(text.find('\n'), text.size());
    WantedImage wanted{std::string(text.substr(0, end)), {}};
    if (auto reference = parse_reference(wanted.tag); reference && wanted.tag.find('/') != wanted.tag.npos)
        wanted = {{}, *reference};
    text.remove_prefix(std::min(end + 1, text.size()));
    if (auto saved = parse_saved_images(text)) {
        auto chosen = choose_saved(*saved, wanted);
        if (!chosen) check_message(chosen.error());
        require(!chosen || (!chosen->empty() && chosen->size() <= saved->size()));
    } else {
        check_message(saved.error());
    }
    auto document = parse_document(text, "");
    const auto* index = document ? std::get_if<Index>(&*document) : nullptr;
    if (index == nullptr) return;
    auto chosen = choose_manifests(*index, wanted);
    if (!chosen) check_message(chosen.error());
    require(!chosen || (!chosen->manifests.empty() && chosen->manifests.size() <= index->manifests.size()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view text(reinterpret_cast<const char*>(data), size);
    check_reference(text);
    check_document(text);
    if (auto image = parse_config(text)) {
        for (const auto& one : image->diff_ids) require(is_digest(one));
        check_round_trip(describe({}, *image));
    } else {
        check_message(image.error());
    }
    if (auto description = decode_description(text)) check_round_trip(*description);
    check_choices(text);
    return 0;
}
