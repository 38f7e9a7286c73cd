#include "rootfs/builtin.h"

namespace vmette::rootfs {

Registry Registry::with_builtin() {
    Registry registry;
    registry.providers_.push_back(make_dir_provider());
    registry.providers_.push_back(make_squashfs_provider());
    registry.providers_.push_back(make_tar_provider());
    registry.providers_.push_back(make_oci_provider());
    return registry;
}

void Registry::register_provider(std::unique_ptr<Provider> provider) {
    providers_.insert(providers_.begin(), std::move(provider));
}

const Provider* Registry::find(const std::string& source) const {
    for (const auto& provider : providers_)
        if (provider->matches(source)) return provider.get();
    return nullptr;
}

Result<> Registry::check(const std::string& source) const {
    if (source.empty()) return fail(ErrorCode::bad_input, "the rootfs source is empty");
    if (source.find('\0') != source.npos) return fail(ErrorCode::bad_input, "the rootfs source holds a NUL byte");
    const Provider* provider = find(source);
    if (provider == nullptr) return fail(ErrorCode::bad_input, "no provider takes the rootfs source {}", source);
    return provider->check(source);
}

Result<Resolved> Registry::resolve(const std::string& source, const Context& context) const {
    VMETTE_CHECK_OK(check(source));
    return find(source)->resolve(source, context);
}

}  // namespace vmette::rootfs
