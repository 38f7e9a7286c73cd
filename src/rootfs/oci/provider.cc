/// Images from registries: is the reference's image there and fresh, else its documents, else its layers.

#include <optional>

#include "base/digest.h"
#include "base/log.h"
#include "base/text.h"
#include "rootfs/builtin.h"
#include "rootfs/image_cache.h"
#include "rootfs/oci/credentials.h"
#include "rootfs/oci/layer_fetch.h"
#include "rootfs/oci/local_image.h"
#include "rootfs/oci/local_source.h"
#include "rootfs/oci/manifest.h"
#include "rootfs/oci/merge.h"
#include "rootfs/oci/pull.h"
#include "rootfs/oci/reference.h"

namespace vmette::rootfs::oci {
namespace {

constexpr std::string_view kProvider = "oci";

/// Fit for a file name.
std::string lock_name(std::string_view kind, std::string_view what) {
    return fmt::format("{}-{}", kind, sha256_hex(what));
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

Resolved make_resolved(const std::string& source, OpenImage image, ImageConfig config) {
    Resolved out;
    out.path = std::move(image.path);
    out.image = std::move(image.fd);
    out.digest = std::move(image.digest);
    out.bytes = image.bytes;
    out.provider = kProvider;
    out.source = source;
    out.config = std::move(config);
    return out;
}

/// Records that `name` is this image now. `source` is how it was asked for.
Result<Resolved> remember(const std::string& source, OpenImage image, const Documents& documents,
                          const std::string& name, const Context& context) {
    ImageRecord record{.digest = image.digest,
                       .source = name,
                       .provider = std::string(kProvider),
                       .content_digest = documents.manifest_digest,
                       .validator = documents.top_digest,
                       .bytes = image.bytes,
                       .config = encode_image_config(documents.image.config)};
    VMETTE_CHECK_OK(context.index.add(record));
    return make_resolved(source, std::move(image), documents.image.config);
}

/// One reference on its way to an image.
class RemoteImage {
public:
    RemoteImage(const std::string& source, const Reference& reference, const Context& context)
        : source_(source), reference_(reference), name_(reference.text()), context_(context) {}

    Result<Resolved> run();

private:
    bool is_fresh(const ImageRecord& record) const;
    std::optional<Resolved> open_record(const std::optional<ImageRecord>& record);
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

std::optional<Resolved> RemoteImage::open_record(const std::optional<ImageRecord>& record) {
    if (!record) return std::nullopt;
    auto image = open_image(context_.layout, record->digest, record->bytes);
    auto config = decode_image_config(record->config);
    if (image && config) return make_resolved(source_, *std::move(image), *std::move(config));
    log(LogLevel::info, "the image of {} is to be made again", name_);
    [[maybe_unused]] auto forgotten = context_.index.remove(record->digest);
    return std::nullopt;
}

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
        if (auto ready = open_record(record)) return *std::move(ready);
    if (context_.offline || context_.pull == PullPolicy::never)
        return fail(ErrorCode::offline, "{} is not in the cache, and {}", name_,
                    context_.offline ? "the network is ruled out" : "pull = \"never\" rules out fetching it");

    VMETTE_TRY(Fd lock, take_lock(context_.layout, lock_name("ref", name_), context_.cancelled));
    // Another process may have asked while this one waited: whatever the policy, that answer is new enough.
    auto now = context_.index.find_source(name_);
    if (now && (!record || now->checked_at > record->checked_at))
        if (auto ready = open_record(now)) return *std::move(ready);
    return ask_registry(now);
}

Result<Resolved> RemoteImage::ask_registry(const std::optional<ImageRecord>& known) {
    auto made = fetch();
    if (made) return made;
    // A registry that cannot be reached is no reason not to run what was pulled before, unless asked to look.
    if (made.error().code == ErrorCode::network && context_.pull == PullPolicy::missing) {
        if (auto ready = open_record(known)) {
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
    auto record = context_.index.find_content(documents.manifest_digest);
    if (!record) return true;
    if (auto image = open_image(context_.layout, record->digest, record->bytes)) {
        same_manifest_ = *std::move(image);
        return false;
    }
    [[maybe_unused]] auto forgotten = context_.index.remove(record->digest);
    return true;
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

/// An image that lies on this machine. Its documents are small and are read each time; its layers only when no image
/// was made of them yet.
class LocalFile {
public:
    LocalFile(const std::string& source, const Context& context) : source_(source), context_(context) {}

    Result<Resolved> run() {
        VMETTE_TRY(auto parsed, parse_local_source(source_));
        VMETTE_TRY(auto local, open_local_image(parsed, this_platform(), context_));
        if (auto ready = ready_image(local.documents)) return *std::move(ready);
        VMETTE_TRY(Fd lock, take_lock(context_.layout, lock_name("manifest", local.documents.manifest_digest),
                                      context_.cancelled));
        if (auto ready = ready_image(local.documents)) return *std::move(ready);
        auto staged = merge_layers(source_, local.layers, context_.settings.compression, context_);
        std::string doing = fmt::format("an image was made of {}", source_);
        if (!staged) return Failure(name_full_cache(staged.error(), doing));
        auto image = std::move(*staged).publish(context_.layout);
        if (!image) return Failure(name_full_cache(image.error(), doing));
        return remember(source_, *std::move(image), local.documents, source_, context_);
    }

private:
    std::optional<Resolved> ready_image(const Documents& documents) {
        auto record = context_.index.find_content(documents.manifest_digest);
        if (!record) return std::nullopt;
        auto image = open_image(context_.layout, record->digest, record->bytes);
        if (!image) {
            [[maybe_unused]] auto forgotten = context_.index.remove(record->digest);
            return std::nullopt;
        }
        auto root = remember(source_, *std::move(image), documents, source_, context_);
        if (!root) return std::nullopt;
        return *std::move(root);
    }

    const std::string& source_;
    const Context& context_;
};

class OciProvider final : public Provider {
public:
    std::string_view name() const override { return kProvider; }
    std::string_view spellings() const override {
        return "NAME[:TAG][@sha256:…], HOST[:PORT]/NAME…, each also after oci://; oci-layout:DIR[:TAG], "
               "docker-archive:FILE[:TAG]";
    }
    bool matches(const std::string&) const override { return true; }
    Result<> check(const std::string& source) const override {
        if (is_local_source(source)) {
            VMETTE_CHECK_OK(parse_local_source(source));
        } else {
            VMETTE_CHECK_OK(check_scheme(source));
            VMETTE_CHECK_OK(parse_reference(source));
        }
        return {};
    }
    Result<Resolved> resolve(const std::string& source, const Context& context) const override {
        if (is_local_source(source)) return LocalFile(source, context).run();
        VMETTE_TRY(Reference reference, parse_reference(source));
        return RemoteImage(source, reference, context).run();
    }
};

}  // namespace
}  // namespace vmette::rootfs::oci

namespace vmette::rootfs {
std::unique_ptr<Provider> make_oci_provider() { return std::make_unique<oci::OciProvider>(); }
}  // namespace vmette::rootfs
