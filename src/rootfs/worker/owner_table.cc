#include "rootfs/worker/owner_table.h"

#include <endian.h>
#include <sqfs/table.h>

namespace vmette::rootfs {

Result<std::uint16_t> OwnerTable::place_of(std::uint32_t owner) {
    if (auto known = places_.find(owner); known != places_.end()) return known->second;
    if (owners_.size() == kMaxOwners)
        return fail(ErrorCode::bad_image, "has more than {} different owners", kMaxOwners);
    auto place = static_cast<std::uint16_t>(owners_.size());
    owners_.push_back(::htole32(owner));
    places_.emplace(owner, place);
    return place;
}

int OwnerTable::write(OutputFile& file, sqfs_super_t& super, sqfs_compressor_t& compressor) const {
    sqfs_u64 start = 0;
    int result = ::sqfs_write_table(&file, &compressor, owners_.data(), owners_.size() * sizeof(std::uint32_t), &start);
    if (result != 0) return result;
    super.id_count = static_cast<std::uint16_t>(owners_.size());
    super.id_table_start = start;
    return 0;
}

}  // namespace vmette::rootfs
