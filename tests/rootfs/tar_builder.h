#pragma once
/// Tar archives byte by byte, valid or not. Source of the format: pax in POSIX.1-2017, and GNU tar's manual.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace vmette::rootfs {

struct TarEntry {
    std::string name;
    char type = '0';  ///< '0' file, '1' hard link, '2' symbolic link, '3' '4' devices, '5' folder, '6' fifo
    std::string link = {};
    std::string data = {};
    unsigned mode = 0644;
    std::uint64_t uid = 0;
    std::uint64_t gid = 0;
    std::uint64_t mtime = 1'700'000'000;
    unsigned major = 0;
    unsigned minor = 0;
    std::vector<std::pair<std::string, std::string>> pax = {};  ///< extended header records in front
    std::int64_t claimed_size = -1;                             ///< in the header instead of the data's; -1: the data's
};

std::string tar_entry(const TarEntry& entry);
/// Two blocks of zeros.
std::string tar_end();
std::string make_tar(const std::vector<TarEntry>& entries);

TarEntry tar_file(std::string name, std::string data);
TarEntry tar_folder(std::string name);
TarEntry tar_symlink(std::string name, std::string target);
TarEntry tar_hardlink(std::string name, std::string target);

}  // namespace vmette::rootfs
