#include "rootfs/cached_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/log.h"
#include "rootfs/download.h"
#include "rootfs/file_validator.h"

namespace vmette::rootfs {
namespace {

class CachedSource {
public:
    CachedSource(const UrlSource& source, std::string_view provider, const Context& context, const Builder& build)
        : source_(source), provider_(provider), context_(context), build_(build) {}

    Result<Resolved> run();

private:
    struct Opened {
        Input input;
        std::string validator;
        struct stat info{};
    };
    std::optional<Resolved> open_record(const std::optional<ImageRecord>& record);
    std::optional<Resolved> usable(const std::string& validator);
    Result<Resolved> resolve_file();
    Result<Resolved> resolve_url();
    Result<Opened> open_input();
    Result<Resolved> by_content(Opened& opened);
    Result<Resolved> build(Opened& opened);
    Result<Resolved> remember(OpenImage image, const std::string& content, const std::string& validator);
    Result<> check_content(const std::string& content) const;
    Resolved resolved(OpenImage image) const;

    const UrlSource& source_;
    std::string_view provider_;
    const Context& context_;
    const Builder& build_;
};

Resolved CachedSource::resolved(OpenImage image) const {
    Resolved out;
    out.path = std::move(image.path);
    out.image = std::move(image.fd);
    out.digest = std::move(image.digest);
    out.bytes = image.bytes;
    out.provider = provider_;
    out.source = source_.text;
    return out;
}

/// The image of a record, if it is still there; a record whose image isn't is forgotten.
std::optional<Resolved> CachedSource::open_record(const std::optional<ImageRecord>& record) {
    if (!record) return std::nullopt;
    auto image = open_image(context_.layout, record->digest, record->bytes);
    if (image) return resolved(*std::move(image));
    log(level_of(image.error()), "the image of {} is to be made again: {}", source_.text, image.error().text());
    // When the index can't forget it now, the next add() replaces it.
    [[maybe_unused]] auto forgotten = context_.index.remove(record->digest);
    return std::nullopt;
}

/// The recorded image, when it was made from what the validator names. Tar and squashfs never share a record: the
/// source's spelling holds the kind.
std::optional<Resolved> CachedSource::usable(const std::string& validator) {
    auto record = context_.index.find_source(source_.text);
    if (!record || record->validator.empty() || record->validator != validator) return std::nullopt;
    return open_record(record);
}

Result<> CachedSource::check_content(const std::string& content) const {
    if (source_.sha256.empty() || source_.sha256 == content) return {};
    auto name = source_.is_file() ? source_.file.string() : source_.url;
    return fail(ErrorCode::bad_image, "{} has the SHA-256 {}, but {} was asked for", name, content, source_.sha256);
}

Result<Resolved> CachedSource::remember(OpenImage image, const std::string& content, const std::string& validator) {
    ImageRecord record;
    record.digest = image.digest;
    record.source = source_.text;
    record.provider = provider_;
    record.content_digest = "sha256:" + content;
    record.validator = validator;
    record.bytes = image.bytes;
    VMETTE_CHECK_OK(context_.index.add(record));
    return resolved(std::move(image));
}

Result<CachedSource::Opened> CachedSource::open_input() {
    Opened opened;
    opened.input.name = source_.file.string();
    auto fd = open_file(source_.file, O_RDONLY | O_NONBLOCK);
    if (!fd && fd.error().code == ErrorCode::not_found)
        return fail(ErrorCode::not_found, "the file {} does not exist", source_.file.string());
    if (!fd) return Failure(fd.error());
    opened.input.fd = *std::move(fd);
    if (::fstat(opened.input.fd.get(), &opened.info) != 0) return fail_errno(source_.file.string());
    if (!S_ISREG(opened.info.st_mode)) return fail(ErrorCode::bad_input, "{} is not a file", source_.file.string());
    opened.validator = file_validator(opened.info);
    return opened;
}

/// A source that is known but may have changed is hashed first: most often only its time is new.
Result<Resolved> CachedSource::by_content(Opened& opened) {
    VMETTE_TRY(std::string content, sha256_fd(opened.input.fd.get(), opened.input.name));
    VMETTE_CHECK_OK(check_content(content));
    auto record = context_.index.find_content("sha256:" + content);
    if (record && record->provider == provider_) {
        auto image = open_image(context_.layout, record->digest, record->bytes);
        if (image) return remember(*std::move(image), content, is_settled(opened.info) ? opened.validator : "");
        [[maybe_unused]] auto forgotten = context_.index.remove(record->digest);
    }
    return build(opened);
}

Result<Resolved> CachedSource::build(Opened& opened) {
    std::string doing = "an image was made from " + opened.input.name;
    auto built = build_(opened.input, context_);
    if (!built) return Failure(name_full_cache(built.error(), doing));
    VMETTE_CHECK_OK(check_content(built->content));
    std::string validator = opened.validator;
    if (source_.is_file()) {
        struct stat after{};
        if (::fstat(opened.input.fd.get(), &after) != 0) return fail_errno(opened.input.name);
        if (file_validator(after) != opened.validator)
            return fail(ErrorCode::io, "{} changed while it was read", opened.input.name);
        if (!is_settled(opened.info)) validator.clear();
    }
    auto image = std::move(built->image).publish(context_.layout);
    if (!image) return Failure(name_full_cache(image.error(), doing));
    return remember(*std::move(image), built->content, validator);
}

Result<Resolved> CachedSource::resolve_file() {
    struct stat info{};
    if (context_.pull != PullPolicy::always && ::stat(source_.file.c_str(), &info) == 0)
        if (auto ready = usable(file_validator(info))) return *std::move(ready);
    VMETTE_TRY(Fd lock, take_lock(context_.layout, source_.key(), context_.cancelled));
    VMETTE_TRY(Opened opened, open_input());
    // Another process may have done the work while this one waited for the lock.
    if (context_.pull != PullPolicy::always)
        if (auto ready = usable(opened.validator)) return *std::move(ready);
    bool known = !source_.sha256.empty() || context_.index.find_source(source_.text).has_value();
    return known ? by_content(opened) : build(opened);
}

Result<Resolved> CachedSource::resolve_url() {
    bool may_fetch = !context_.offline && context_.pull != PullPolicy::never;
    bool must_ask = may_fetch && context_.pull == PullPolicy::always;
    auto from_cache = [&]() -> std::optional<Resolved> {
        if (auto ready = open_record(context_.index.find_source(source_.text))) return ready;
        // With a checksum the content is known, whatever it was called when it came.
        if (source_.sha256.empty()) return std::nullopt;
        auto record = context_.index.find_content("sha256:" + source_.sha256);
        return record && record->provider == provider_ ? open_record(record) : std::nullopt;
    };
    if (!must_ask)
        if (auto ready = from_cache()) return *std::move(ready);
    if (!may_fetch)
        return fail(ErrorCode::offline, "{} is not in the cache, and {} rules out a download", source_.text,
                    context_.offline ? "--offline" : "pull = \"never\"");
    VMETTE_TRY(Fd lock, take_lock(context_.layout, source_.key(), context_.cancelled));
    auto ready = from_cache();
    if (ready && !must_ask) return *std::move(ready);
    auto record = ready ? context_.index.find_source(source_.text) : std::nullopt;
    auto fetched = download(source_, record ? record->validator : "", context_);
    if (!fetched) return Failure(name_full_cache(fetched.error(), source_.url + " was downloaded"));
    if (!*fetched) {
        if (ready) return *std::move(ready);
        return fail(ErrorCode::network, "{} answered 304 although nothing was there to compare with", source_.url);
    }
    Opened opened;
    opened.input = Input{std::move((*fetched)->fd), source_.url};
    opened.validator = (*fetched)->validator;
    auto result = ready ? by_content(opened) : build(opened);
    // Kept only when the cache was at fault: bytes that make no image would make none the next time either.
    if (result || result.error().code == ErrorCode::bad_image) forget_download(source_, context_.layout);
    return result;
}

Result<Resolved> CachedSource::run() {
    VMETTE_CHECK_OK(prepare_images(context_.layout));
    return source_.is_file() ? resolve_file() : resolve_url();
}

}  // namespace

Result<Resolved> resolve_cached(const UrlSource& source, std::string_view provider, const Context& context,
                                const Builder& build) {
    return CachedSource(source, provider, context, build).run();
}

}  // namespace vmette::rootfs
