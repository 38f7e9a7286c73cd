/// Images from registries: is the reference's image there and fresh, else its documents, else its layers.

#include <optional>

#include "base/log.h"
#include "base/text.h"
#include "rootfs/builtin.h"
#include "rootfs/image_cache.h"
#include "rootfs/oci/credentials.h"
#include "rootfs/oci/layer_fetch.h"
#include "rootfs/oci/local_root.h"
#include "rootfs/oci/local_source.h"
#include "rootfs/oci/manifest.h"
#include "rootfs/oci/merge.h"
#include "rootfs/oci/pull.h"
#include "rootfs/oci/reference.h"
#include "rootfs/oci/remember.h"

namespace vmette::rootfs::oci {
namespace {

/// What other programs call an image or a folder, said with what it is called here. "oci:" may also begin a name (an
/// image "oci" with a tag), which no registry is known to have.
Result<> check_habit(std::string_view source) {
    constexpr std::string_view kDocker = "docker://", kLayout = "oci:", kStorage = "containers-storage:";
    std::string shown = harmless_line(source);
    if (source.starts_with(kDocker))
        return fail(ErrorCode::bad_input, "{}: here it is written without docker://: {}", shown,
                    harmless_line(source.substr(kDocker.size())));
    if (source.starts_with(kLayout) && !source.starts_with("oci://"))
        return fail(ErrorCode::bad_input, "{}: a layout in a folder is written oci-layout:{}", shown,
                    harmless_line(source.substr(kLayout.size())));
    if (source.starts_with(kStorage))
        return fail(ErrorCode::bad_input,
                    "{}: podman's own storage is not read; `podman save --format oci-archive -o FILE NAME` makes what "
                    "oci-archive:FILE takes",
                    shown);
    return {};
}

/// A URL that no provider takes is no name of an image: said with what was probably meant.
Result<> check_scheme(std::string_view source) {
    auto scheme = source.find("://");
    if (scheme == source.npos || source.starts_with("oci://")) return {};
    std::string_view known =
        source.starts_with("file://") || source.starts_with("http") ? source.substr(0, scheme) : "";
    if (!known.empty())
        return fail(ErrorCode::bad_input, "{}: say what it is: tar+{}://… or squashfs+{}://…", harmless_line(source),
                    known, known);
    return fail(ErrorCode::bad_input, "{}: no provider takes {}://; vmette image providers lists what there is",
                harmless_line(source), harmless_line(source.substr(0, scheme)));
}

/// One reference on its way to an image.
class RemoteImage {
public:
    RemoteImage(const std::string& source, const Reference& reference, const Context& context)
        : source_(source), reference_(reference), name_(reference.text()), context_(context) {}

    Result<Resolved> run();

private:
    bool is_fresh(const ImageRecord& record) const;
    Result<Resolved> ask_registry(const std::optional<ImageRecord>& known);
    Result<Resolved> fetch();
    Result<bool> is_wanted(const Documents& documents);
    Result<Resolved> make(RegistryClient& client, const Documents& documents);
    Result<StagedImage> merge(LayerFetch& layers, std::vector<LayerInput> inputs);

    const std::string& source_;
    const Reference& reference_;
    const std::string name_;  ///< what the index knows it by: one for all spellings
    const Context& context_;
    std::optional<Fd> manifest_lock_;
    std::optional<OpenImage> same_manifest_;
};

/// A digest names the same for ever; a tag is believed for a while.
bool RemoteImage::is_fresh(const ImageRecord& record) const {
    if (context_.offline || context_.pull == PullPolicy::never) return true;
    if (!reference_.digest.empty()) return true;
    if (context_.pull == PullPolicy::always) return false;
    auto age = context_.now - record.checked_at;
    return age >= age.zero() && age < context_.settings.ttl;
}

Result<Resolved> RemoteImage::run() {
    auto record = context_.index.find_source(name_);
    if (record && is_fresh(*record))
        if (auto ready = open_record(source_, record, context_)) return *std::move(ready);
    if (context_.offline || context_.pull == PullPolicy::never)
        return fail(ErrorCode::offline, "{} is not in the cache, and {}", name_,
                    context_.offline ? "the network is ruled out" : "pull = \"never\" rules out fetching it");

    VMETTE_TRY(Fd lock, take_lock(context_.layout, lock_name("ref", name_), context_.cancelled));
    // Another process may have asked while this one waited: whatever the policy, that answer is new enough.
    auto now = context_.index.find_source(name_);
    if (now && (!record || now->checked_at > record->checked_at))
        if (auto ready = open_record(source_, now, context_)) return *std::move(ready);
    return ask_registry(now);
}

Result<Resolved> RemoteImage::ask_registry(const std::optional<ImageRecord>& known) {
    auto made = fetch();
    if (made) return made;
    // A registry that cannot be reached is no reason not to run what was pulled before, unless asked to look.
    if (made.error().code == ErrorCode::network && context_.pull == PullPolicy::missing) {
        if (auto ready = open_record(source_, known, context_)) {
            log(LogLevel::warn, "{}; using the image of {}", made.error().text(), format_rfc3339(known->checked_at));
            return *std::move(ready);
        }
    }
    return made;
}

Result<Resolved> RemoteImage::fetch() {
    PullRequest request{.reference = reference_,
                        .platform = this_platform(),
                        .credentials = {},
                        .registry = context_.settings.of(reference_.registry)};
    VMETTE_TRY(request.credentials, find_credentials(reference_, CredentialSources::of_process()));
    RegistryClient client(request, context_);
    auto documents = fetch_documents(client);
    if (!documents) return Failure(name_full_cache(documents.error(), fmt::format("{} was fetched", name_)));
    VMETTE_TRY(bool wanted, is_wanted(*documents));
    if (!wanted) return remember(source_, *std::move(same_manifest_), *documents, name_, context_);
    return make(client, *documents);
}

/// Several references may name one manifest: whoever comes first merges it, the others wait here.
Result<bool> RemoteImage::is_wanted(const Documents& documents) {
    VMETTE_TRY(manifest_lock_,
               take_lock(context_.layout, lock_name("manifest", documents.manifest_digest), context_.cancelled));
    same_manifest_ = open_same_manifest(documents, context_);
    return !same_manifest_;
}

/// While layers come, those below them are merged. Over a network most of the merging then costs no time.
Result<StagedImage> RemoteImage::merge(LayerFetch& layers, std::vector<LayerInput> inputs) {
    VMETTE_TRY(bool whole, layers.step());
    if (!whole) {
        auto staged = merge_layers(name_, inputs, context_.settings.compression, context_, &layers);
        if (staged || staged.error().code != ErrorCode::bad_image) return staged;
        // It may be a part of an earlier pull that was wrong and has been replaced since: only whole layers can tell.
        VMETTE_CHECK_OK(layers.wait());
    }
    for (std::size_t i = 0; i < inputs.size(); ++i) {
        VMETTE_TRY(inputs[i].fd, layers.look(i));
    }
    return merge_layers(name_, inputs, context_.settings.compression, context_);
}

Result<Resolved> RemoteImage::make(RegistryClient& client, const Documents& documents) {
    const auto& descriptors = documents.manifest.layers;
    if (documents.image.diff_ids.size() != descriptors.size())
        return fail(ErrorCode::bad_image, "{}: its config names {} layers, its manifest {}", name_,
                    documents.image.diff_ids.size(), descriptors.size());
    std::vector<LayerInput> inputs;
    inputs.reserve(descriptors.size());
    for (std::size_t i = 0; i < descriptors.size(); ++i)
        inputs.push_back({.fd = -1, .descriptor = descriptors[i], .diff_id = documents.image.diff_ids[i]});
    LayerFetch layers(client, descriptors);
    auto staged = merge(layers, std::move(inputs));
    // Also when a layer turned out to be damaged: it must not be found again.
    bool spent = staged || staged.error().code == ErrorCode::bad_image;
    if (spent) forget_layers(documents.manifest, context_.layout);
    if (!staged) return Failure(name_full_cache(staged.error(), fmt::format("an image was made of {}", name_)));
    auto image = std::move(*staged).publish(context_.layout);
    if (!image) return Failure(name_full_cache(image.error(), fmt::format("an image was made of {}", name_)));
    return remember(source_, *std::move(image), documents, name_, context_);
}

class OciProvider final : public Provider {
public:
    std::string_view name() const override { return kProviderName; }
    std::string_view spellings() const override {
        return "NAME[:TAG][@sha256:…], HOST[:PORT]/NAME…, each also after oci://; oci-layout:DIR[:TAG], "
               "oci-archive:FILE[:TAG], docker-archive:FILE[:TAG], docker-daemon:NAME[:TAG]";
    }
    bool matches(const std::string&) const override { return true; }
    Result<> check(const std::string& source) const override {
        if (is_local_source(source)) return check_local(source);
        VMETTE_CHECK_OK(check_habit(source));
        VMETTE_CHECK_OK(check_scheme(source));
        VMETTE_CHECK_OK(parse_reference(source));
        return {};
    }
    Result<Resolved> resolve(const std::string& source, const Context& context) const override {
        VMETTE_CHECK_OK(prepare_images(context.layout));
        if (is_local_source(source)) return resolve_local(source, context);
        VMETTE_TRY(Reference reference, parse_reference(source));
        return RemoteImage(source, reference, context).run();
    }
};

}  // namespace
}  // namespace vmette::rootfs::oci

namespace vmette::rootfs {
std::unique_ptr<Provider> make_oci_provider() { return std::make_unique<oci::OciProvider>(); }
}  // namespace vmette::rootfs
