/// Feeds bytes to load(): the first line that starts with "--set " and its like become flags, the rest is the manifest.
/// What loads must survive to_toml() and come back equal.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "manifest/load.h"

namespace {

using vmette::manifest::LoadRequest;

LoadRequest request_of(std::string_view input) {
    LoadRequest request;
    constexpr std::string_view kFlag = "--set ";
    while (input.starts_with(kFlag)) {
        std::size_t end = input.find('\n');
        request.set.emplace_back(input.substr(kFlag.size(), end - kFlag.size()));
        input.remove_prefix(end == input.npos ? input.size() : end + 1);
    }
    request.sources.push_back({.name = "fuzz.toml", .folder = "/proj", .text = std::string(input)});
    request.set_folder = "/cwd";
    request.home = "/home/u";
    request.environment = [](const std::string& name) -> std::optional<std::string> {
        if (name == "UNSET") return std::nullopt;
        return name;
    };
    request.forbidden_shares = {"/home/u/.cache/vmette"};
    request.check_host = false;
    return request;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view input(reinterpret_cast<const char*>(data), size);
    auto sandbox = vmette::manifest::load(request_of(input));
    if (!sandbox) {
        if (vmette::manifest::render(sandbox.error()).empty()) std::abort();
        return 0;
    }
    LoadRequest again;
    again.sources.push_back({.name = "plan.toml", .folder = "/", .text = vmette::manifest::to_toml(*sandbox)});
    again.check_host = false;
    auto reread = vmette::manifest::load(again);
    if (!reread || *reread != *sandbox) std::abort();
    return 0;
}
