#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/units.h"
#include "rootfs/builtin.h"
#include "rootfs/cached_source.h"
#include "rootfs/superblock.h"

namespace vmette::rootfs {
namespace {

constexpr std::size_t kPiece = 1 * kMiB;

/// Reads `from` to its end, through the hash, into `to` unless that is -1.
Result<std::string> hash_and_copy(int from, int to, std::uint64_t size, const Context& context) {
    Sha256 hash;
    std::vector<std::byte> buffer(kPiece);
    std::uint64_t done = 0;
    while (true) {
        if (context.cancelled && context.cancelled()) return fail(ErrorCode::cancelled, "cancelled");
        ssize_t n = ::read(from, buffer.data(), buffer.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno("read the image");
        if (n == 0) return hash.hex();
        auto piece = std::span(buffer).first(static_cast<std::size_t>(n));
        hash.update(piece);
        if (to >= 0) VMETTE_CHECK_OK(write_all(to, piece));
        done += piece.size();
        if (context.progress) context.progress(Progress{"verify", done, size});
    }
}

/// A copy of our own, sharing its blocks with the original where the filesystem can: the original may change or go
/// while guests run from it, the image of a digest must not.
Result<Built> copy_squashfs(const Input& input, const Context& context) {
    VMETTE_CHECK_OK(check_superblock(input.fd.get(), input.name));
    VMETTE_TRY(StagedImage image, StagedImage::create(context.layout));
    struct stat info{};
    if (::fstat(input.fd.get(), &info) != 0) return fail_errno(input.name);
    if (static_cast<std::uint64_t>(info.st_size) > context.limits.max_unpacked)
        return fail(ErrorCode::bad_image, "{} is larger than {}", input.name, human_size(context.limits.max_unpacked));
    bool cloned = ::ioctl(image.fd(), FICLONE, input.fd.get()) == 0;
    int source = cloned ? image.fd() : input.fd.get();
    VMETTE_TRY(std::string content,
               hash_and_copy(source, cloned ? -1 : image.fd(), static_cast<std::uint64_t>(info.st_size), context));
    VMETTE_CHECK_OK(check_superblock(image.fd(), input.name));
    return Built{std::move(image), content};
}

class SquashfsProvider final : public Provider {
public:
    std::string_view name() const override { return "squashfs"; }
    std::string_view spellings() const override {
        return "squashfs+file:///path, squashfs+http://…, squashfs+https://… (#sha256=… to pin it)";
    }
    bool matches(const std::string& source) const override { return source.starts_with("squashfs+"); }
    Result<> check(const std::string& source) const override { return check_url_source(source, name()); }
    Result<Resolved> resolve(const std::string& source, const Context& context) const override {
        VMETTE_TRY(UrlSource parsed, parse_url_source(source, name()));
        return resolve_cached(parsed, name(), context, copy_squashfs);
    }
};

}  // namespace

std::unique_ptr<Provider> make_squashfs_provider() { return std::make_unique<SquashfsProvider>(); }

}  // namespace vmette::rootfs
