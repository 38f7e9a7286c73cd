#include "rootfs/oci/manifest.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "rootfs/oci/bounded_json.h"
#include "rootfs/oci/reference.h"

namespace vmette::rootfs::oci {
namespace {

using nlohmann::json;

constexpr std::string_view kOciIndex = "application/vnd.oci.image.index.v1+json";
constexpr std::string_view kOciManifest = "application/vnd.oci.image.manifest.v1+json";
constexpr std::string_view kDockerIndex = "application/vnd.docker.distribution.manifest.list.v2+json";
constexpr std::string_view kDockerManifest = "application/vnd.docker.distribution.manifest.v2+json";
/// Also with "+prettyjws" behind it.
constexpr std::string_view kDockerSchema1 = "application/vnd.docker.distribution.manifest.v1";
constexpr const char* kRefName = "org.opencontainers.image.ref.name";
constexpr const char* kImageName = "io.containerd.image.name";

constexpr std::array<std::string_view, 2> kConfigTypes{"application/vnd.oci.image.config.v1+json",
                                                       "application/vnd.docker.container.image.v1+json"};
constexpr std::array<std::string_view, 6> kLayerTypes{"application/vnd.oci.image.layer.v1.tar",
                                                      "application/vnd.oci.image.layer.v1.tar+gzip",
                                                      "application/vnd.oci.image.layer.v1.tar+zstd",
                                                      "application/vnd.docker.image.rootfs.diff.tar",
                                                      "application/vnd.docker.image.rootfs.diff.tar.gzip",
                                                      "application/vnd.docker.image.rootfs.diff.tar.zstd"};
constexpr std::array<std::string_view, 2> kForeignStarts{"application/vnd.oci.image.layer.nondistributable.v1.tar",
                                                         "application/vnd.docker.image.rootfs.foreign.diff.tar"};

constexpr std::size_t kShown = 80;           // bytes of a stranger's text that a message repeats
constexpr std::size_t kShownPlatforms = 20;  // of an index that has none for us

bool is_index_type(std::string_view type) { return type == kOciIndex || type == kDockerIndex; }
bool is_manifest_type(std::string_view type) { return type == kOciManifest || type == kDockerManifest; }

std::string shown(std::string_view text) { return harmless_line(text, kShown); }

Descriptor read_descriptor(const json& value, const std::string& where, JsonReader& reader) {
    Descriptor out;
    out.media_type = reader.string(value, "mediaType", where);
    out.digest = reader.string(value, "digest", where);
    out.size = reader.size(value, "size", where);
    if (!is_digest(out.digest)) reader.refuse("{}.digest is \"{}\", no SHA-256 digest", where, shown(out.digest));
    return out;
}

Platform read_platform(const json& value, const std::string& where, JsonReader& reader) {
    return {reader.string(value, "os", where), reader.string(value, "architecture", where),
            reader.string(value, "variant", where)};
}

Index read_index(const json& document, JsonReader& reader) {
    Index index;
    const json* list = reader.array(document, "manifests", "");
    if (list == nullptr) return index;
    if (list->size() > kMaxManifests) reader.refuse("lists more than {} manifests", kMaxManifests);
    for (std::size_t i = 0; reader.good() && i < list->size(); ++i) {
        std::string where = fmt::format("manifests[{}]", i);
        const json* entry = reader.element((*list)[i], where);
        if (entry == nullptr) break;
        Descriptor descriptor = read_descriptor(*entry, where, reader);
        if (const json* platform = reader.object(*entry, "platform", where))
            descriptor.platform = read_platform(*platform, where + ".platform", reader);
        if (const json* annotations = reader.object(*entry, "annotations", where)) {
            descriptor.ref_name = reader.string(*annotations, kRefName, where + ".annotations");
            descriptor.image_name = reader.string(*annotations, kImageName, where + ".annotations");
        }
        index.manifests.push_back(std::move(descriptor));
    }
    return index;
}

void check_layer(const json& entry, const Descriptor& layer, const std::string& where, JsonReader& reader) {
    const json* urls = reader.array(entry, "urls", where);
    bool foreign = std::any_of(kForeignStarts.begin(), kForeignStarts.end(),
                               [&](std::string_view start) { return layer.media_type.starts_with(start); });
    if (foreign || (urls != nullptr && !urls->empty()))
        reader.refuse("{} is foreign: to be had from elsewhere, not from this registry, which is not supported", where);
    if (std::find(kLayerTypes.begin(), kLayerTypes.end(), layer.media_type) == kLayerTypes.end())
        reader.refuse("{} has the media type \"{}\", which is no layer's", where, shown(layer.media_type));
}

std::vector<Descriptor> read_layers(const json& document, JsonReader& reader) {
    std::vector<Descriptor> layers;
    const json* list = reader.array(document, "layers", "");
    if (list == nullptr) return layers;
    if (list->size() > kMaxLayers) reader.refuse("has {} layers, more than {}", list->size(), kMaxLayers);
    std::uint64_t left = std::numeric_limits<std::int64_t>::max();
    for (std::size_t i = 0; reader.good() && i < list->size(); ++i) {
        std::string where = fmt::format("layers[{}]", i);
        const json* entry = reader.element((*list)[i], where);
        if (entry == nullptr) break;
        layers.push_back(read_descriptor(*entry, where, reader));
        check_layer(*entry, layers.back(), where, reader);
        // Whoever adds them up shall not have to think of overflow.
        if (layers.back().size > left) reader.refuse("has layers of more than 2^63 bytes in all");
        left -= std::min(left, layers.back().size);
    }
    return layers;
}

Manifest read_manifest(const json& document, JsonReader& reader) {
    Manifest manifest;
    const json* config = reader.object(document, "config", "");
    if (config == nullptr) {
        reader.refuse("is no manifest: it has no config");
        return manifest;
    }
    std::string type = reader.string(*config, "mediaType", "config");
    if (std::find(kConfigTypes.begin(), kConfigTypes.end(), type) == kConfigTypes.end()) {
        std::string artifact = reader.string(document, "artifactType", "");
        reader.refuse("is an artifact (\"{}\"), not an image", shown(artifact.empty() ? type : artifact));
    }
    manifest.config = read_descriptor(*config, "config", reader);
    if (manifest.config.size > kMaxDocument) reader.refuse("has a config of more than {} bytes", kMaxDocument);
    manifest.layers = read_layers(document, reader);
    return manifest;
}

void check_version(const json& document, const std::string& inner, std::string_view outer, JsonReader& reader) {
    auto version = document.find("schemaVersion");
    bool first = version != document.end() && *version == 1;
    if (first || outer.starts_with(kDockerSchema1) || inner.starts_with(kDockerSchema1))
        reader.refuse("is a manifest of Docker's schema 1, which is no longer supported: push the image again");
    if (version == document.end() || *version != 2) reader.refuse("is no manifest: its schemaVersion is not 2");
}

void check_type(std::string_view type, std::string_view whose, bool index, JsonReader& reader) {
    if (index ? is_manifest_type(type) : is_index_type(type))
        reader.refuse("is {}, but {} media type is \"{}\"", index ? "an index" : "a manifest", whose, shown(type));
}

/// Attestations are of the architecture "unknown"; other media types are meant for other programs.
bool may_be_image(const Descriptor& one) {
    bool image = one.media_type.empty() || is_manifest_type(one.media_type) || is_index_type(one.media_type);
    return image && one.platform.architecture != "unknown" && one.platform.os != "unknown";
}

/// 0 is best.
int distance(const Platform& offered, const Platform& wanted) {
    if (offered.variant == wanted.variant) return 0;
    return offered.variant.empty() ? 1 : 2;
}

Failure no_platform(const Index& index, const Platform& wanted) {
    std::vector<std::string> names;
    for (const Descriptor& one : index.manifests) {
        std::string name = one.platform == Platform{} ? "not said" : to_text(one.platform);
        if (may_be_image(one) && std::find(names.begin(), names.end(), name) == names.end() &&
            names.size() <= kShownPlatforms)
            names.push_back(std::move(name));
    }
    if (names.empty()) return fail(ErrorCode::bad_image, "lists no image");
    if (names.size() > kShownPlatforms) names.back() = "…";
    return fail(ErrorCode::bad_image, "has no image for {}, only for {}", to_text(wanted), fmt::join(names, ", "));
}

}  // namespace

Platform this_platform() {
#if defined(__x86_64__)
    return {"linux", "amd64", ""};
#elif defined(__aarch64__)
    return {"linux", "arm64", "v8"};
#else
#error "no name for this architecture"
#endif
}

bool is_for(const Platform& offered, const Platform& wanted) {
    return offered.os == wanted.os && offered.architecture == wanted.architecture;
}

std::string to_text(const Platform& platform) {
    std::string text = platform.os + "/" + platform.architecture;
    if (!platform.variant.empty()) text += "/" + platform.variant;
    return harmless_line(text, 40);
}

std::string accepted_media_types() {
    return fmt::format("{}, {}, {}, {}", kOciIndex, kOciManifest, kDockerIndex, kDockerManifest);
}

Result<std::variant<Index, Manifest>> parse_document(std::string_view text, std::string_view media_type) {
    VMETTE_TRY(json document, parse_json_object(text, {kMaxDocument, kMaxNesting}, ErrorCode::bad_image));
    JsonReader reader(ErrorCode::bad_image);
    std::string inner = reader.string(document, "mediaType", "");
    check_version(document, inner, media_type, reader);
    bool index = document.contains("manifests");
    // Two readers of one document must not find two images in it (CVE-2021-41190).
    if (index && (document.contains("config") || document.contains("layers")))
        reader.refuse("contradicts itself: it is both an index and a manifest");
    if (!index && !document.contains("config") && !document.contains("layers"))
        reader.refuse("is no manifest: it lists neither manifests nor layers");
    check_type(inner, "its own", index, reader);
    check_type(media_type, "the answer's", index, reader);
    std::variant<Index, Manifest> out;
    if (index)
        out = read_index(document, reader);
    else
        out = read_manifest(document, reader);
    VMETTE_CHECK_OK(reader.result());
    return out;
}

Result<Descriptor> choose_platform(const Index& index, const Platform& wanted) {
    const Descriptor* best = nullptr;
    const Descriptor* unsaid = nullptr;
    for (const Descriptor& one : index.manifests) {
        if (!may_be_image(one)) continue;
        if (one.platform == Platform{} && unsaid == nullptr) unsaid = &one;
        if (!is_for(one.platform, wanted)) continue;
        if (best == nullptr || distance(one.platform, wanted) < distance(best->platform, wanted)) best = &one;
    }
    if (best == nullptr) best = unsaid;
    if (best == nullptr) return no_platform(index, wanted);
    return *best;
}

}  // namespace vmette::rootfs::oci
