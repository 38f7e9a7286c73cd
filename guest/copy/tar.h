#pragma once
/// Headers of tar archives: ustar, with pax's long names on the way out, and pax's and GNU's on the way in. The text of
/// this folder is compiled twice, into the host's program and into the guest's, so it stands on the C library alone:
/// no exceptions, no fmt.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace vmette::copying {

constexpr std::size_t kBlock = 512;

enum class Kind : char {
    file = '0',
    hard_link = '1',
    symlink = '2',
    character = '3',
    block = '4',
    folder = '5',
    fifo = '6'
};

struct Entry {
    Kind kind = Kind::file;
    std::string name;        ///< as it stands in the archive
    std::string target;      ///< of a link
    std::uint32_t mode = 0;  ///< permission bits, 07777
    std::int64_t mtime = 0;  ///< seconds since the epoch
    std::uint64_t size = 0;  ///< bytes of content that follow; 0 but for files
};

/// One block, with a block of long names before it where they do not fit.
std::string encode_header(const Entry& entry);

/// What one block of 512 bytes says.
enum class Found {
    entry,       ///< `entry` is filled; long names are applied by whoever reads the stream
    end,         ///< zeros: the end of the archive
    pax,         ///< `entry.size` bytes of pax records follow, for the next entry
    pax_global,  ///< the same for all that follow: to be skipped
    long_name,   ///< `entry.size` bytes: GNU's name of the next entry
    long_link,   ///< the same of its link's target
    unknown,     ///< a kind that cannot be unpacked; `entry.size` bytes follow
    garbage,     ///< no header of a tar archive
};
Found decode_header(const char* block, Entry& entry);

/// Applies pax records ("27 path=…\n") to an entry. False when they cannot be read, or ask for what is not understood
/// (sparse files).
bool apply_pax(std::string_view records, Entry& entry);

/// Bytes from the end of content of this size to the next header.
constexpr std::size_t padding(std::uint64_t size) { return (kBlock - size % kBlock) % kBlock; }

}  // namespace vmette::copying
