#include "scheduler/stored_job.h"

#include "manifest/load.h"

namespace vmette::scheduler {

Result<manifest::Sandbox> stored_sandbox(store::Batches& batches, std::string_view batch_id, std::uint32_t job) {
    VMETTE_TRY(std::string text, batches.job_manifest(batch_id, job));
    manifest::LoadRequest request;
    request.sources.push_back({.name = "the stored manifest", .folder = "/", .text = std::move(text)});
    request.environment = [](const std::string&) { return std::nullopt; };
    request.check_host = false;
    auto sandbox = manifest::load(request);
    if (sandbox) return *std::move(sandbox);
    return fail(ErrorCode::internal, "the stored manifest cannot be read: {}", sandbox.error().front().message);
}

}  // namespace vmette::scheduler
