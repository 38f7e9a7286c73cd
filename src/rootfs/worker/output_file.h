#pragma once
/// The image under construction, as libsquashfs wants to see a file.

#include <sqfs/io.h>

#include <cstdint>

#include "base/error.h"

namespace vmette::rootfs {

/// Reads and writes a descriptor (borrowed) and remembers the first errno: libsquashfs itself only knows "I/O error".
/// Not movable: libsquashfs keeps its address. Used by one thread at a time, which libsquashfs ensures.
class OutputFile : public sqfs_file_t {
public:
    explicit OutputFile(int fd);
    OutputFile(const OutputFile&) = delete;
    OutputFile& operator=(const OutputFile&) = delete;

    int first_errno() const { return errno_; }
    /// Zeros up to a multiple of `block`: a block device has whole sectors.
    Result<> pad_to(std::uint64_t block);

private:
    static int read(sqfs_file_t* file, sqfs_u64 offset, void* buffer, size_t size);
    static int write(sqfs_file_t* file, sqfs_u64 offset, const void* buffer, size_t size);
    static sqfs_u64 size(const sqfs_file_t* file);
    static int resize(sqfs_file_t* file, sqfs_u64 size);
    int failed();

    int fd_;
    int errno_ = 0;
    std::uint64_t size_ = 0;
};

}  // namespace vmette::rootfs
