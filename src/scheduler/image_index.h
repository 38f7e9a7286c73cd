#pragma once
/// The image cache's memory, over the store.

#include "rootfs/provider.h"
#include "store/store.h"

namespace vmette::scheduler {

class StoredImageIndex final : public rootfs::ImageIndex {
public:
    StoredImageIndex(store::Store& store, const Clock& clock) : store_(store), clock_(clock) {}
    std::optional<rootfs::ImageRecord> find_source(const std::string& source) override;
    std::optional<rootfs::ImageRecord> find_content(const std::string& content_digest) override;
    Result<> add(const rootfs::ImageRecord& record) override;
    Result<> remove(const std::string& digest) override;
    /// Something came in through this object.
    bool has_added() const { return added_; }

private:
    store::Store& store_;
    const Clock& clock_;
    bool added_ = false;
};

}  // namespace vmette::scheduler
