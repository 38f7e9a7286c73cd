/// A tar stream of a hostile guest's, unpacked by the rules of `vmette cp`: whatever it says, nothing appears beside
/// the folder that was named, and no limit is passed.

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

#include "base/fd.h"
#include "base/layout.h"
#include "guest/copy/unpack.h"

namespace {

using namespace vmette;
namespace fs = std::filesystem;

constexpr std::uint64_t kMaxBytes = 64 << 10;
constexpr std::uint64_t kMaxEntries = 32;

class Silent final : public copying::Listener {
public:
    void on_problem(const std::string&) override {}
};

void check(const fs::path& around, const fs::path& place) {
    std::size_t beside = 0;
    for (const auto& item : fs::directory_iterator(around)) beside += item.path() == place ? 0 : 1;
    if (beside != 0) std::abort();
    std::uint64_t bytes = 0;
    for (const auto& item : fs::recursive_directory_iterator(place, fs::directory_options::skip_permission_denied)) {
        if (item.is_symlink() && fs::read_symlink(item.path()).is_absolute()) std::abort();
        if (!item.is_symlink() && item.is_regular_file()) {
            if ((item.status().permissions() & fs::perms(07000)) != fs::perms::none) std::abort();
            bytes += item.hard_link_count() == 1 ? item.file_size() : 0;
        }
    }
    if (bytes > kMaxBytes) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static TempDir folder = *TempDir::make();
    if (size == 0) return 0;
    auto place = folder.path() / "place";
    fs::create_directory(place);
    Fd stream(::memfd_create("stream", MFD_CLOEXEC));
    Fd root(::open(place.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!write_all(stream.get(), std::string_view(reinterpret_cast<const char*>(data), size))) std::abort();
    ::lseek(stream.get(), 0, SEEK_SET);
    Silent silent;
    copying::UnpackRules rules;
    rules.root = root.get();
    rules.max_bytes = kMaxBytes;
    rules.max_entries = kMaxEntries;
    if (data[0] % 2 != 0) rules.rename = "named";
    copying::unpack(stream.get(), rules, silent);
    check(folder.path(), place);
    fs::remove_all(place);
    return 0;
}
