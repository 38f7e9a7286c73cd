#include "rootfs/builtin.h"
#include "rootfs/convert.h"
#include "rootfs/source.h"

namespace vmette::rootfs {
namespace {

class TarProvider final : public Provider {
public:
    std::string_view name() const override { return "tar"; }
    std::string_view spellings() const override {
        return "tar+file:///path, tar+http://…, tar+https://… (plain, gzip, zstd or xz; #sha256=… to pin it)";
    }
    bool matches(const std::string& source) const override { return source.starts_with("tar+"); }
    Result<> check(const std::string& source) const override { return check_url_source(source, name()); }
    Result<Resolved> resolve(const std::string& source, const Context& context) const override {
        VMETTE_TRY(UrlSource parsed, parse_url_source(source, name()));
        return resolve_cached(parsed, name(), context, build_from_tar);
    }
};

}  // namespace

std::unique_ptr<Provider> make_tar_provider() { return std::make_unique<TarProvider>(); }

}  // namespace vmette::rootfs
