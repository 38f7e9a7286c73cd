#pragma once
/// Which of several images in one layout or archive is meant. Pure functions; what they read comes from strangers.
/// Errors are predicates for a message ("holds several images, of which one must be named: …").

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "rootfs/oci/manifest.h"
#include "rootfs/oci/reference.h"

namespace vmette::rootfs::oci {

/// How an image was asked for; both empty: not at all, for there is only one.
struct WantedImage {
    std::string tag;                 ///< what the index calls it, a tag alone, or a digest
    std::optional<Reference> image;  ///< its whole name
};

/// Those of a layout's images that are meant: by the name in the index, else by the digest of its manifest, else by a
/// name that means the same ("python" and "docker.io/library/python:latest"), else by its tag alone. They differ by
/// platform at most. `not_found` and `bad_input` list those that are there.
Result<Index> choose_manifests(const Index& index, const WantedImage& wanted);

/// One image of an archive's manifest.json. Source of the format: Docker's image specification 1.2.
struct SavedImage {
    std::string config;              ///< the member that is its config
    std::vector<std::string> names;  ///< "acme/app:1"
    std::vector<std::string> layers;
    bool operator==(const SavedImage&) const = default;
};
Result<std::vector<SavedImage>> parse_saved_images(std::string_view text);

/// Those of them that are meant, each config once: by name, by tag alone, or by the digest that the config's name says.
/// At least one; several may be for different platforms. `not_found` lists those that are there.
Result<std::vector<SavedImage>> choose_saved(const std::vector<SavedImage>& all, const WantedImage& wanted);

/// Their names, for a message; that of one without a name is its digest. Short and harmless.
std::string names_of(const std::vector<SavedImage>& images);

}  // namespace vmette::rootfs::oci
