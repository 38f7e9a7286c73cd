#pragma once
/// Short ways to load a manifest in a test: no environment, no home, no look at the host unless asked for.

#include <string>
#include <vector>

#include "manifest/load.h"

namespace vmette::manifest::testing {

inline LoadRequest request_of(std::string text, std::vector<std::string> set = {}) {
    LoadRequest request;
    request.sources.push_back({.name = "agent.toml", .folder = "/proj", .text = std::move(text)});
    request.set = std::move(set);
    request.set_folder = "/cwd";
    request.home = "/home/u";
    request.check_host = false;
    return request;
}

inline constexpr std::string_view kRoot = "rootfs = \"./rootfs\"\n";

/// The sandbox of `kRoot` and this text; what is wrong instead ends up in `error`.
struct Loaded {
    Sandbox sandbox;
    std::string error;
};

inline Loaded load_request(const LoadRequest& request) {
    auto result = load(request);
    if (result) return {*std::move(result), {}};
    return {{}, render(result.error())};
}

inline Loaded load_text(std::string_view text, std::vector<std::string> set = {}) {
    return load_request(request_of(std::string(kRoot) + std::string(text), std::move(set)));
}

/// All that is wrong with `kRoot` and this text, as the user sees it.
inline std::string errors_of(std::string_view text, std::vector<std::string> set = {}) {
    return load_text(text, std::move(set)).error;
}

}  // namespace vmette::manifest::testing
