#pragma once
/// Numbers of stored JSON: what a damaged row holds must not become another number silently.

#include <cstdint>
#include <string>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace vmette::scheduler {

/// The whole number under `key`, of `least` to `most`. Throws nlohmann::json::exception when there is none.
inline Result<std::int64_t> json_number(const nlohmann::json& object, const std::string& key, std::int64_t least,
                                        std::int64_t most) {
    const auto& value = object.at(key);
    if (value.is_number_integer() && !(value.is_number_unsigned() && value.get<std::uint64_t>() > INT64_MAX))
        if (auto number = value.get<std::int64_t>(); number >= least && number <= most) return number;
    return fail(ErrorCode::bad_input, "{} makes no sense", key);
}

}  // namespace vmette::scheduler
