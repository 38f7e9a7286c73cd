#include "vm/scratch_template.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/layout.h"
#include "base/process.h"
#include "base/text.h"
#include "vm/kept_files.h"

namespace vmette::vm {
namespace {

constexpr std::uint32_t kBlockBytes = 4096;
/// Thrown away after one run, so a journal and checksums protect nothing; spelt out whole, so that no mke2fs.conf
/// changes it.
constexpr char kFeatures[] =
    "none,dir_index,dir_nlink,ext_attr,extent,extra_isize,filetype,flex_bg,huge_file,large_file,sparse_super,uninit_bg";

/// True when the file has its full size and starts with the superblock of a clean ext4 of that size: it is then what
/// mkfs wrote. Source of the offsets: the kernel's Documentation/filesystems/ext4/super.rst.
bool is_whole(int fd, std::uint64_t bytes) {
    struct stat status;
    if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) return false;
    if (static_cast<std::uint64_t>(status.st_size) != bytes) return false;
    constexpr off_t kSuperblock = 1024;
    struct {
        std::uint32_t inodes, blocks;
        std::array<std::uint32_t, 4> counts;
        std::uint32_t log_block_size;
        std::array<std::uint32_t, 6> groups;
        std::uint16_t mounts, max_mounts, magic, state;
    } super{};
    static_assert(offsetof(decltype(super), magic) == 0x38);
    if (::pread(fd, &super, sizeof super, kSuperblock) != sizeof super) return false;
    constexpr std::uint16_t kMagic = 0xEF53, kClean = 1;
    return super.magic == kMagic && super.state == kClean && super.log_block_size == 2 &&
           super.blocks == bytes / kBlockBytes;
}

Result<Fd> make_template(const std::filesystem::path& folder, const std::filesystem::path& path, std::uint64_t bytes) {
    VMETTE_TRY(Fd staged, stage_file(folder));
    if (::ftruncate(staged.get(), static_cast<off_t>(bytes)) != 0)
        return fail_errno(fmt::format("make a file of {} in {}", human_size(bytes), folder.string()));
    VMETTE_CHECK_OK(format_scratch(staged.get()));
    // The name must not outlive the contents in a crash of the host: a template is checked by its first block alone.
    if (::fsync(staged.get()) != 0) return fail_errno("sync " + path.string());
    VMETTE_CHECK_OK(name_file(staged, path, [bytes](int theirs) { return is_whole(theirs, bytes); }));
    prune_files(folder, ".ext4", kMaxScratchTemplates);
    return staged;
}

}  // namespace

std::vector<std::string> mkfs_arguments(const std::string& file) {
    return {
        "mkfs.ext4", "-q", "-F", "-O", kFeatures, "-b", std::to_string(kBlockBytes), "-I", "256", "-i", "16384", "-m",
        "0",
        // A sparse file reads as zeroes: neither mkfs nor, later, the guest's kernel needs to write the inode tables.
        "-E", "assume_storage_prezeroed=1,lazy_itable_init=1,nodiscard,root_owner=0:0", file};
}

Result<> format_scratch(int fd) {
    constexpr int kInChild = 3;
    ProcessSpec spec;
    spec.argv = mkfs_arguments(fmt::format("/proc/self/fd/{}", kInChild));
    spec.descriptors = {{fd, kInChild}};
    if (!find_program("mkfs.ext4"))
        return fail(ErrorCode::not_found,
                    "a scratch disk needs mkfs.ext4, which is not installed (Debian package: e2fsprogs)");
    VMETTE_TRY(auto made, run_captured(spec, std::chrono::seconds(60)));
    if (made.ok()) return {};
    bool full = made.err.find(std::strerror(ENOSPC)) != std::string::npos;
    return fail(full ? ErrorCode::no_space : ErrorCode::io, "cannot format a scratch disk: mkfs.ext4 {}: {}",
                describe_status(made.status), harmless_line(made.err));
}

Result<Fd> open_scratch_template(const std::filesystem::path& folder, std::uint64_t bytes) {
    // The number is that of the recipe in mkfs_arguments: a new one leaves older templates to the pruning.
    auto path = folder / fmt::format("v1-{}.ext4", bytes);
    auto found = open_file(path, O_RDONLY | O_NOFOLLOW);
    if (found && require_private(*found, path) && is_whole(found->get(), bytes)) {
        touch_file(*found);
        return found;
    }
    return make_template(folder, path, bytes);
}

}  // namespace vmette::vm
