#pragma once
/// Batch manifests in the verbs that take either kind.

#include <string>
#include <vector>

#include "cli/context.h"
#include "manifest/batch.h"

namespace vmette::cli {

/// Whether the request is for a batch: one of its sources is.
bool is_batch(const manifest::LoadRequest& request);

/// What `validate` says of a batch.
struct BatchCheck {
    std::vector<manifest::Diagnostic> diagnostics;  ///< empty: it is valid
    std::uint32_t jobs = 0;
    std::vector<std::string> not_available;  ///< sentences, each once
};
BatchCheck check_batch(const manifest::LoadRequest& request);

/// What `plan` says of a batch: every job resolved, and the command of the first, or of the one that is named.
class BatchPlanner {
public:
    explicit BatchPlanner(const manifest::LoadRequest& request) : request_(request) {}

    /// Expands the batch once. Returns what is wrong with it.
    std::vector<manifest::Diagnostic> read(const std::optional<std::string>& job);
    const manifest::Batch& batch() const { return batch_; }
    const std::vector<std::string>& jobs() const { return names_; }
    /// Of the job that was named, else of the first; null when there is none of that name.
    const manifest::Sandbox* chosen() const { return chosen_ ? &*chosen_ : nullptr; }
    /// The batch as a manifest without templates, piece by piece: it may be large.
    Result<> write(const std::function<Result<>(const std::string&)>& put) const;

private:
    std::vector<std::string> names_of(const std::vector<manifest::Need>& needs) const;

    const manifest::LoadRequest& request_;
    manifest::Batch batch_;
    std::vector<std::string> names_;
    std::vector<std::uint32_t> group_ends_;  ///< past the last job of each [[job]]
    std::optional<manifest::Sandbox> chosen_;
};

}  // namespace vmette::cli
