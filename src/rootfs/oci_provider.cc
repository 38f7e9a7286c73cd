#include "base/text.h"
#include "rootfs/builtin.h"

namespace vmette::rootfs {
namespace {

class OciProvider final : public Provider {
public:
    std::string_view name() const override { return "oci"; }
    std::string_view spellings() const override { return "NAME[:TAG], oci://REGISTRY/NAME[:TAG] (not available yet)"; }
    bool matches(const std::string&) const override { return true; }
    Result<> check(const std::string& source) const override {
        return fail(ErrorCode::unsupported,
                    "images from registries (\"{}\") are not available yet; use a folder, squashfs+file://… "
                    "or tar+https://…",
                    harmless_line(source));
    }
    Result<Resolved> resolve(const std::string& source, const Context&) const override {
        return Failure(check(source).error());
    }
};

}  // namespace

std::unique_ptr<Provider> make_oci_provider() { return std::make_unique<OciProvider>(); }

}  // namespace vmette::rootfs
