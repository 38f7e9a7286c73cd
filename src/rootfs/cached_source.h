#pragma once
/// What the providers that keep images in the cache have in common: is the image there already, is the source
/// unchanged, may it be fetched, and only one builder at a time.

#include <functional>
#include <string>
#include <string_view>

#include "base/digest.h"
#include "rootfs/image_cache.h"
#include "rootfs/provider.h"
#include "rootfs/source.h"

namespace vmette::rootfs {

/// What an image is to be made from.
struct Input {
    Fd fd;             ///< open for reading, at its start
    std::string name;  ///< for messages
};

struct Built {
    StagedImage image;
    std::string content;  ///< SHA-256 of the whole input, 64 digits
};

/// Makes an image of the input, reading it once. Errors name the input.
using Builder = std::function<Result<Built>(const Input&, const Context&)>;

/// The image of `source`: from the cache, or built.
Result<Resolved> resolve_cached(const UrlSource& source, std::string_view provider, const Context& context,
                                const Builder& build);

}  // namespace vmette::rootfs
