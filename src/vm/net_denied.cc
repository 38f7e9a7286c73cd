#include "vm/net_denied.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <tuple>

#include <nlohmann/json.hpp>

namespace vmette::vm {
namespace {

/// {"elem": {"val": {"concat": ["10.0.0.1", "tcp", 80]}, "counter": {"packets": 3, …}}}
DeniedTarget read_target(const nlohmann::json& element) {
    const auto& body = element.at("elem");
    const auto& key = body.at("val").at("concat");
    DeniedTarget target;
    target.host = key.at(0).get<std::string>();
    target.protocol = key.at(1).get<std::string>();
    target.port = key.at(2).get<std::uint16_t>();
    target.packets = body.at("counter").at("packets").get<std::uint64_t>();
    return target;
}

}  // namespace

Result<DeniedTraffic> parse_denied(std::string_view nft_json) try {
    DeniedTraffic denied;
    bool counted = false;
    auto document = nlohmann::json::parse(nft_json);
    for (const auto& object : document.at("nftables")) {
        if (object.contains("counter") && object["counter"].at("name") == "denied") {
            denied.packets = object["counter"].at("packets").get<std::uint64_t>();
            counted = true;
        }
        if (!object.contains("set") || object["set"].at("name") != "denied_targets") continue;
        if (!object["set"].contains("elem")) continue;
        for (const auto& element : object["set"]["elem"]) denied.targets.push_back(read_target(element));
    }
    if (!counted) return fail(ErrorCode::vm, "nft reports no counter of refused packets");
    std::ranges::sort(denied.targets, {}, [](const DeniedTarget& t) { return std::tie(t.host, t.port, t.protocol); });
    if (denied.targets.size() > kMaxDeniedTargets) denied.targets.resize(kMaxDeniedTargets);
    return denied;
} catch (const nlohmann::json::exception& e) {
    return fail(ErrorCode::vm, "nft's report of refused packets cannot be read: {}", e.what());
}

Result<DeniedTraffic> NetNamespace::denied() const {
    ProcessSpec spec;
    spec.argv = {"nft", "-j", "list", "table", "inet", "vmette"};
    spec.environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
    struct stat own, theirs;
    // Nobody can enter the user namespace he is in.
    if (::stat("/proc/self/ns/user", &own) != 0 || ::fstat(user_.get(), &theirs) != 0)
        return fail_errno("look at the guest network's namespace");
    if (own.st_ino != theirs.st_ino) spec.join_namespaces.push_back(user_.get());
    spec.join_namespaces.push_back(network_.get());
    VMETTE_TRY(auto listed, run_captured(spec, std::chrono::seconds(1), 256 * kKiB));
    if (!listed.ok())
        return fail(ErrorCode::vm, "nft cannot list the refused traffic: {}", describe_status(listed.status));
    return parse_denied(listed.out);
}

}  // namespace vmette::vm
