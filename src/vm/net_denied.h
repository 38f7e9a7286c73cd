#pragma once
/// Reads what nft reports about refused traffic.

#include <string_view>

#include "base/error.h"
#include "vm/net.h"

namespace vmette::vm {

/// From the output of `nft -j list table inet vmette`, with the names of net_rules.h. Fails with `vm` on anything else.
Result<DeniedTraffic> parse_denied(std::string_view nft_json);

}  // namespace vmette::vm
