#include "scheduler/batch_rules.h"

#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "scheduler/json_number.h"

namespace vmette::scheduler {

using nlohmann::json;

std::string to_json(const manifest::BatchRules& rules) {
    const auto& pool = rules.pool;
    return json{{"name", rules.name},
                {"vms", pool.vms},
                {"memory_bytes", pool.memory_bytes},
                {"memory_percent", pool.memory_percent},
                {"vcpus", pool.vcpus},
                {"shared", pool.shared},
                {"fail_fast", rules.fail_fast},
                {"max_failures", rules.max_failures},
                {"deadline_ms", rules.deadline.count()},
                {"results", rules.results.native()}}
        .dump(-1, ' ', false, json::error_handler_t::replace);
}

namespace {

/// Throws json::exception for what is missing or of another kind.
Result<manifest::BatchRules> read_rules(const json& document) {
    manifest::BatchRules rules;
    document.at("name").get_to(rules.name);
    VMETTE_TRY(auto vms, json_number(document, "vms", 1, UINT32_MAX));
    VMETTE_TRY(auto memory, json_number(document, "memory_bytes", 0, INT64_MAX));
    VMETTE_TRY(auto percent, json_number(document, "memory_percent", 0, 100));
    VMETTE_TRY(auto vcpus, json_number(document, "vcpus", 0, UINT32_MAX));
    VMETTE_TRY(auto failures, json_number(document, "max_failures", 0, UINT32_MAX));
    VMETTE_TRY(auto deadline, json_number(document, "deadline_ms", 0, INT64_MAX));
    rules.pool.vms = static_cast<std::uint32_t>(vms);
    rules.pool.memory_bytes = static_cast<std::uint64_t>(memory);
    rules.pool.memory_percent = static_cast<std::uint32_t>(percent);
    rules.pool.vcpus = static_cast<std::uint32_t>(vcpus);
    document.at("shared").get_to(rules.pool.shared);
    document.at("fail_fast").get_to(rules.fail_fast);
    rules.max_failures = static_cast<std::uint32_t>(failures);
    rules.deadline = Duration(deadline);
    rules.results = document.at("results").get<std::string>();
    return rules;
}

}  // namespace

Result<manifest::BatchRules> rules_from_json(std::string_view text) {
    auto damaged = [](std::string_view what) {
        return fail(ErrorCode::bad_input, "the stored rules of the batch are damaged: {}", what);
    };
    try {
        auto rules = read_rules(json::parse(text));
        if (!rules) return damaged(rules.error().message);
        return rules;
    } catch (const json::exception& problem) {
        return damaged(problem.what());
    }
}

HostSize host_size() {
    HostSize host;
    struct sysinfo info{};
    if (::sysinfo(&info) == 0) host.memory_mib = info.totalram * info.mem_unit / kMiB;
    host.processors = static_cast<std::uint32_t>(std::max(::sysconf(_SC_NPROCESSORS_ONLN), 1L));
    host.descriptors = raise_descriptor_limit();
    return host;
}

std::uint32_t machines_with(std::uint64_t descriptors) {
    // Measured: 12 are the process' own; a machine takes 25, with a share and a network 37, and 3 for each more share.
    constexpr std::uint64_t kOwn = 24, kOfMachine = 48;
    auto machines = (std::max(descriptors, kOwn) - kOwn) / kOfMachine;
    return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(machines, 1, UINT32_MAX));
}

Room pool_room(const manifest::Pool& pool, const HostSize& host) {
    Room room = kUnbounded;
    room.vms = std::min(pool.vms, machines_with(host.descriptors));
    if (pool.vcpus != 0) room.vcpus = pool.vcpus;
    room.memory_mib = pool.memory_bytes != 0 ? pool.memory_bytes / kMiB : host.memory_mib * pool.memory_percent / 100;
    return room;
}

Room job_room(const manifest::Sandbox& sandbox) {
    Room room{1, sandbox.limits.vcpus, sandbox.limits.memory / kMiB + kMachineOverheadMib, 0};
    if (!sandbox.rootfs.read_only) room.scratch_mib = sandbox.scratch / kMiB;
    return room;
}

}  // namespace vmette::scheduler
