#include "rootfs/worker/output_file.h"

#include <sqfs/error.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace vmette::rootfs {

OutputFile::OutputFile(int fd) : sqfs_file_t{}, fd_(fd) {
    sqfs_file_t::base.destroy = [](sqfs_object_t*) {};
    read_at = read;
    write_at = write;
    get_size = size;
    truncate = resize;
}

int OutputFile::failed() {
    if (errno_ == 0) errno_ = errno;
    return SQFS_ERROR_IO;
}

int OutputFile::read(sqfs_file_t* file, sqfs_u64 offset, void* buffer, size_t size) {
    auto& me = *static_cast<OutputFile*>(file);
    auto* to = static_cast<char*>(buffer);
    while (size > 0) {
        ssize_t n = ::pread(me.fd_, to, size, static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return me.failed();
        if (n == 0) return SQFS_ERROR_OUT_OF_BOUNDS;
        to += n;
        offset += static_cast<sqfs_u64>(n);
        size -= static_cast<size_t>(n);
    }
    return 0;
}

int OutputFile::write(sqfs_file_t* file, sqfs_u64 offset, const void* buffer, size_t size) {
    auto& me = *static_cast<OutputFile*>(file);
    const auto* from = static_cast<const char*>(buffer);
    while (size > 0) {
        ssize_t n = ::pwrite(me.fd_, from, size, static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return me.failed();
        from += n;
        offset += static_cast<sqfs_u64>(n);
        size -= static_cast<size_t>(n);
        me.size_ = std::max(me.size_, offset);
    }
    return 0;
}

sqfs_u64 OutputFile::size(const sqfs_file_t* file) { return static_cast<const OutputFile*>(file)->size_; }

int OutputFile::resize(sqfs_file_t* file, sqfs_u64 size) {
    auto& me = *static_cast<OutputFile*>(file);
    if (::ftruncate(me.fd_, static_cast<off_t>(size)) != 0) return me.failed();
    me.size_ = size;
    return 0;
}

Result<> OutputFile::pad_to(std::uint64_t block) {
    std::uint64_t whole = (size_ + block - 1) / block * block;
    if (resize(this, whole) != 0) return Failure(errno_error(errno_, "write the image"));
    return {};
}

}  // namespace vmette::rootfs
