#include "rootfs/oci/local_root.h"

#include <sys/stat.h>

#include <filesystem>

#include "base/log.h"
#include "base/text.h"
#include "rootfs/file_validator.h"
#include "rootfs/oci/daemon.h"
#include "rootfs/oci/local_image.h"
#include "rootfs/oci/local_source.h"
#include "rootfs/oci/merge.h"
#include "rootfs/oci/remember.h"

namespace vmette::rootfs::oci {
namespace {

Result<Resolved> image_of(const std::string& source, const LocalImage& local, const Context& context) {
    if (auto same = open_same_manifest(local.documents, context))
        return remember(source, *std::move(same), local.documents, source, context);
    VMETTE_TRY(Fd lock,
               take_lock(context.layout, lock_name("manifest", local.documents.manifest_digest), context.cancelled));
    if (auto same = open_same_manifest(local.documents, context))
        return remember(source, *std::move(same), local.documents, source, context);
    auto staged = merge_layers(source, local.layers, context.settings.compression, context);
    std::string doing = fmt::format("an image was made of {}", source);
    if (!staged) return Failure(name_full_cache(staged.error(), doing));
    auto image = std::move(*staged).publish(context.layout);
    if (!image) return Failure(name_full_cache(image.error(), doing));
    return remember(source, *std::move(image), local.documents, source, context);
}

/// An image of a container daemon. Its record's validator is the daemon's ID of it.
class DaemonImage {
public:
    DaemonImage(const std::string& source, const LocalSource& parsed, const Context& context)
        : source_(source), parsed_(parsed), context_(context) {}

    Result<Resolved> run() {
        auto record = context_.index.find_source(source_);
        if (context_.pull == PullPolicy::never) {
            if (auto ready = open_record(source_, record, context_)) return *std::move(ready);
            return fail(ErrorCode::offline, "{} is not in the cache, and pull = \"never\" rules out asking the daemon",
                        source_);
        }
        auto daemon = Daemon::find(DaemonPlaces::of_process());
        if (!daemon) return without_daemon(record, daemon.error());
        auto id = daemon->image_id(parsed_, context_);
        if (!id)
            return id.error().code == ErrorCode::network ? without_daemon(record, id.error()) : Failure(id.error());
        if (auto ready = ready_image(*id)) return *std::move(ready);
        VMETTE_TRY(Fd lock, take_lock(context_.layout, lock_name("daemon", *id), context_.cancelled));
        if (auto ready = ready_image(*id)) return *std::move(ready);
        VMETTE_TRY(Fd archive, daemon->save(*id, context_));
        VMETTE_TRY(auto local, open_saved_image(std::move(archive), source_, this_platform(), context_));
        local.documents.top_digest = *id;
        return image_of(source_, local, context_);
    }

private:
    /// A daemon that does not answer is no reason not to run what came from it before, unless asked to look.
    Result<Resolved> without_daemon(const std::optional<ImageRecord>& record, const Error& error) {
        bool may = context_.pull == PullPolicy::missing && error.code != ErrorCode::bad_input;
        auto ready = may ? open_record(source_, record, context_) : std::nullopt;
        if (!ready) return Failure(Error{error.code, fmt::format("{}: {}", source_, error.message), error.cause});
        log(LogLevel::warn, "{}; using the image of {}", error.text(), format_rfc3339(record->checked_at));
        return *std::move(ready);
    }

    /// What this ID was found to be before, perhaps under another name.
    std::optional<Resolved> ready_image(const std::string& id) {
        auto record = context_.index.find_source(source_);
        if (!record || record->validator != id) record = context_.index.find_content(id);
        auto ready = open_record(source_, record, context_);
        if (!ready) return std::nullopt;
        record->source = source_;
        record->validator = id;
        if (auto added = context_.index.add(*record); !added) return std::nullopt;
        return ready;
    }

    const std::string& source_;
    const LocalSource& parsed_;
    const Context& context_;
};

/// An archive, which would have to be read to its end, and decompressed, to find out what is in it: while the file is
/// the one that it was, so is its image.
Result<Resolved> resolve_archive(const std::string& source, const LocalSource& parsed, const Context& context) {
    // Before it is opened: what is written to it from now on makes another validator.
    struct stat info{};
    bool there = ::stat(parsed.path.c_str(), &info) == 0;
    std::string validator = there && is_settled(info) ? file_validator(info) : "";
    auto record = context.index.find_source(source);
    if (record && !validator.empty() && record->validator == validator)
        if (auto ready = open_record(source, record, context)) return *std::move(ready);
    VMETTE_TRY(auto local, open_local_image(parsed, this_platform(), context));
    if (!validator.empty()) local.documents.top_digest = validator;
    return image_of(source, local, context);
}

}  // namespace

Result<> check_local(const std::string& source) {
    VMETTE_TRY(auto parsed, parse_local_source(source));
    std::error_code error;
    if (parsed.kind == LocalKind::docker_daemon || std::filesystem::exists(parsed.path, error) || error) return {};
    return fail(ErrorCode::not_found, "the {} {} does not exist",
                parsed.kind == LocalKind::oci_layout ? "folder" : "file", harmless_line(parsed.path.string()));
}

Result<Resolved> resolve_local(const std::string& source, const Context& context) {
    VMETTE_TRY(auto parsed, parse_local_source(source));
    switch (parsed.kind) {
        case LocalKind::docker_daemon:
            return DaemonImage(source, parsed, context).run();
        case LocalKind::oci_archive:
        case LocalKind::docker_archive:
            return resolve_archive(source, parsed, context);
        case LocalKind::oci_layout:
            break;
    }
    VMETTE_TRY(auto local, open_local_image(parsed, this_platform(), context));
    return image_of(source, local, context);
}

}  // namespace vmette::rootfs::oci
