#pragma once
/// The small documents that a client of registries and daemons must read itself. The only user of the JSON library in
/// the worker.

#include <optional>
#include <string>
#include <string_view>

namespace vmette::rootfs {

/// The bearer token in a token server's answer ("token" or "access_token"); empty when there is none that can be a
/// header's value.
std::string token_in(std::string_view answer);

/// What a registry's error document says, for a message: "MANIFEST_UNKNOWN: manifest unknown". Short and harmless;
/// empty when it says nothing that can be read.
std::string error_in(std::string_view answer);

/// What a container daemon's error document says ("message"). Short and harmless; empty when it says nothing that can
/// be read.
std::string message_in(std::string_view answer);

}  // namespace vmette::rootfs
