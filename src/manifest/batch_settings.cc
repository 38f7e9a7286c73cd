/// name, [pool], [retry] and [batch].

#include <charconv>

#include "manifest/batch_loading.h"
#include "manifest/host_paths.h"

namespace vmette::manifest {
namespace {

Pool read_pool(const Value& table) {
    Pool pool;
    read(table, "vms", pool.vms);
    if (const Value* memory = get(table, "memory")) {
        bool share = memory->is(Value::Kind::string) && memory->text.ends_with('%');
        pool.memory_bytes = share ? 0 : static_cast<std::uint64_t>(memory->number);
        if (share) pool.memory_percent = static_cast<std::uint32_t>(memory->number);
    }
    read(table, "vcpus", pool.vcpus);
    read(table, "shared", pool.shared);
    return pool;
}

RetryOn read_reason(std::string_view text) {
    constexpr std::string_view kExit = "exit:";
    RetryOn on;
    if (!text.starts_with(kExit)) {
        on.reason = text;
        return on;
    }
    text.remove_prefix(kExit.size());
    int code = 0;
    std::from_chars(text.data(), text.data() + text.size(), code);
    on.exit_code = code;
    return on;
}

}  // namespace

BatchRules read_batch_rules(const Value& root, BatchLoading& l) {
    Loading loading = l.loading(l.report);
    BatchRules rules;
    rules.name = read_name(root, loading);
    if (const Value* pool = get(root, "pool")) rules.pool = read_pool(*pool);
    const Value* batch = get(root, "batch");
    if (batch == nullptr) return rules;
    read(*batch, "fail_fast", rules.fail_fast);
    read(*batch, "max_failures", rules.max_failures);
    read(*batch, "deadline", rules.deadline);
    if (const Value* results = get(*batch, "results"))
        if (auto path = host_path(results->text, results->place, loading)) rules.results = path->full;
    return rules;
}

std::uint32_t read_max_jobs(const Value& root) {
    std::uint32_t max_jobs = kDefaultMaxJobs;
    if (const Value* batch = get(root, "batch")) read(*batch, "max_jobs", max_jobs);
    return max_jobs;
}

Retry read_retry(const Value* table) {
    Retry retry;
    if (table == nullptr || table->bad) return retry;
    read(*table, "max", retry.max);
    read(*table, "backoff", retry.backoff);
    const Value* on = get(*table, "on");
    if (on != nullptr)
        for (const Value& reason : on->items) retry.on.push_back(read_reason(reason.text));
    // What the machine did wrong is no fault of the command, which has perhaps not even begun.
    if (on == nullptr && retry.max > 0) retry.on.push_back(read_reason("vm-error"));
    return retry;
}

}  // namespace vmette::manifest
