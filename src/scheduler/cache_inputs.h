#pragma once
/// What a job's result follows from, by name: equal inputs have equal results, as far as `cache = true` promises it.

#include <string>
#include <string_view>
#include <vector>

#include "base/layout.h"
#include "manifest/sandbox.h"
#include "rootfs/provider.h"
#include "scheduler/machine.h"
#include "scheduler/tree_digests.h"
#include "store/store.h"

namespace vmette::scheduler {

/// One of them: "limits.memory" and "\"512M\"", "shares.src" and "sha256:…".
struct CacheInput {
    std::string name;
    std::string value;  ///< fit for showing; a long one is its beginning and its digest
    bool operator==(const CacheInput&) const = default;
};
/// Each name once, in the order of their bytes.
using CacheInputs = std::vector<CacheInput>;

/// One line; equal inputs give equal text. Back: `bad_input` for what this did not write.
std::string to_json(const CacheInputs& inputs);
Result<CacheInputs> cache_inputs_from_json(std::string_view text);

/// "sha256:…" over all names and values.
std::string cache_key(const CacheInputs& inputs);

/// One that differs; `before` or `after` is empty where there is none.
struct InputChange {
    std::string name, before, after;
    bool operator==(const InputChange&) const = default;
};
std::vector<InputChange> compare(const CacheInputs& before, const CacheInputs& after);

/// Where the inputs outside the manifest are found; borrowed.
struct InputHost {
    const Layout& layout;
    store::Store& store;
    TreeDigests& trees;
    const Environment& environment;  ///< of this process: secrets, VMETTE_CA_CERTS
    std::string salt;                ///< what secrets are hashed with; see store::Batches::cache_salt()
    Cancelled cancelled;
};

struct GatheredInputs {
    CacheInputs inputs;
    std::vector<TreeDigest> trees;  ///< of the folders in it, with their listings where these are short enough
};

/// Reads what the job would be given: its keys (but labels and metadata), the guest's kernel and initramfs, the image,
/// the content of shares, disks and of a stdin file, certificates, and secrets as HMACs. The name counts, as a guest
/// sees it (its hostname, VMETTE_JOB). Paths of the host do not: what is there does.
/// Errors: of what cannot be read; unsupported where a content cannot be told (a block device); cancelled.
Result<GatheredInputs> gather_inputs(const InputHost& host, const manifest::Sandbox& sandbox,
                                     const rootfs::Resolved& root);

}  // namespace vmette::scheduler
