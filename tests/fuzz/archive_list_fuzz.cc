/// The members of an archive that `docker save` would have made: listed where they lie, and copied out of a compressed
/// one. Every line of either list is one that the parent reads, what was copied lies within the output, and no limit is
/// passed.

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

#include "base/fd.h"
#include "rootfs/report.h"
#include "rootfs/worker/archive_list.h"
#include "tests/fuzz/tree_check.h"

namespace {

using namespace vmette;
using namespace vmette::rootfs;

constexpr std::uint64_t kLimit = 1 << 20;  ///< bytes unpacked; small, so that it is met
constexpr std::size_t kMaxList = 8 << 20;  ///< what the parent reads

void require(bool holds) {
    if (!holds) std::abort();
}

/// An empty file for the length of one input.
class Scratch {
public:
    Scratch() { require(static_cast<bool>(file_)); }
    int fd() const { return file_.get(); }
    std::uint64_t size() const {
        struct stat info{};
        require(::fstat(fd(), &info) == 0);
        return static_cast<std::uint64_t>(info.st_size);
    }
    void rewind() const { require(::lseek(fd(), 0, SEEK_SET) == 0); }

private:
    Fd file_{::memfd_create("fuzz", MFD_CLOEXEC)};
};

/// `end`: of the file that the list is about; what is sparse lies nowhere in it.
void check_list(const Scratch& list, std::uint64_t end, bool copied) {
    list.rewind();
    auto text = read_all(list.fd(), kMaxList, "the list");
    require(text && (text->empty() || text->back() == '\n'));
    for (std::string_view left = *text; !left.empty();) {
        std::size_t length = left.find('\n');
        auto fields = decode_fields(left.substr(0, length));
        left.remove_prefix(length + 1);
        require(fields && fields->size() == 5);
        auto offset = parse_number(fields->at("offset")), size = parse_number(fields->at("size"));
        require(offset && size && fields->at("name").size() <= 400 && fields->at("link").size() <= 400);
        if (copied) require(fields->at("sparse") == "0" && *offset <= end && *size <= end - *offset);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Scratch archive, list, contents, copied;
    require(static_cast<bool>(write_all(archive.fd(), std::as_bytes(std::span(data, size)))));
    archive.rewind();
    (void)list_archive(archive.fd(), list.fd());
    check_list(list, archive.size(), false);

    auto source = decompressed(std::make_unique<MemorySource>(std::as_bytes(std::span(data, size))));
    if (!source) return 0;
    bool whole =
        static_cast<bool>(copy_archive(*std::move(source), contents.fd(), copied.fd(), kLimit, [](std::uint64_t) {}));
    require(contents.size() <= kLimit);
    // The last line may be of a member whose contents did not come.
    if (whole) check_list(copied, contents.size(), true);
    return 0;
}
