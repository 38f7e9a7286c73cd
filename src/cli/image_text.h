#pragma once
/// What the `image` verbs say of an image.

#include <string>
#include <string_view>

#include "base/error.h"
#include "store/store.h"

namespace vmette::cli {

/// "sha256:0123456789ab…" → "0123456789ab".
std::string short_digest(std::string_view digest);

/// The fields that `image ls --json` prints; `pretty`: over several lines.
std::string image_json(const store::StoredImage& image, bool pretty);

/// The image that a person names: a source as they would write it (python:3.12), a digest, or the beginning of one.
Result<store::StoredImage> find_named_image(store::Store& store, const std::string& name);

}  // namespace vmette::cli
