#include "rootfs/worker/http.h"

#include <curl/curl.h>

#include <algorithm>

#include "base/text.h"
#include "base/units.h"
#include "rootfs/worker/certificates.h"

namespace vmette::rootfs {
namespace {

constexpr long kMaxRedirects = 10;
constexpr long kMaxConnections = 8;
/// Of all answers of one transfer together. libcurl keeps every header it sees.
constexpr std::size_t kMaxHeaders = 256 * kKiB;
constexpr std::size_t kMaxErrorBody = 4 * kKiB;

struct CloseCurl {
    void operator()(CURL* handle) const { ::curl_easy_cleanup(handle); }
};
struct FreeList {
    void operator()(curl_slist* list) const { ::curl_slist_free_all(list); }
};

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

std::string_view trim(std::string_view text) {
    while (!text.empty() && (text.back() == '\r' || text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    return text;
}

/// "https://host:port" of a URL, with the port always said; empty when it is none.
std::string origin_of(const char* url) {
    std::unique_ptr<CURLU, void (*)(CURLU*)> parsed(::curl_url(), ::curl_url_cleanup);
    if (url == nullptr || !parsed || ::curl_url_set(parsed.get(), CURLUPART_URL, url, 0) != CURLUE_OK) return "";
    std::string origin;
    for (CURLUPart part : {CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT}) {
        char* text = nullptr;
        if (::curl_url_get(parsed.get(), part, &text, CURLU_DEFAULT_PORT) != CURLUE_OK) return "";
        origin += (origin.empty() ? "" : ":") + lower(text);
        ::curl_free(text);
    }
    return origin;
}

FaultKind kind_of(CURLcode code) {
    switch (code) {
        case CURLE_COULDNT_RESOLVE_HOST:
        case CURLE_COULDNT_RESOLVE_PROXY:
            return FaultKind::nowhere;
        case CURLE_COULDNT_CONNECT:
        case CURLE_OPERATION_TIMEDOUT:  // of connecting; all else is timed here
        case CURLE_RECV_ERROR:
        case CURLE_SEND_ERROR:
        case CURLE_GOT_NOTHING:
        case CURLE_PARTIAL_FILE:
        case CURLE_HTTP2:
        case CURLE_HTTP2_STREAM:
            return FaultKind::broken;
        case CURLE_SSL_CONNECT_ERROR:
            return FaultKind::no_tls;
        default:
            return FaultKind::final;
    }
}

}  // namespace

struct HttpTransfer::State {
    State(const HttpSettings& its_settings, HttpCall its_call, Sink its_sink)
        : settings(its_settings), call(std::move(its_call)), sink(std::move(its_sink)) {}

    void prepare();
    void prepare_callbacks();
    void take_header(std::string_view line);
    std::size_t take_body(std::string_view data);
    void end(CURLcode code);
    void end(HttpFault how);
    HttpFault explain(CURLcode code) const;
    bool silent_handshake(CURLcode code) const;
    void watch(MonotonicTime now);
    void read_answer();
    std::chrono::seconds connect_limit() const { return std::min(call.connect, settings.stall); }

    const HttpSettings& settings;
    HttpCall call;
    Sink sink;
    std::unique_ptr<CURL, CloseCurl> curl;
    std::unique_ptr<curl_slist, FreeList> headers;
    char reason[CURL_ERROR_SIZE] = {};
    CURLM* multi = nullptr;  ///< while it runs
    HttpAnswer answer;
    std::optional<HttpFault> fault;
    bool finished = false;
    std::size_t header_bytes = 0;
    std::uint64_t bytes = 0;         ///< all that came, headers too
    std::uint64_t bytes_before = 0;  ///< when the window began
    MonotonicTime window = std::chrono::steady_clock::now();
};

void HttpTransfer::State::take_header(std::string_view line) {
    // Each answer of a chain of redirects starts anew.
    if (line.starts_with("HTTP/")) answer = {};
    auto colon = line.find(':');
    if (colon == line.npos) return;
    std::string name = lower(line.substr(0, colon));
    std::string value(trim(line.substr(colon + 1)));
    if (name == "www-authenticate") answer.challenges.push_back(value);
    answer.headers[name] = std::move(value);
}

std::size_t HttpTransfer::State::take_body(std::string_view data) {
    bytes += data.size();
    ::curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &answer.status);
    if (answer.status != 200 && answer.status != 206) {
        answer.body.append(data.substr(0, kMaxErrorBody - std::min(kMaxErrorBody, answer.body.size())));
        // More of an error is not worth the wait: a page without end would be one.
        return answer.body.size() < kMaxErrorBody ? data.size() : 0;
    }
    auto taken = sink(answer, data);
    if (taken) return data.size();
    fault = HttpFault{FaultKind::sink, taken.error()};
    return 0;
}

void HttpTransfer::State::prepare_callbacks() {
    auto on_body = [](char* data, std::size_t one, std::size_t count, void* self) {
        return static_cast<State*>(self)->take_body({data, one * count});
    };
    auto on_header = [](char* data, std::size_t one, std::size_t count, void* self) -> std::size_t {
        auto& state = *static_cast<State*>(self);
        state.header_bytes += one * count;
        state.bytes += one * count;
        if (state.header_bytes > kMaxHeaders) return 0;
        state.take_header({data, one * count});
        return one * count;
    };
    using Callback = std::size_t (*)(char*, std::size_t, std::size_t, void*);
    ::curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, static_cast<Callback>(on_body));
    ::curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, this);
    ::curl_easy_setopt(curl.get(), CURLOPT_HEADERFUNCTION, static_cast<Callback>(on_header));
    ::curl_easy_setopt(curl.get(), CURLOPT_HEADERDATA, this);
}

void HttpTransfer::State::prepare() {
    curl.reset(::curl_easy_init());
    if (!curl) return;
    CURL* c = curl.get();
    bool secure = lower(call.url.substr(0, 6)) == "https:";
    ::curl_easy_setopt(c, CURLOPT_URL, call.url.c_str());
    ::curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, secure ? "https" : "http");
    ::curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "http,https");
    ::curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, call.form.empty() && settings.unix_socket.empty() ? 1L : 0L);
    ::curl_easy_setopt(c, CURLOPT_MAXREDIRS, kMaxRedirects);
    ::curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, static_cast<long>(connect_limit().count()));
    // Else it would be five minutes by default; the deadline is watched here.
    ::curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, 0L);
    ::curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    ::curl_easy_setopt(c, CURLOPT_NOPROGRESS, 1L);
    ::curl_easy_setopt(c, CURLOPT_USERAGENT, "vmette/" VMETTE_VERSION);
    ::curl_easy_setopt(c, CURLOPT_BUFFERSIZE, static_cast<long>(256 * kKiB));
    ::curl_easy_setopt(c, CURLOPT_ERRORBUFFER, reason);
    ::curl_easy_setopt(c, CURLOPT_PRIVATE, this);
    if (!call.form.empty()) {
        ::curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(call.form.size()));
        ::curl_easy_setopt(c, CURLOPT_POSTFIELDS, call.form.c_str());
    }
    if (!settings.unix_socket.empty()) {
        ::curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, settings.unix_socket.c_str());
        // One of the environment would be greeted through the socket.
        ::curl_easy_setopt(c, CURLOPT_PROXY, "");
    }
    curl_slist* list = nullptr;
    for (const std::string& header : call.headers) list = ::curl_slist_append(list, header.c_str());
    headers.reset(list);
    ::curl_easy_setopt(c, CURLOPT_HTTPHEADER, list);
    trust_certificates(c, settings.ca_certs);
    prepare_callbacks();
}

HttpFault HttpTransfer::State::explain(CURLcode code) const {
    auto because = [&](FaultKind kind, std::string text) {
        return HttpFault{kind, Error{ErrorCode::network, std::move(text), nullptr}};
    };
    std::string detail = harmless_line(reason[0] != 0 ? reason : ::curl_easy_strerror(code), 200);
    switch (code) {
        case CURLE_UNSUPPORTED_PROTOCOL:
            return because(FaultKind::final, fmt::format("it redirects to where {} must not lead ({})",
                                                         call.url.substr(0, call.url.find(':')), detail));
        case CURLE_TOO_MANY_REDIRECTS:
            return because(FaultKind::final, fmt::format("it redirects more than {} times", kMaxRedirects));
        case CURLE_PEER_FAILED_VERIFICATION:
            return because(FaultKind::final,
                           fmt::format("it has no certificate that is trusted here ({}; the registry's "
                                       "ca_certs in config.toml says what else to trust)",
                                       detail));
        case CURLE_SSL_CACERT_BADFILE: {
            auto unreadable = because(FaultKind::final, fmt::format("no certificates can be read from {}",
                                                                    fmt::join(settings.ca_certs, " or ")));
            unreadable.error.code = ErrorCode::bad_input;
            return unreadable;
        }
        case CURLE_OPERATION_TIMEDOUT:
            detail = fmt::format("no answer within {}", human_duration(connect_limit()));
            break;
        case CURLE_WRITE_ERROR:
            if (header_bytes > kMaxHeaders)
                return because(FaultKind::final,
                               fmt::format("it sent more than {} of headers", human_size(kMaxHeaders)));
            break;
        default:
            break;
    }
    return because(silent_handshake(code) ? FaultKind::no_tls : kind_of(code), detail);
}

/// A server that waits for a request in plain text may say nothing to a greeting in TLS.
bool HttpTransfer::State::silent_handshake(CURLcode code) const {
    curl_off_t connected = 0, secured = 0;
    ::curl_easy_getinfo(curl.get(), CURLINFO_CONNECT_TIME_T, &connected);
    ::curl_easy_getinfo(curl.get(), CURLINFO_APPCONNECT_TIME_T, &secured);
    return code == CURLE_OPERATION_TIMEDOUT && connected > 0 && secured == 0;
}

void HttpTransfer::State::read_answer() {
    ::curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &answer.status);
    curl_off_t seconds = 0;
    ::curl_easy_getinfo(curl.get(), CURLINFO_RETRY_AFTER, &seconds);
    answer.retry_after = std::chrono::seconds(std::clamp<curl_off_t>(seconds, 0, 86400));
    const char* last = nullptr;
    ::curl_easy_getinfo(curl.get(), CURLINFO_EFFECTIVE_URL, &last);
    answer.elsewhere = origin_of(last) != origin_of(call.url.c_str());
}

void HttpTransfer::State::end(HttpFault how) {
    if (!fault) fault = std::move(how);
    finished = true;
}

void HttpTransfer::State::end(CURLcode code) {
    read_answer();
    bool told = answer.status != 200 && answer.status != 206 && answer.body.size() >= kMaxErrorBody;
    finished = true;
    if (code != CURLE_OK && !(code == CURLE_WRITE_ERROR && told)) end(explain(code));
}

/// libcurl's own low-speed limit starts anew with each burst: a drop now and then would keep it waiting for ever.
void HttpTransfer::State::watch(MonotonicTime now) {
    auto late = [&](FaultKind kind, std::string text) {
        end(HttpFault{kind, Error{ErrorCode::network, std::move(text), nullptr}});
    };
    if (now >= call.deadline) return late(FaultKind::final, "it did not arrive in the time that a transfer may take");
    if (now - window < settings.stall) return;
    std::uint64_t came = bytes - bytes_before;
    if (came == 0)
        return late(FaultKind::stalled, fmt::format("it sent nothing for {}", human_duration(settings.stall)));
    if (came < kMinBytesPerSecond * static_cast<std::uint64_t>(settings.stall.count()))
        return late(FaultKind::stalled,
                    fmt::format("it sent only {} in {}", human_size(came), human_duration(settings.stall)));
    window = now;
    bytes_before = bytes;
}

HttpTransfer::HttpTransfer(const HttpSettings& settings, HttpCall call, Sink sink)
    : state_(std::make_unique<State>(settings, std::move(call), std::move(sink))) {
    state_->prepare();
}

HttpTransfer::~HttpTransfer() {
    if (state_->multi != nullptr) ::curl_multi_remove_handle(state_->multi, state_->curl.get());
}

bool HttpTransfer::finished() const { return state_->finished; }
const HttpAnswer& HttpTransfer::answer() const { return state_->answer; }
const std::optional<HttpFault>& HttpTransfer::fault() const { return state_->fault; }

std::optional<std::uint64_t> HttpTransfer::announced() const {
    curl_off_t length = -1;
    ::curl_easy_getinfo(state_->curl.get(), CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    if (length < 0) return std::nullopt;
    return static_cast<std::uint64_t>(length);
}

Result<std::unique_ptr<HttpClient>> HttpClient::create(HttpSettings settings) {
    static const CURLcode started = ::curl_global_init(CURL_GLOBAL_DEFAULT);
    CURLM* multi = started == CURLE_OK ? ::curl_multi_init() : nullptr;
    if (multi == nullptr) return fail(ErrorCode::io, "libcurl cannot be started");
    ::curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, kMaxConnections);
    return std::unique_ptr<HttpClient>(new HttpClient(std::move(settings), multi));
}

HttpClient::~HttpClient() { ::curl_multi_cleanup(multi_); }

void HttpClient::start(HttpTransfer& transfer) {
    auto& state = *transfer.state_;
    if (!state.curl || ::curl_multi_add_handle(multi_, state.curl.get()) != CURLM_OK)
        return state.end(HttpFault{FaultKind::final, Error{ErrorCode::io, "there is not enough memory", nullptr}});
    state.multi = multi_;
    state.window = std::chrono::steady_clock::now();
    running_.push_back(&state);
}

void HttpClient::step(std::chrono::milliseconds wait) {
    int running = 0;
    ::curl_multi_perform(multi_, &running);
    int left = 0;
    bool ended = false;
    while (CURLMsg* message = ::curl_multi_info_read(multi_, &left)) {
        if (message->msg != CURLMSG_DONE) continue;
        void* state = nullptr;
        ::curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &state);
        static_cast<HttpTransfer::State*>(state)->end(message->data.result);
        ended = true;
    }
    auto now = std::chrono::steady_clock::now();
    for (auto* state : running_) {
        if (!state->finished) state->watch(now);
        if (!state->finished) continue;
        ::curl_multi_remove_handle(multi_, state->curl.get());
        state->multi = nullptr;
        ended = true;
    }
    std::erase_if(running_, [](const auto* state) { return state->finished; });
    if (!ended && wait.count() > 0) ::curl_multi_poll(multi_, nullptr, 0, static_cast<int>(wait.count()), nullptr);
}

void HttpClient::finish(HttpTransfer& transfer) {
    constexpr std::chrono::milliseconds kTick{100};
    while (!transfer.finished()) step(kTick);
}

std::string percent_encoded(std::string_view text) {
    constexpr std::string_view kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    std::string out;
    for (char c : text) {
        if (kPlain.find(c) != kPlain.npos)
            out += c;
        else
            out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return out;
}

}  // namespace vmette::rootfs
