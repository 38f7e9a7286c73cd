#include "rootfs/oci/layout_builder.h"

#include <fmt/format.h>

#include <fstream>

#include "base/digest.h"

namespace vmette::rootfs::oci {
namespace {

#if defined(__aarch64__)
constexpr const char* kArchitecture = "arm64";
#else
constexpr const char* kArchitecture = "amd64";
#endif

void write_file(const std::filesystem::path& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
}

std::string json(const Descriptor& it) {
    return fmt::format(R"({{"mediaType":"{}","digest":"{}","size":{}}})", it.media_type, it.digest, it.size);
}

}  // namespace

LayoutBuilder::LayoutBuilder(std::filesystem::path root) : root_(std::move(root)) {
    std::filesystem::create_directories(root_ / "blobs/sha256");
    write_file(root_ / "oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
}

std::filesystem::path LayoutBuilder::blob_path(const std::string& digest) const {
    return root_ / "blobs/sha256" / digest.substr(digest.find(':') + 1);
}

Descriptor LayoutBuilder::add_blob(const std::string& bytes, const std::string& media_type) const {
    Descriptor it{.media_type = media_type, .digest = "sha256:" + sha256_hex(bytes), .size = bytes.size()};
    write_file(blob_path(it.digest), bytes);
    return it;
}

void LayoutBuilder::add_layer(const std::string& blob, const std::string& tar, const std::string& media_type) {
    layers.push_back(add_blob(blob, media_type));
    diff_ids.push_back("sha256:" + sha256_hex(tar));
}

Descriptor LayoutBuilder::finish(const std::string& tag) const {
    std::string ids, blobs;
    for (const auto& id : diff_ids) ids += fmt::format("{}\"{}\"", ids.empty() ? "" : ",", id);
    for (const auto& layer : layers) blobs += (blobs.empty() ? "" : ",") + json(layer);

    Descriptor config =
        add_blob(fmt::format(R"({{"architecture":"{}","os":"{}","config":{{"Env":["PATH=/bin"],"Cmd":["sh"]}},)"
                             R"("rootfs":{{"type":"layers","diff_ids":[{}]}}}})",
                             kArchitecture, "linux", ids),
                 "application/vnd.oci.image.config.v1+json");
    Descriptor manifest = add_blob(
        fmt::format(R"({{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{},)"
                    R"("layers":[{}]}})",
                    json(config), blobs),
        "application/vnd.oci.image.manifest.v1+json");
    write_file(root_ / "index.json",
               fmt::format(R"({{"schemaVersion":2,"manifests":[{{"mediaType":"{}","digest":"{}","size":{},)"
                           R"("annotations":{{"org.opencontainers.image.ref.name":"{}"}}}}]}})",
                           manifest.media_type, manifest.digest, manifest.size, tag));
    return manifest;
}

}  // namespace vmette::rootfs::oci
