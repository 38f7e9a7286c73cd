#pragma once
/// What the `image` verbs say of an image.

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "store/store.h"

namespace vmette::cli {

/// One image, once for each of its sources, newest first; never empty.
using ImageSources = std::vector<store::StoredImage>;
/// What Store::list_image_sources() returns, image by image.
std::vector<ImageSources> by_image(std::vector<store::StoredImage> all);

/// "sha256:0123456789ab…" → "0123456789ab".
std::string short_digest(std::string_view digest);

/// "docker-archive:x.tar" → "docker-archive:/here/x.tar"; a source without a path of this machine is as it is.
std::string with_absolute_path(const std::string& source);

/// "python:3.12" → "docker.io/library/python:3.12", as images are kept in the cache; paths become absolute.
std::string full_name(const std::string& source);

/// "sha256:…" that the source's registry knows what it named by: NAME@sha256:… is the same for ever. Empty: the image
/// is of no registry.
std::string registry_digest(const store::StoredImage& image);

/// How a manifest names exactly what this source named: by its digest. Empty: it cannot be said.
std::string pinned_source(const store::StoredImage& image);

/// One of an image's sources, on one line.
std::string image_source_json(const store::StoredImage& image);

/// The fields that `image ls --json` prints (docs/images.md); `in_use`: a run holds it now; `pretty`: over several
/// lines.
std::string image_json(const ImageSources& image, bool in_use, bool pretty);

/// The image that a person names: a source as they would write it (python:3.12), a digest, or the beginning of one.
Result<store::StoredImage> find_named_image(store::Store& store, const std::string& name);

}  // namespace vmette::cli
