#pragma once
/// The documents of an image: index, manifest, config. They come from strangers: pure functions over bounded texts.
/// Sources: the OCI image specification 1.1, and Docker's image manifest version 2, schema 2.

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "rootfs/provider.h"

namespace vmette::rootfs::oci {

/// A registry's document is refused when it is larger (the bound that registries themselves recommend), nested deeper
/// than kMaxNesting, or lists more than kMaxLayers layers or kMaxManifests platforms.
constexpr std::size_t kMaxDocument = 4U << 20;
constexpr int kMaxNesting = 32;
constexpr std::size_t kMaxLayers = 512;
constexpr std::size_t kMaxManifests = 1024;

struct Platform {
    std::string os;            ///< "linux"
    std::string architecture;  ///< "amd64", "arm64"
    std::string variant;       ///< "v8"; often empty
    bool operator==(const Platform&) const = default;
};
/// That of this machine, in the words of registries.
Platform this_platform();

struct Descriptor {
    std::string media_type;
    std::string digest;  ///< "sha256:" and 64 lower-case digits: checked
    std::uint64_t size = 0;
    Platform platform;  ///< of a manifest in an index; empty: not said
    /// "org.opencontainers.image.ref.name" of an OCI layout's index; empty: none.
    std::string ref_name;
    /// "io.containerd.image.name" there, as `docker save` writes it: the whole name; empty: none.
    std::string image_name;
    bool operator==(const Descriptor&) const = default;
};

struct Index {
    std::vector<Descriptor> manifests;
};
struct Manifest {
    Descriptor config;
    std::vector<Descriptor> layers;  ///< lowest first
};

/// What goes into Accept of a request for a manifest: all that parse_document() reads.
std::string accepted_media_types();

/// An index (or Docker's manifest list) or a manifest, told apart by what it holds; a media type inside it or
/// `media_type` (the answer's Content-Type without parameters; may be empty) must not contradict. Docker's schema 1, an
/// artifact that is no image and foreign layers (with "urls") are refused by name. Errors: `bad_image`, a predicate
/// ("is no manifest: …") without the document's own text but for short, harmless pieces. The layers' sizes add up to
/// less than 2^63, the config's is at most kMaxDocument. Of a JSON key that stands twice, the last one counts.
Result<std::variant<Index, Manifest>> parse_document(std::string_view text, std::string_view media_type);

/// The manifest for `wanted`: same os and architecture, same variant preferred, then none, then the first. Attestations
/// (architecture "unknown") and media types that are no image's never count. When none says that it is for `wanted`,
/// the first that does not say what it is for: its config will. What is chosen may be an index again (media_type).
/// `bad_image` names the platforms that are there.
Result<Descriptor> choose_platform(const Index& index, const Platform& wanted);

/// Whether an image that is for `offered` runs on `wanted`: the same os and architecture.
bool is_for(const Platform& offered, const Platform& wanted);
/// "linux/arm64/v8", short and harmless.
std::string to_text(const Platform& platform);

/// An image's config document.
struct ImageDocument {
    ImageConfig config;
    std::vector<std::string> diff_ids;  ///< "sha256:…" of each layer unpacked, lowest first
    Platform platform;
    std::string created;  ///< RFC 3339, as it was written; empty: not said
};
/// Errors: `bad_image`, as above. "Env" entries without "=" are left out; a wrong type anywhere is an error.
Result<ImageDocument> parse_config(std::string_view text);

/// What is remembered of an image once its documents are gone.
struct Description {
    struct Layer {
        std::string digest;   ///< as it came; empty: known by its diff_id alone
        std::string diff_id;  ///< unpacked
        std::uint64_t bytes = 0;
        bool operator==(const Layer&) const = default;
    };
    ImageConfig config;
    Platform platform;
    std::string created;        ///< as ImageDocument::created
    std::vector<Layer> layers;  ///< lowest first
    bool operator==(const Description&) const = default;
};
/// Of documents that fit together: as many layers as diff_ids.
Description describe(const Manifest& manifest, const ImageDocument& image);

/// As one line of JSON, for the image index, and back: all of it, or only the config. What an older vmette did not
/// write is empty. `bad_image` when it is none.
std::string encode_description(const Description& description);
Result<Description> decode_description(std::string_view text);
Result<ImageConfig> decode_image_config(std::string_view text);

}  // namespace vmette::rootfs::oci
