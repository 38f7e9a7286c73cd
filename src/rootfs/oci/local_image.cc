#include "rootfs/oci/local_image.h"

#include "base/digest.h"
#include "base/text.h"
#include "rootfs/oci/blob_store.h"
#include "rootfs/oci/choose_image.h"

namespace vmette::rootfs::oci {
namespace {

/// Indexes in one another; those of `docker buildx` and `podman manifest` make two.
constexpr int kMaxIndexes = 8;

std::string digest_of(std::string_view text) { return "sha256:" + sha256_hex(std::string(text)); }
std::string blob_name(const std::string& digest) { return "blobs/sha256/" + digest.substr(digest.find(':') + 1); }

/// Puts what it is about in front of a predicate.
template <typename T>
Result<T> about(const std::string& what, Result<T> result) {
    if (result) return result;
    Error error = result.error();
    error.message = what + " " + error.message;
    return Failure(std::move(error));
}

/// Reads a document and checks its digest.
Result<std::string> read_blob(BlobStore& store, const Descriptor& blob) {
    VMETTE_TRY(auto member, store.find(blob_name(blob.digest)));
    if (!member)
        return fail(ErrorCode::bad_image, "{} lacks the blob {}, which its index or manifest names", store.name(),
                    blob.digest);
    VMETTE_TRY(std::string text, store.read(blob_name(blob.digest), kMaxDocument));
    if (std::string found = digest_of(text); found != blob.digest)
        return fail(ErrorCode::bad_image, "{}: the blob {} has the digest {}", store.name(), blob.digest, found);
    return text;
}

LayerInput layer_of(const Member& member, Descriptor descriptor, const std::string& diff_id) {
    LayerInput layer{.fd = member.fd, .descriptor = std::move(descriptor), .diff_id = diff_id, .offset = {}};
    if (!member.whole_file) layer.offset = member.offset;
    return layer;
}

Result<> check_image(const BlobStore& store, const Documents& documents, std::size_t layers, const Platform& wanted) {
    const ImageDocument& image = documents.image;
    if (!is_for(image.platform, wanted))
        return fail(ErrorCode::bad_image, "{}: it is an image for {}, not for {}", store.name(),
                    to_text(image.platform), to_text(wanted));
    if (layers == image.diff_ids.size()) return {};
    return fail(ErrorCode::bad_image, "{}: the image has {} layers, but its config names {}", store.name(), layers,
                image.diff_ids.size());
}

/// Follows indexes in indexes down to the manifest for this platform.
Result<> read_manifest(BlobStore& store, Index index, std::string what, const Platform& platform, Documents& out) {
    for (int depth = 0; depth < kMaxIndexes; ++depth) {
        VMETTE_TRY(Descriptor chosen, about(what, choose_platform(index, platform)));
        VMETTE_TRY(std::string text, read_blob(store, chosen));
        if (out.top_digest.empty()) out.top_digest = chosen.digest;
        what = store.name() + ": the blob " + chosen.digest;
        VMETTE_TRY(auto document, about(what, parse_document(text, chosen.media_type)));
        if (auto* manifest = std::get_if<Manifest>(&document)) {
            out.manifest_digest = chosen.digest;
            out.manifest = std::move(*manifest);
            return {};
        }
        index = std::get<Index>(std::move(document));
    }
    return fail(ErrorCode::bad_image, "{} holds more than {} indexes in one another", store.name(), kMaxIndexes);
}

Result<LocalImage> open_layout(BlobStore store, const WantedImage& wanted, const Platform& platform) {
    VMETTE_CHECK_OK(store.read("oci-layout", kMaxDocument));
    VMETTE_TRY(std::string text, store.read("index.json", kMaxDocument));
    std::string what = store.name() + ": index.json";
    VMETTE_TRY(auto document, about(what, parse_document(text, "")));
    auto* top = std::get_if<Index>(&document);
    if (top == nullptr) return fail(ErrorCode::bad_image, "{} is no index", what);
    VMETTE_TRY(Index index, about(store.name(), choose_manifests(*top, wanted)));
    LocalImage image;
    VMETTE_CHECK_OK(read_manifest(store, std::move(index), what, platform, image.documents));
    VMETTE_TRY(text, read_blob(store, image.documents.manifest.config));
    VMETTE_TRY(image.documents.image, about(store.name() + ": its config", parse_config(text)));
    const auto& layers = image.documents.manifest.layers;
    VMETTE_CHECK_OK(check_image(store, image.documents, layers.size(), platform));
    for (std::size_t i = 0; i < layers.size(); ++i) {
        VMETTE_TRY(auto member, store.find(blob_name(layers[i].digest)));
        if (!member) return fail(ErrorCode::bad_image, "{} lacks the layer {}", store.name(), layers[i].digest);
        if (member->size != layers[i].size)
            return fail(ErrorCode::bad_image, "{}: the layer {} has {} bytes instead of {}", store.name(),
                        layers[i].digest, member->size, layers[i].size);
        image.layers.push_back(layer_of(*member, layers[i], image.documents.image.diff_ids[i]));
    }
    image.files = std::move(store).take_files();
    return image;
}

/// One name, for so many platforms at most.
constexpr std::size_t kMaxOfOneName = 64;

struct SavedConfig {
    SavedImage saved;
    std::string text;
    ImageDocument image;
};

/// Several images of one name must be for several platforms; the one for `wanted`, else the only one.
Result<SavedConfig> choose_config(BlobStore& store, const std::vector<SavedImage>& images, const Platform& wanted) {
    auto several = [&] {
        return fail(ErrorCode::bad_input, "{} holds several images, of which one must be named: {}", store.name(),
                    names_of(images));
    };
    if (images.size() > kMaxOfOneName) return several();
    std::vector<SavedConfig> fit;
    for (const SavedImage& saved : images) {
        VMETTE_TRY(std::string text, store.read(saved.config, kMaxDocument));
        VMETTE_TRY(ImageDocument image, about(store.name() + ": its config", parse_config(text)));
        if (images.size() == 1 || is_for(image.platform, wanted))
            fit.push_back({saved, std::move(text), std::move(image)});
        if (fit.size() > 1) return several();
    }
    if (fit.empty())
        return fail(ErrorCode::bad_image, "{}: none of {} is an image for {}", store.name(), names_of(images),
                    to_text(wanted));
    return std::move(fit[0]);
}

Result<LocalImage> open_saved(BlobStore store, const WantedImage& wanted, const Platform& platform) {
    VMETTE_TRY(auto listed, store.find("manifest.json"));
    if (!listed) {
        VMETTE_TRY(auto index, store.find("index.json"));
        if (!index)
            return fail(ErrorCode::bad_image, "{} is no archive of an image: it has no manifest.json", store.name());
        return open_layout(std::move(store), wanted, platform);
    }
    VMETTE_TRY(std::string text, store.read("manifest.json", kMaxDocument));
    VMETTE_TRY(auto all, about(store.name() + ": manifest.json", parse_saved_images(text)));
    VMETTE_TRY(auto meant, about(store.name(), choose_saved(all, wanted)));
    VMETTE_TRY(SavedConfig config, choose_config(store, meant, platform));
    LocalImage image;
    image.documents.image = std::move(config.image);
    image.documents.top_digest = image.documents.manifest_digest = digest_of(config.text);
    if (is_digest(wanted.tag) && wanted.tag != image.documents.manifest_digest)
        return fail(ErrorCode::bad_image, "{}: the config of {} has the digest {}", store.name(), wanted.tag,
                    image.documents.manifest_digest);
    image.documents.manifest.config = {
        .media_type = {}, .digest = image.documents.manifest_digest, .size = config.text.size()};
    const auto& names = config.saved.layers;
    VMETTE_CHECK_OK(check_image(store, image.documents, names.size(), platform));
    for (std::size_t i = 0; i < names.size(); ++i) {
        VMETTE_TRY(auto member, store.find(names[i]));
        if (!member)
            return fail(ErrorCode::bad_image, "{} lacks the layer {}", store.name(), harmless_line(names[i], 120));
        Descriptor descriptor{.media_type = {}, .digest = {}, .size = member->size};
        image.documents.manifest.layers.push_back(descriptor);
        image.layers.push_back(layer_of(*member, descriptor, image.documents.image.diff_ids[i]));
    }
    image.files = std::move(store).take_files();
    return image;
}

}  // namespace

Result<LocalImage> open_local_image(const LocalSource& source, const Platform& platform, const Context& context) {
    WantedImage wanted{source.tag, source.image};
    switch (source.kind) {
        case LocalKind::oci_layout: {
            VMETTE_TRY(BlobStore store, BlobStore::open_folder(source.path));
            return open_layout(std::move(store), wanted, platform);
        }
        case LocalKind::oci_archive: {
            VMETTE_TRY(BlobStore store, BlobStore::open_archive(source.path, context));
            return open_layout(std::move(store), wanted, platform);
        }
        case LocalKind::docker_archive: {
            VMETTE_TRY(BlobStore store, BlobStore::open_archive(source.path, context));
            return open_saved(std::move(store), wanted, platform);
        }
        case LocalKind::docker_daemon:
            break;
    }
    return fail(ErrorCode::internal, "the daemon's images are no files");
}

Result<LocalImage> open_saved_image(Fd archive, const std::string& name, const Platform& platform,
                                    const Context& context) {
    VMETTE_TRY(BlobStore store, BlobStore::open_archive(std::move(archive), name, context));
    return open_saved(std::move(store), {}, platform);
}

}  // namespace vmette::rootfs::oci
