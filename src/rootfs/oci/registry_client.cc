#include "rootfs/oci/registry_client.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "base/log.h"
#include "base/text.h"
#include "rootfs/image_cache.h"
#include "rootfs/oci/auth_variable.h"
#include "rootfs/oci/pull_protocol.h"

namespace vmette::rootfs::oci {
namespace {

/// How a host is spoken to: loopback may be without TLS, unless certificates are configured for it.
std::string scheme_for(const std::string& host, const RegistrySettings& settings, bool mirror) {
    if (!mirror && settings.plain_http) return words::kHttp;
    return is_loopback_host(host) && settings.ca_certs.empty() ? words::kEither : words::kHttps;
}

/// What a person may do whom the registry does not let in.
std::string login_advice(const PullRequest& request) {
    const std::string& registry = request.reference.registry;
    std::string variable = auth_variable(registry).value_or("VMETTE_OCI_TOKEN");
    if (!request.credentials.empty())
        return fmt::format("they come from {}, VMETTE_OCI_TOKEN or what `docker login {}` stored", variable, registry);
    return fmt::format("{}=USER:PASSWORD or `docker login {}` gives credentials", variable, registry);
}

Fields opening(const PullRequest& request, const Context& context) {
    Fields fields{{words::kRepository, request.reference.repository},
                  {words::kUser, request.credentials.user},
                  {words::kPassword, request.credentials.password},
                  {words::kIdentityToken, request.credentials.identity_token},
                  {words::kRegistryToken, request.credentials.registry_token},
                  {words::kLoginAdvice, login_advice(request)},
                  {words::kMaxDownload, std::to_string(context.limits.max_download)},
                  {words::kStall, std::to_string(context.limits.stall.count())},
                  {words::kTotal, std::to_string(context.limits.total.count())},
                  {words::kCertificates + std::string("0"), context.ca_certs.string()},
                  {words::kCertificates + std::string("1"), request.registry.ca_certs.string()}};
    int count = 0;
    auto add = [&](const std::string& host, bool mirror) {
        fields[words::kEndpoint + std::to_string(count++)] = scheme_for(host, request.registry, mirror) + " " + host;
    };
    for (const std::string& mirror : request.registry.mirrors) add(mirror, true);
    add(request.reference.endpoint(), false);
    return fields;
}

}  // namespace

Result<> RegistryClient::start() {
    auto made = make_cache_dir(context_.layout.layers_dir());
    auto folder = made ? open_file(context_.layout.layers_dir(), O_RDONLY | O_DIRECTORY) : Failure(made.error());
    if (!folder) return Failure(folder.error());
    documents_ = Fd(::memfd_create("vmette-documents", MFD_CLOEXEC));
    if (!documents_) return fail_errno("memfd_create");
    VMETTE_TRY(auto sockets, make_socketpair());
    VMETTE_TRY(worker_, Worker::start({"pull"}, sockets[1].get(),
                                      {{documents_.get(), kWorkerOutput}, {folder->get(), kWorkerState}}));
    worker_.on_notice([this](const std::string& text) {
        if (context_.notice) context_.notice(name() + ": " + text);
    });
    socket_ = std::move(sockets[0]);
    unsent_ = encode_fields(opening(request_, context_)) + "\n";
    running_ = true;
    return {};
}

/// For Worker::run. Never waits: a worker that does not read must not keep the caller from cancelling.
Result<int> RegistryClient::write_some() {
    while (!unsent_.empty()) {
        ssize_t n = ::send(socket_.get(), unsent_.data(), unsent_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return socket_.get();
        // The worker has ended: its report says why.
        if (n < 0) break;
        unsent_.erase(0, static_cast<std::size_t>(n));
    }
    return -1;
}

Result<> RegistryClient::begin(const Fields& request) {
    if (!running_) VMETTE_CHECK_OK(start());
    unsent_ += encode_fields(request) + "\n";
    return {};
}

Result<Fields> RegistryClient::settle(Result<Fields> answer) {
    if (answer) {
        for (const auto& [key, text] : *answer)
            if (key.starts_with(words::kRemark)) log(LogLevel::warn, "{}: {}", name(), harmless_line(text, 500));
        return answer;
    }
    running_ = false;
    Error error = answer.error();
    bool of_registry = error.code == ErrorCode::network || error.code == ErrorCode::not_found ||
                       error.code == ErrorCode::bad_image || error.code == ErrorCode::bad_input;
    if (of_registry) error.message = name() + ": " + error.message;
    return Failure(name_full_cache(std::move(error), name() + " was pulled"));
}

Result<std::optional<Fields>> RegistryClient::answer() {
    auto come = worker_.turn([this] { return write_some(); }, progress_);
    if (come && !*come) return std::nullopt;
    VMETTE_TRY(Fields fields, settle(come ? Result<Fields>(**std::move(come)) : Failure(come.error())));
    return fields;
}

Result<Fields> RegistryClient::wait() {
    return settle(worker_.run([this] { return write_some(); }, progress_, context_.cancelled));
}

Result<Fields> RegistryClient::ask(const Fields& request) {
    VMETTE_CHECK_OK(begin(request));
    return wait();
}

Result<std::string> RegistryClient::document(std::uint64_t size) const {
    if (size > kMaxDocument) return fail(ErrorCode::protocol, "the image worker sent a document that is too large");
    std::string text(size, '\0');
    for (std::size_t at = 0; at < size;) {
        ssize_t n = ::pread(documents_.get(), text.data() + at, size - at, static_cast<off_t>(at));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return fail(ErrorCode::protocol, "the image worker sent less than it said");
        at += static_cast<std::size_t>(n);
    }
    return text;
}

}  // namespace vmette::rootfs::oci
