#include "rootfs/oci/local_image.h"

#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/text.h"
#include "rootfs/oci/blob_store.h"
#include "rootfs/oci/bounded_json.h"

namespace vmette::rootfs::oci {
namespace {

using nlohmann::json;

/// An index in an index in an index is nobody's.
constexpr int kMaxIndexes = 3;
constexpr std::size_t kMaxShown = 400;

std::string digest_of(std::string_view text) { return "sha256:" + sha256_hex(std::string(text)); }

/// Puts what it is about in front of a predicate.
template <typename T>
Result<T> about(const std::string& what, Result<T> result) {
    if (result || result.error().code != ErrorCode::bad_image) return result;
    return fail(ErrorCode::bad_image, "{} {}", what, result.error().message);
}

/// Reads a document and checks its digest.
Result<std::string> read_blob(BlobStore& store, const Descriptor& blob) {
    VMETTE_TRY(std::string text,
               store.read("blobs/sha256/" + blob.digest.substr(blob.digest.find(':') + 1), kMaxDocument));
    if (std::string found = digest_of(text); found != blob.digest)
        return fail(ErrorCode::bad_image, "{}: the blob {} has the digest {}", store.name(), blob.digest, found);
    return text;
}

LayerInput layer_of(const Member& member, Descriptor descriptor, const std::string& diff_id) {
    LayerInput layer{.fd = member.fd, .descriptor = std::move(descriptor), .diff_id = diff_id, .offset = {}};
    if (!member.whole_file) layer.offset = member.offset;
    return layer;
}

Result<> check_count(const BlobStore& store, std::size_t layers, std::size_t diff_ids) {
    if (layers == diff_ids) return {};
    return fail(ErrorCode::bad_image, "{}: the image has {} layers, but its config names {}", store.name(), layers,
                diff_ids);
}

/// Those of a layout's images that are called `tag`; all of them when no tag was asked for and there is one.
Result<Index> select(const BlobStore& store, Index index, const std::string& tag) {
    std::string names;
    Index chosen;
    for (const Descriptor& one : index.manifests) {
        if (!tag.empty() && one.ref_name == tag) chosen.manifests.push_back(one);
        if (!one.ref_name.empty()) names += (names.empty() ? "" : ", ") + one.ref_name;
    }
    if (tag.empty()) {
        std::string first = index.manifests.empty() ? "" : index.manifests[0].ref_name;
        for (const Descriptor& one : index.manifests)
            if (one.ref_name != first)
                return fail(ErrorCode::bad_input, "{} holds several images, of which one must be named: {}",
                            store.name(), harmless_line(names, kMaxShown));
        return index;
    }
    if (chosen.manifests.empty())
        return fail(ErrorCode::not_found, "{} holds no image \"{}\" (there are: {})", store.name(),
                    harmless_line(tag, 120), names.empty() ? "none with a name" : harmless_line(names, kMaxShown));
    return chosen;
}

Result<LocalImage> open_layout(BlobStore store, const std::string& tag, const Platform& platform) {
    VMETTE_CHECK_OK(store.read("oci-layout", kMaxDocument));
    VMETTE_TRY(std::string text, store.read("index.json", kMaxDocument));
    std::string what = store.name() + ": index.json";
    VMETTE_TRY(auto document, about(what, parse_document(text, "")));
    auto* top = std::get_if<Index>(&document);
    if (top == nullptr) return fail(ErrorCode::bad_image, "{} is no index", what);
    VMETTE_TRY(Index index, select(store, std::move(*top), tag));
    LocalImage image;
    for (int depth = 0;; ++depth) {
        if (depth == kMaxIndexes)
            return fail(ErrorCode::bad_image, "{} holds more than {} indexes in one another", store.name(),
                        kMaxIndexes);
        VMETTE_TRY(Descriptor chosen, about(what, choose_platform(index, platform)));
        VMETTE_TRY(text, read_blob(store, chosen));
        if (image.documents.top_digest.empty()) image.documents.top_digest = chosen.digest;
        what = store.name() + ": the blob " + chosen.digest;
        VMETTE_TRY(document, about(what, parse_document(text, chosen.media_type)));
        if (auto* manifest = std::get_if<Manifest>(&document)) {
            image.documents.manifest_digest = chosen.digest;
            image.documents.manifest = std::move(*manifest);
            break;
        }
        index = std::get<Index>(std::move(document));
    }
    VMETTE_TRY(text, read_blob(store, image.documents.manifest.config));
    VMETTE_TRY(image.documents.image, about(store.name() + ": its config", parse_config(text)));
    const auto& layers = image.documents.manifest.layers;
    const auto& diff_ids = image.documents.image.diff_ids;
    VMETTE_CHECK_OK(check_count(store, layers.size(), diff_ids.size()));
    for (std::size_t i = 0; i < layers.size(); ++i) {
        VMETTE_TRY(auto member, store.find("blobs/sha256/" + layers[i].digest.substr(layers[i].digest.find(':') + 1)));
        if (!member) return fail(ErrorCode::bad_image, "{} lacks the layer {}", store.name(), layers[i].digest);
        if (member->size != layers[i].size)
            return fail(ErrorCode::bad_image, "{}: the layer {} has {} bytes instead of {}", store.name(),
                        layers[i].digest, member->size, layers[i].size);
        image.layers.push_back(layer_of(*member, layers[i], diff_ids[i]));
    }
    image.files = std::move(store).take_files();
    return image;
}

/// One image of an archive's manifest.json. Source of the format: Docker's image specification 1.2.
struct Saved {
    std::string config;
    std::vector<std::string> names;
    std::vector<std::string> layers;
};

Result<std::vector<Saved>> parse_saved(const std::string& text) {
    // The reader wants an object; this is an array.
    VMETTE_TRY(json document,
               parse_json_object("{\"images\":" + text + "}", {kMaxDocument + 16, kMaxNesting}, ErrorCode::bad_image));
    JsonReader reader(ErrorCode::bad_image);
    std::vector<Saved> out;
    if (const json* images = reader.array(document, "images", ""))
        for (const json& value : *images)
            if (const json* one = reader.element(value, "an image"))
                out.push_back({reader.string(*one, "Config", "an image"), reader.strings(*one, "RepoTags", "an image"),
                               reader.strings(*one, "Layers", "an image")});
    VMETTE_CHECK_OK(reader.result());
    return out;
}

bool is_called(const Saved& saved, const LocalSource& source) {
    for (const std::string& name : saved.names) {
        auto reference = parse_reference(name);
        if (!reference) continue;
        if (source.image ? *reference == *source.image : reference->tag == source.tag) return true;
    }
    return false;
}

Result<Saved> choose_saved(const BlobStore& store, std::vector<Saved> all, const LocalSource& source) {
    bool named = source.image.has_value() || !source.tag.empty();
    std::string names;
    std::vector<Saved> chosen;
    for (Saved& one : all) {
        for (const auto& name : one.names) names += (names.empty() ? "" : ", ") + name;
        if (!named || is_called(one, source)) chosen.push_back(std::move(one));
    }
    names = names.empty() ? "none with a name" : harmless_line(names, kMaxShown);
    if (chosen.empty())
        return fail(ErrorCode::not_found, "{} holds no image of that name (there are: {})", store.name(), names);
    if (chosen.size() > 1)
        return fail(ErrorCode::bad_input, "{} holds several images, of which one must be named: {}", store.name(),
                    names);
    return std::move(chosen[0]);
}

Result<LocalImage> open_saved(BlobStore store, const LocalSource& source, const Platform& platform) {
    VMETTE_TRY(auto listed, store.find("manifest.json"));
    if (!listed) {
        VMETTE_TRY(auto index, store.find("index.json"));
        if (!index)
            return fail(ErrorCode::bad_image, "{} is no archive of an image: it has no manifest.json", store.name());
        std::string tag = source.image ? source.image->text() : source.tag;
        return open_layout(std::move(store), tag, platform);
    }
    VMETTE_TRY(std::string text, store.read("manifest.json", kMaxDocument));
    VMETTE_TRY(auto all, about(store.name() + ": manifest.json", parse_saved(text)));
    VMETTE_TRY(Saved saved, choose_saved(store, std::move(all), source));
    if (saved.layers.size() > kMaxLayers)
        return fail(ErrorCode::bad_image, "{} has more than {} layers", store.name(), kMaxLayers);
    VMETTE_TRY(text, store.read(saved.config, kMaxDocument));
    LocalImage image;
    VMETTE_TRY(image.documents.image, about(store.name() + ": its config", parse_config(text)));
    image.documents.top_digest = image.documents.manifest_digest = digest_of(text);
    image.documents.manifest.config = {.media_type = {}, .digest = digest_of(text), .size = text.size()};
    const auto& diff_ids = image.documents.image.diff_ids;
    VMETTE_CHECK_OK(check_count(store, saved.layers.size(), diff_ids.size()));
    for (std::size_t i = 0; i < diff_ids.size(); ++i) {
        VMETTE_TRY(auto member, store.find(saved.layers[i]));
        if (!member)
            return fail(ErrorCode::bad_image, "{} lacks the layer {}", store.name(),
                        harmless_line(saved.layers[i], 120));
        Descriptor descriptor{.media_type = {}, .digest = {}, .size = member->size};
        image.documents.manifest.layers.push_back(descriptor);
        image.layers.push_back(layer_of(*member, descriptor, diff_ids[i]));
    }
    image.files = std::move(store).take_files();
    return image;
}

}  // namespace

Result<LocalImage> open_local_image(const LocalSource& source, const Platform& platform, const Context& context) {
    if (source.kind == LocalKind::docker_daemon)
        return fail(ErrorCode::unsupported, "an image of the Docker daemon must be saved before it can be opened");
    if (source.kind == LocalKind::oci_layout) {
        VMETTE_TRY(BlobStore store, BlobStore::open_folder(source.path));
        return open_layout(std::move(store), source.tag, platform);
    }
    VMETTE_TRY(BlobStore store, BlobStore::open_archive(source.path, context));
    return open_saved(std::move(store), source, platform);
}

}  // namespace vmette::rootfs::oci
