#include "cli/batch_manifest.h"

#include <algorithm>

namespace vmette::cli {

bool is_batch(const manifest::LoadRequest& request) {
    return std::ranges::any_of(request.sources, manifest::is_batch_manifest);
}

BatchCheck check_batch(const manifest::LoadRequest& request) {
    BatchCheck check;
    auto made = manifest::load_batch(request, [&](manifest::BatchJob&& job) -> Result<> {
        for (auto& sentence : manifest::not_available_yet(job.sandbox))
            if (std::ranges::find(check.not_available, sentence) == check.not_available.end())
                check.not_available.push_back(std::move(sentence));
        return {};
    });
    if (made)
        check.jobs = made->jobs;
    else
        check.diagnostics = made.error();
    return check;
}

std::vector<manifest::Diagnostic> BatchPlanner::read(const std::optional<std::string>& wanted) {
    auto made = manifest::load_batch(request_, [&](manifest::BatchJob&& job) -> Result<> {
        names_.push_back(job.name);
        group_ends_.resize(std::max<std::size_t>(group_ends_.size(), job.group + 1), 0);
        group_ends_[job.group] = static_cast<std::uint32_t>(names_.size());
        if (!chosen_ && (!wanted || job.name == *wanted)) chosen_ = std::move(job.sandbox);
        return {};
    });
    if (!made) return made.error();
    batch_ = *std::move(made);
    return {};
}

std::vector<std::string> BatchPlanner::names_of(const std::vector<manifest::Need>& needs) const {
    std::vector<std::string> names;
    for (const auto& need : needs) {
        if (!need.group) {
            names.push_back(names_[need.index]);
            continue;
        }
        std::uint32_t first = need.index == 0 ? 0 : group_ends_[need.index - 1];
        names.insert(names.end(), names_.begin() + first, names_.begin() + group_ends_[need.index]);
    }
    return names;
}

Result<> BatchPlanner::write(const std::function<Result<>(const std::string&)>& put) const {
    VMETTE_CHECK_OK(put(manifest::to_toml(batch_)));
    auto again = manifest::load_batch(
        request_, [&](manifest::BatchJob&& job) { return put(manifest::to_toml(job, names_of(job.needs))); });
    if (!again) return fail(ErrorCode::io, "{}", again.error().front().message);
    return {};
}

}  // namespace vmette::cli
