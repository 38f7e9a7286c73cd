#include "scheduler/batch_rules.h"

#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>

#include <nlohmann/json.hpp>

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

Result<manifest::BatchRules> rules_from_json(std::string_view text) {
    try {
        auto document = json::parse(text);
        manifest::BatchRules rules;
        document.at("name").get_to(rules.name);
        document.at("vms").get_to(rules.pool.vms);
        document.at("memory_bytes").get_to(rules.pool.memory_bytes);
        document.at("memory_percent").get_to(rules.pool.memory_percent);
        document.at("vcpus").get_to(rules.pool.vcpus);
        document.at("shared").get_to(rules.pool.shared);
        document.at("fail_fast").get_to(rules.fail_fast);
        document.at("max_failures").get_to(rules.max_failures);
        rules.deadline = Duration(document.at("deadline_ms").get<std::int64_t>());
        rules.results = document.at("results").get<std::string>();
        return rules;
    } catch (const json::exception& problem) {
        return fail(ErrorCode::bad_input, "the stored rules of the batch are damaged: {}", problem.what());
    }
}

HostSize host_size() {
    HostSize host;
    struct sysinfo info{};
    if (::sysinfo(&info) == 0) host.memory_mib = info.totalram * info.mem_unit / kMiB;
    host.processors = static_cast<std::uint32_t>(std::max(::sysconf(_SC_NPROCESSORS_ONLN), 1L));
    return host;
}

Room pool_room(const manifest::Pool& pool, const HostSize& host) {
    Room room = kUnbounded;
    room.vms = pool.vms;
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
