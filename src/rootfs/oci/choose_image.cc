#include "rootfs/oci/choose_image.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <iterator>
#include <map>
#include <set>

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "rootfs/oci/bounded_json.h"

namespace vmette::rootfs::oci {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxShown = 400;

/// Each once, in their order.
std::string listed(const std::vector<std::string>& names) {
    std::vector<std::string_view> once;
    for (const std::string& name : names)
        if (std::find(once.begin(), once.end(), name) == once.end()) once.push_back(name);
    return harmless_line(fmt::format("{}", fmt::join(once, ", ")), kMaxShown);
}

std::string shown(const WantedImage& wanted) {
    return harmless_line(wanted.image ? wanted.image->text() : wanted.tag, 200);
}

Failure none_of_that_name(const WantedImage& wanted, const std::string& names) {
    if (names.empty()) return fail(ErrorCode::not_found, "holds no image at all");
    return fail(ErrorCode::not_found, "holds no image \"{}\" (there are: {})", shown(wanted), names);
}

const std::string& name_of(const Descriptor& one) { return one.image_name.empty() ? one.ref_name : one.image_name; }

std::string names_of(const Index& index) {
    std::map<std::string_view, std::set<std::string_view>> called;
    for (const Descriptor& one : index.manifests) called[name_of(one)].insert(one.digest);
    std::vector<std::string> names;
    for (const Descriptor& one : index.manifests) {
        const std::string& name = name_of(one);
        if (name.empty())
            names.push_back(one.digest);
        else
            names.push_back(called[name].size() > 1 ? fmt::format("{} = {}", name, one.digest) : name);
    }
    return listed(names);
}

bool means(const std::string& name, const Reference& wanted) {
    auto reference = name.empty() ? Result<Reference>(fail(ErrorCode::bad_input, "")) : parse_reference(name);
    return reference && *reference == wanted;
}

using Is = std::function<bool(const Descriptor&)>;

/// The ways to mean an image, the strictest first.
std::vector<Is> ways(const WantedImage& wanted) {
    std::vector<Is> out;
    const std::string& tag = wanted.tag;
    auto image = wanted.image;
    if (!image) {
        out.emplace_back([&](const Descriptor& one) { return one.image_name == tag || one.ref_name == tag; });
        out.emplace_back([&](const Descriptor& one) { return one.digest == tag; });
        // The name of an oci-archive may be one of a registry.
        if (auto reference = parse_reference(tag)) image = *reference;
    }
    if (image)
        out.emplace_back([image](const Descriptor& one) {
            return means(one.image_name, *image) || (one.image_name.empty() && means(one.ref_name, *image));
        });
    if (!wanted.image) out.emplace_back([&](const Descriptor& one) { return one.ref_name.ends_with(":" + tag); });
    return out;
}

/// Whether they are one image, perhaps for several platforms. Attestations are of the platform "unknown".
bool are_one(const Index& index) {
    std::set<std::string_view> names, digests;
    std::map<std::string, std::string_view> platforms;
    bool one_each = true;
    for (const Descriptor& one : index.manifests) {
        if (one.platform.architecture == "unknown") continue;
        names.insert(name_of(one));
        digests.insert(one.digest);
        auto [at, is_new] = platforms.emplace(
            fmt::format("{}/{}/{}", one.platform.os, one.platform.architecture, one.platform.variant), one.digest);
        one_each = one_each && at->second == one.digest;
    }
    return one_each && (names.size() < 2 || digests.size() < 2);
}

/// The member's name is "HEX.json", or "blobs/sha256/HEX": the digest of the config.
std::string digest_in(const SavedImage& saved) {
    std::string digest = "sha256:" + std::filesystem::path(saved.config).stem().string();
    return is_digest(digest) ? digest : "";
}

bool is_meant(const SavedImage& saved, const WantedImage& wanted) {
    if (!wanted.image && (wanted.tag.empty() || wanted.tag == digest_in(saved))) return true;
    return std::any_of(saved.names.begin(), saved.names.end(), [&](const std::string& name) {
        auto reference = parse_reference(name);
        if (!reference) return !wanted.image && name == wanted.tag;
        return wanted.image ? *reference == *wanted.image : reference->tag == wanted.tag;
    });
}

}  // namespace

Result<Index> choose_manifests(const Index& index, const WantedImage& wanted) {
    Index chosen;
    if (wanted.tag.empty() && !wanted.image) {
        chosen = index;
    } else {
        for (const Is& is : ways(wanted)) {
            std::copy_if(index.manifests.begin(), index.manifests.end(), std::back_inserter(chosen.manifests), is);
            if (!chosen.manifests.empty()) break;
        }
    }
    if (chosen.manifests.empty()) return none_of_that_name(wanted, names_of(index));
    if (!are_one(chosen))
        return fail(ErrorCode::bad_input, "holds several images, of which one must be named: {}", names_of(chosen));
    return chosen;
}

Result<std::vector<SavedImage>> parse_saved_images(std::string_view text) {
    // The reader wants an object; this is an array.
    VMETTE_TRY(json document, parse_json_object(fmt::format("{{\"images\":{}}}", text),
                                                {kMaxDocument + 16, kMaxNesting}, ErrorCode::bad_image));
    JsonReader reader(ErrorCode::bad_image);
    std::vector<SavedImage> out;
    if (const json* images = reader.array(document, "images", ""))
        for (const json& value : *images)
            if (const json* one = reader.element(value, "an image"))
                out.push_back({reader.string(*one, "Config", "an image"), reader.strings(*one, "RepoTags", "an image"),
                               reader.strings(*one, "Layers", "an image")});
    VMETTE_CHECK_OK(reader.result());
    if (out.size() > kMaxManifests) return fail(ErrorCode::bad_image, "lists more than {} images", kMaxManifests);
    for (const SavedImage& one : out)
        if (one.layers.size() > kMaxLayers)
            return fail(ErrorCode::bad_image, "has an image of more than {} layers", kMaxLayers);
    return out;
}

Result<std::vector<SavedImage>> choose_saved(const std::vector<SavedImage>& all, const WantedImage& wanted) {
    std::vector<SavedImage> chosen;
    for (const SavedImage& one : all) {
        bool known = std::any_of(chosen.begin(), chosen.end(), [&](const SavedImage& other) {
            return other.config == one.config && other.layers == one.layers;
        });
        if (!known && is_meant(one, wanted)) chosen.push_back(one);
    }
    if (chosen.empty()) return none_of_that_name(wanted, names_of(all));
    return chosen;
}

std::string names_of(const std::vector<SavedImage>& images) {
    std::vector<std::string> names;
    for (const SavedImage& one : images) {
        names.insert(names.end(), one.names.begin(), one.names.end());
        if (one.names.empty()) names.push_back(digest_in(one).empty() ? one.config : digest_in(one));
    }
    return listed(names);
}

}  // namespace vmette::rootfs::oci
