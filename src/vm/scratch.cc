#include "vm/scratch.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "base/units.h"
#include "vm/scratch_template.h"

namespace vmette::vm {
namespace {

/// A file without a name in `folder`, for reading and writing.
Result<Fd> nameless_file(const std::filesystem::path& folder) {
    if (auto made = open_file(folder, O_TMPFILE | O_RDWR, 0600)) return made;
    // Some filesystems (NFS, many FUSE ones) know no O_TMPFILE. There the name lives for an instant.
    std::string name = (folder / "scratch.XXXXXX").string();
    Fd fd(::mkostemp(name.data(), O_CLOEXEC));
    if (!fd) return fail_errno("make a scratch disk in " + folder.string());
    if (::unlink(name.c_str()) != 0) return fail_errno("unlink " + name);
    return fd;
}

/// Copies one stretch that holds data.
Result<> copy_stretch(int from, int to, off_t start, off_t end) {
    while (start < end) {
        off_t in = start, out = start;
        ssize_t n = ::copy_file_range(from, &in, to, &out, static_cast<std::size_t>(end - start), 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno("write the scratch disk");
        if (n == 0) return fail(ErrorCode::io, "the template of the scratch disk shrank while it was copied");
        start += n;
    }
    return {};
}

/// Copies what a sparse file holds and nothing else.
Result<> copy_sparse(int from, int to, std::uint64_t bytes) {
    if (::ioctl(to, FICLONE, from) == 0) return {};
    if (::ftruncate(to, static_cast<off_t>(bytes)) != 0) return fail_errno("size the scratch disk");
    for (off_t at = 0;;) {
        off_t data = ::lseek(from, at, SEEK_DATA);
        if (data < 0 && errno == ENXIO) return {};
        off_t hole = data < 0 ? -1 : ::lseek(from, data, SEEK_HOLE);
        if (hole < 0) return fail_errno("read the template of the scratch disk");
        VMETTE_CHECK_OK(copy_stretch(from, to, data, hole));
        at = hole;
    }
}

Result<> check_size(std::uint64_t bytes) {
    if (bytes < kMinScratchBytes)
        return fail(ErrorCode::bad_input, "a scratch disk of {} is too small: at least {}", human_size(bytes),
                    human_size(kMinScratchBytes));
    if (bytes > kMaxScratchBytes)
        return fail(ErrorCode::bad_input, "a scratch disk of {} is too large: less than 16 TiB", human_size(bytes));
    if (bytes % 4096 != 0)
        return fail(ErrorCode::bad_input, "a scratch disk of {} bytes is no multiple of 4096 bytes", bytes);
    return {};
}

}  // namespace

Result<Fd> make_scratch(const Layout& layout, std::uint64_t bytes) {
    VMETTE_CHECK_OK(check_size(bytes));
    auto folder = layout.scratch_templates_dir();
    VMETTE_CHECK_OK(make_cache_dir(folder));
    auto formatted = open_scratch_template(folder, bytes);
    if (!formatted && formatted.error().code != ErrorCode::unsupported) return formatted;
    VMETTE_TRY(Fd scratch, nameless_file(folder));
    if (formatted) {
        VMETTE_CHECK_OK(copy_sparse(formatted->get(), scratch.get(), bytes));
        return scratch;
    }
    if (::ftruncate(scratch.get(), static_cast<off_t>(bytes)) != 0) return fail_errno("size the scratch disk");
    VMETTE_CHECK_OK(format_scratch(scratch.get()));
    return scratch;
}

}  // namespace vmette::vm
