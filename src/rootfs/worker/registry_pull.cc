#include "rootfs/worker/registry_pull.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>

#include "base/digest.h"
#include "base/fd.h"
#include "base/text.h"
#include "base/units.h"
#include "rootfs/oci/manifest.h"
#include "rootfs/oci/pull_protocol.h"
#include "rootfs/worker/confine.h"
#include "rootfs/worker/layer_download.h"
#include "rootfs/worker/registry_get.h"

namespace vmette::rootfs {
namespace {

namespace words = oci::words;

/// Memory of a pull: libraries, TLS, the windows of HTTP/2, one document, threads that look names up.
constexpr std::uint64_t kMaxMemory = 512 * kMiB;
constexpr std::string_view kDigestPrefix = "sha256:";

Failure not_a_request() { return fail(ErrorCode::protocol, "the request cannot be read"); }

std::uint64_t number(Fields& fields, const std::string& name) { return parse_number(fields[name]).value_or(0); }

/// The values of "NAME0", "NAME1", … in order.
std::vector<std::string> list(const Fields& fields, const std::string& name) {
    std::vector<std::string> values;
    for (auto found = fields.find(name + "0"); found != fields.end();
         found = fields.find(name + std::to_string(values.size())))
        values.push_back(found->second);
    return values;
}

/// Requests line by line; none at the end.
class RequestReader {
public:
    Result<std::optional<Fields>> next() {
        std::size_t end = 0;
        while ((end = pending_.find('\n')) == pending_.npos) {
            char buffer[4096];
            ssize_t n = ::read(kWorkerInput, buffer, sizeof buffer);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) return fail_errno("read the request");
            if (n == 0) return std::nullopt;
            pending_.append(buffer, static_cast<std::size_t>(n));
            if (pending_.size() > words::kMaxRequest) return not_a_request();
        }
        auto fields = decode_fields(std::string_view(pending_).substr(0, end));
        pending_.erase(0, end + 1);
        if (!fields) return not_a_request();
        return fields;
    }

private:
    std::string pending_;
};

/// A manifest, an index or a config in memory.
class Document final : public BodyTaker {
public:
    /// `size`: what it must have, when known; `hex`: its SHA-256, empty when it is not known.
    Document(std::string subject, std::optional<std::uint64_t> size, std::string hex)
        : subject_(std::move(subject)), size_(size), hex_(std::move(hex)) {}

    std::uint64_t offset() const override { return 0; }
    bool full() const override { return false; }
    Result<> begin(const HttpAnswer& answer, std::optional<std::uint64_t> length) override {
        text_.clear();
        auto header = [&](const char* name) {
            auto found = answer.headers.find(name);
            return found != answer.headers.end() ? found->second : std::string();
        };
        type_ = header("content-type");
        type_ = type_.substr(0, type_.find_first_of("; \t"));
        told_ = header("docker-content-digest");
        return length ? check(*length) : Result<>();
    }
    Result<> take(std::string_view piece) override {
        VMETTE_CHECK_OK(check(text_.size() + piece.size()));
        text_ += piece;
        return {};
    }
    Result<bool> finish() override {
        if (size_ && text_.size() < *size_) return false;
        std::string is = sha256_hex(text_);
        if (!hex_.empty() && is != hex_)
            return fail(ErrorCode::bad_image, "{} has another content than its digest says", subject_);
        if (told_.starts_with(kDigestPrefix) && told_.substr(kDigestPrefix.size()) != is)
            return fail(ErrorCode::bad_image, "{} has another content than the registry's digest of it says", subject_);
        return true;
    }

    const std::string& text() const { return text_; }
    const std::string& type() const { return type_; }

private:
    Result<> check(std::uint64_t size) const {
        if (size > oci::kMaxDocument)
            return fail(ErrorCode::bad_image, "{} is larger than {}", subject_, human_size(oci::kMaxDocument));
        if (size_ && size > *size_)
            return fail(ErrorCode::bad_image, "{} is larger than the {} bytes that are said of it", subject_, *size_);
        return {};
    }

    std::string subject_;
    std::optional<std::uint64_t> size_;
    std::string hex_;
    std::string text_;
    std::string type_;
    std::string told_;
};

Result<RegistrySession> open_session(Fields& fields) {
    RegistrySession session;
    HttpSettings settings;
    settings.stall = std::chrono::seconds(std::max<std::uint64_t>(1, number(fields, words::kStall)));
    settings.ca_certs = list(fields, words::kCertificates);
    std::erase(settings.ca_certs, "");
    session.total = std::chrono::seconds(number(fields, words::kTotal));
    session.repository = fields[words::kRepository];
    session.login_advice = fields[words::kLoginAdvice];
    session.on_retry = [](const std::string& text) {
        // When the parent is gone there is nobody left to tell.
        [[maybe_unused]] auto told = write_all(kWorkerReport, encode_line(NoticeLine{text}));
    };
    oci::Credentials own{fields[words::kUser], fields[words::kPassword], fields[words::kIdentityToken],
                         fields[words::kRegistryToken]};
    auto endpoints = list(fields, words::kEndpoint);
    if (endpoints.empty() || session.repository.empty()) return not_a_request();
    for (const std::string& text : endpoints) {
        std::size_t blank = text.find(' ');
        if (blank == text.npos) return not_a_request();
        bool mirror = session.endpoints.size() + 1 < endpoints.size();
        std::string scheme = text.substr(0, blank);
        session.endpoints.push_back(Endpoint{.host = text.substr(blank + 1),
                                             .mirror = mirror,
                                             .plain_http = scheme == words::kHttp,
                                             .may_be_plain = scheme == words::kEither,
                                             .down = false,
                                             .authorizer = {mirror ? oci::Credentials{} : own, session.repository}});
    }
    VMETTE_TRY(session.http, HttpClient::create(std::move(settings)));
    return session;
}

Result<Fields> get_document(RegistrySession& session, Fields& request) {
    bool manifest = request[words::kDo] == words::kManifest;
    const std::string& wanted = request[words::kWanted];
    std::string hex = wanted.starts_with(kDigestPrefix) ? wanted.substr(kDigestPrefix.size()) : "";
    Document document(request[words::kSubject], parse_number(request[words::kSize]), hex);
    RegistryGet get(session, request[words::kSubject], (manifest ? "/manifests/" : "/blobs/") + wanted,
                    {"Accept: " + (manifest ? request[words::kAccept] : "*/*")}, document,
                    number(request, words::kFirst));
    run(session, get);
    if (get.error()) return Failure(*get.error());
    if (::ftruncate(kWorkerOutput, 0) != 0 || ::lseek(kWorkerOutput, 0, SEEK_SET) != 0)
        return fail_errno("hand a document over");
    VMETTE_CHECK_OK(write_all(kWorkerOutput, document.text()));
    return Fields{{words::kSize, std::to_string(document.text().size())},
                  {words::kType, harmless_line(document.type(), 200)},
                  {words::kFrom, std::to_string(get.at())}};
}

/// Tells the parent how far each layer is, five times a second at most, and when it is whole.
class LayerReport {
public:
    explicit LayerReport(const std::vector<WantedLayer>& layers) : layers_(layers), next_(layers.size()) {}
    void operator()(std::size_t layer, std::uint64_t bytes) {
        auto now = std::chrono::steady_clock::now();
        if (now < next_[layer] && bytes < layers_[layer].size) return;
        next_[layer] = now + std::chrono::milliseconds(200);
        // When the parent is gone there is nobody left to tell.
        [[maybe_unused]] auto told =
            write_all(kWorkerReport, encode_line(ProgressLine{bytes, layers_[layer].size, std::to_string(layer)}));
    }

private:
    const std::vector<WantedLayer>& layers_;
    std::vector<MonotonicTime> next_;
};

Result<Fields> get_layers(RegistrySession& session, const Fields& request) {
    std::vector<WantedLayer> layers;
    for (const std::string& text : list(request, words::kLayer)) {
        std::size_t blank = std::min(text.find(' '), text.size());
        auto size = parse_number(std::string_view(text).substr(std::min(blank + 1, text.size())));
        if (!size || blank != 64) return not_a_request();
        layers.push_back({text.substr(0, blank), *size});
    }
    LayerReport report(layers);
    VMETTE_CHECK_OK(download_layers(session, kWorkerState, layers, std::ref(report)));
    return Fields{};
}

}  // namespace

Result<Fields> serve_pull() {
    RequestReader requests;
    VMETTE_TRY(auto first, requests.next());
    if (!first) return not_a_request();
    VMETTE_CHECK_OK(
        limit_resources(std::max<std::uint64_t>(number(*first, words::kMaxDownload), oci::kMaxDocument), kMaxMemory));
    VMETTE_TRY(RegistrySession session, open_session(*first));
    while (true) {
        VMETTE_TRY(auto request, requests.next());
        if (!request) return Fields{};
        bool layers = (*request)[words::kDo] == words::kLayers;
        VMETTE_TRY(Fields answer, layers ? get_layers(session, *request) : get_document(session, *request));
        for (std::size_t i = 0; i < session.remarks.size(); ++i)
            answer[words::kRemark + std::to_string(i)] = harmless_line(session.remarks[i], 500);
        session.remarks.clear();
        VMETTE_CHECK_OK(write_all(kWorkerReport, encode_line(AnswerLine{std::move(answer)})));
    }
}

}  // namespace vmette::rootfs
