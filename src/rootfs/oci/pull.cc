#include "rootfs/oci/pull.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>

#include "base/digest.h"
#include "base/text.h"
#include "base/units.h"
#include "rootfs/image_cache.h"
#include "rootfs/oci/pull_protocol.h"
#include "rootfs/report.h"
#include "rootfs/worker_client.h"

namespace vmette::rootfs::oci {
namespace {

constexpr std::string_view kDigestPrefix = "sha256:";
/// Another process may remove a layer between its download and its opening, once it has merged it.
constexpr int kMaxRounds = 3;
/// Indexes in one another.
constexpr int kMaxIndexes = 2;

std::string hex_of(const std::string& digest) { return digest.substr(kDigestPrefix.size()); }

/// How a host is spoken to: loopback may be without TLS, unless certificates are configured for it.
std::string scheme_for(const std::string& host, const RegistrySettings& settings, bool mirror) {
    if (!mirror && settings.plain_http) return words::kHttp;
    return is_loopback_host(host) && settings.ca_certs.empty() ? words::kEither : words::kHttps;
}

Fields opening(const PullRequest& request, const Context& context) {
    Fields fields{{words::kRepository, request.reference.repository},
                  {words::kUser, request.credentials.user},
                  {words::kPassword, request.credentials.password},
                  {words::kIdentityToken, request.credentials.identity_token},
                  {words::kRegistryToken, request.credentials.registry_token},
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

/// Writes one request without ever waiting: a worker that does not read must not keep the caller from cancelling.
class RequestWriter {
public:
    RequestWriter(int socket, std::string line) : socket_(socket), line_(std::move(line)) {}
    Result<int> step() {
        while (at_ < line_.size()) {
            ssize_t n = ::send(socket_, line_.data() + at_, line_.size() - at_, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0 && errno == EAGAIN) return socket_;
            // The worker has ended: its report says why.
            if (n < 0) break;
            at_ += static_cast<std::size_t>(n);
        }
        return -1;
    }

private:
    int socket_;
    std::string line_;
    std::size_t at_ = 0;
};

class Pull {
public:
    Pull(const PullRequest& request, const Context& context) : request_(request), context_(context) {}
    Result<Pulled> run(const std::function<bool(const Documents&)>& wanted);

private:
    struct Text {
        std::string text;
        std::string type;
        std::string digest;
    };
    Result<> start();
    Result<Fields> ask(const Fields& request);
    Result<Text> get_document(Fields request, const std::string& expected);
    Result<Text> get_manifest(const std::string& subject, const std::string& by, const Descriptor* descriptor);
    Result<Documents> get_documents();
    Result<> check_image(const Documents& documents) const;
    Result<std::vector<Layer>> get_layers(const std::vector<Descriptor>& layers);
    Result<> fetch_layers(const std::vector<Descriptor>& layers);
    Result<Fd> open_layer(const Descriptor& layer) const;

    std::string name() const { return request_.reference.text(); }
    /// A predicate of the parsers becomes a sentence.
    Failure about(Error error) const {
        error.message = name() + " " + error.message;
        return Failure(std::move(error));
    }
    Failure bad(std::string_view what) const { return fail(ErrorCode::bad_image, "{}: {}", name(), what); }

    const PullRequest& request_;
    const Context& context_;
    Worker worker_;
    Fd socket_;
    Fd documents_;
    std::string pending_;  ///< the opening, until the first request
    std::vector<Descriptor> fetching_;
};

Result<> Pull::start() {
    auto made = make_private_dir(context_.layout.layers_dir());
    auto folder = made ? open_file(context_.layout.layers_dir(), O_RDONLY | O_DIRECTORY) : Failure(made.error());
    if (!folder) return Failure(folder.error());
    documents_ = Fd(::memfd_create("vmette-documents", MFD_CLOEXEC));
    if (!documents_) return fail_errno("memfd_create");
    VMETTE_TRY(auto sockets, make_socketpair());
    VMETTE_TRY(worker_, Worker::start({"pull"}, sockets[1].get(),
                                      {{documents_.get(), kWorkerOutput}, {folder->get(), kWorkerState}}));
    socket_ = std::move(sockets[0]);
    pending_ = encode_fields(opening(request_, context_)) + "\n";
    return {};
}

Result<Fields> Pull::ask(const Fields& request) {
    RequestWriter writer(socket_.get(), std::exchange(pending_, {}) + encode_fields(request) + "\n");
    auto progress = [&](const ProgressLine& line) {
        auto at = parse_number(line.item);
        if (!context_.progress || !at || *at >= fetching_.size()) return;
        context_.progress(Progress{"download", line.done, fetching_[*at].size, fetching_[*at].digest});
    };
    auto answer = worker_.run([&] { return writer.step(); }, progress, context_.cancelled);
    if (answer) return answer;
    Error error = answer.error();
    bool of_registry = error.code == ErrorCode::network || error.code == ErrorCode::not_found ||
                       error.code == ErrorCode::bad_image || error.code == ErrorCode::bad_input;
    if (of_registry) error.message = name() + ": " + error.message;
    return Failure(name_full_cache(std::move(error), name() + " was pulled"));
}

/// `expected`: the digest that it must have; empty when only the registry knows.
Result<Pull::Text> Pull::get_document(Fields request, const std::string& expected) {
    VMETTE_TRY(Fields answer, ask(request));
    auto size = parse_number(answer[words::kSize]).value_or(kMaxDocument + 1);
    if (size > kMaxDocument) return fail(ErrorCode::protocol, "the image worker sent a document that is too large");
    Text document;
    document.text.resize(size);
    std::size_t at = 0;
    while (at < size) {
        ssize_t n = ::pread(documents_.get(), document.text.data() + at, size - at, static_cast<off_t>(at));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return fail(ErrorCode::protocol, "the image worker sent less than it said");
        at += static_cast<std::size_t>(n);
    }
    document.type = answer[words::kType];
    document.digest = std::string(kDigestPrefix) + sha256_hex(document.text);
    if (!expected.empty() && document.digest != expected)
        return bad(fmt::format("{} has another content than its digest says", request[words::kSubject]));
    return document;
}

Result<Pull::Text> Pull::get_manifest(const std::string& subject, const std::string& by, const Descriptor* descriptor) {
    Fields request{{words::kDo, words::kManifest},
                   {words::kWanted, by},
                   {words::kAccept, accepted_media_types()},
                   {words::kSubject, subject}};
    if (descriptor != nullptr) request[words::kSize] = std::to_string(descriptor->size);
    return get_document(std::move(request), by.starts_with(kDigestPrefix) ? by : "");
}

Result<Documents> Pull::get_documents() {
    VMETTE_TRY(Text top, get_manifest("the manifest", request_.reference.wanted(), nullptr));
    auto parsed = parse_document(top.text, top.type);
    if (!parsed) return about(parsed.error());
    Documents documents;
    documents.top_digest = documents.manifest_digest = top.digest;
    for (int depth = 0; depth < kMaxIndexes && std::holds_alternative<Index>(*parsed); ++depth) {
        auto chosen = choose_platform(std::get<Index>(*parsed), request_.platform);
        if (!chosen) return about(chosen.error());
        documents.manifest_digest = chosen->digest;
        VMETTE_TRY(Text inner, get_manifest("the manifest " + chosen->digest, chosen->digest, &*chosen));
        parsed = parse_document(inner.text, inner.type);
        if (!parsed) return about(parsed.error());
    }
    auto* manifest = std::get_if<Manifest>(&*parsed);
    if (manifest == nullptr) return bad(fmt::format("more than {} indexes lead to its manifest", kMaxIndexes));
    documents.manifest = std::move(*manifest);
    const Descriptor& config = documents.manifest.config;
    if (config.size > kMaxDocument) return bad(fmt::format("its config is larger than {}", human_size(kMaxDocument)));
    VMETTE_TRY(Text text, get_document({{words::kDo, words::kBlob},
                                        {words::kWanted, config.digest},
                                        {words::kSubject, "the config " + config.digest},
                                        {words::kSize, std::to_string(config.size)}},
                                       config.digest));
    auto image = parse_config(text.text);
    if (!image) return about(image.error());
    documents.image = *std::move(image);
    VMETTE_CHECK_OK(check_image(documents));
    return documents;
}

Result<> Pull::check_image(const Documents& documents) const {
    const Platform& is = documents.image.platform;
    if (!is_for(is, request_.platform))
        return bad(fmt::format("it is an image for {}, not for {}", to_text(is), to_text(request_.platform)));
    const auto& layers = documents.manifest.layers;
    if (layers.size() != documents.image.diff_ids.size())
        return bad(
            fmt::format("its manifest names {} layers, its config {}", layers.size(), documents.image.diff_ids.size()));
    std::map<std::string, std::uint64_t> sizes;
    for (const Descriptor& layer : layers) {
        if (layer.size > context_.limits.max_download)
            return bad(fmt::format("the layer {} is of {}, more than the {} that one download may have", layer.digest,
                                   human_size(layer.size), human_size(context_.limits.max_download)));
        auto [known, is_new] = sizes.emplace(layer.digest, layer.size);
        if (!is_new && known->second != layer.size)
            return bad(fmt::format("the layer {} is named twice, with different sizes", layer.digest));
    }
    return {};
}

Result<> Pull::fetch_layers(const std::vector<Descriptor>& layers) {
    fetching_ = layers;
    Fields request{{words::kDo, words::kLayers}};
    for (std::size_t i = 0; i < layers.size(); ++i)
        request[words::kLayer + std::to_string(i)] = fmt::format("{} {}", hex_of(layers[i].digest), layers[i].size);
    VMETTE_TRY(auto ignored, ask(request));
    (void)ignored;
    return {};
}

/// No descriptor when it is not there, or not whole.
Result<Fd> Pull::open_layer(const Descriptor& layer) const {
    auto fd = open_file(context_.layout.layers_dir() / hex_of(layer.digest), O_RDONLY | O_NOFOLLOW);
    if (!fd && fd.error().code == ErrorCode::not_found) return Fd();
    if (!fd) return fd;
    struct stat info{};
    if (::fstat(fd->get(), &info) != 0) return fail_errno("look at a layer");
    bool whole = S_ISREG(info.st_mode) && static_cast<std::uint64_t>(info.st_size) == layer.size;
    return whole ? std::move(*fd) : Fd();
}

Result<std::vector<Layer>> Pull::get_layers(const std::vector<Descriptor>& layers) {
    std::vector<Layer> opened(layers.size());
    for (int round = 0;; ++round) {
        std::vector<Descriptor> missing;
        for (std::size_t i = 0; i < layers.size(); ++i) {
            if (opened[i].fd) continue;
            VMETTE_TRY(opened[i].fd, open_layer(layers[i]));
            opened[i].descriptor = layers[i];
            auto same = [&](const auto& other) { return other.digest == layers[i].digest; };
            if (!opened[i].fd && std::none_of(missing.begin(), missing.end(), same)) missing.push_back(layers[i]);
        }
        if (missing.empty()) return opened;
        if (round == kMaxRounds) return fail(ErrorCode::io, "{}: its layers vanish from the cache", name());
        VMETTE_CHECK_OK(fetch_layers(missing));
    }
}

Result<Pulled> Pull::run(const std::function<bool(const Documents&)>& wanted) {
    VMETTE_CHECK_OK(start());
    Pulled pulled;
    VMETTE_TRY(pulled.documents, get_documents());
    if (!wanted(pulled.documents)) return pulled;
    VMETTE_TRY(pulled.layers, get_layers(pulled.documents.manifest.layers));
    return pulled;
}

}  // namespace

Result<Pulled> pull(const PullRequest& request, const Context& context,
                    const std::function<bool(const Documents&)>& wanted) {
    return Pull(request, context).run(wanted);
}

void forget_layers(const Manifest& manifest, const Layout& layout) {
    for (const Descriptor& layer : manifest.layers) ::unlink((layout.layers_dir() / hex_of(layer.digest)).c_str());
}

}  // namespace vmette::rootfs::oci
