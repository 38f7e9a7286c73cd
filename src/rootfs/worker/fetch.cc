#include "rootfs/worker/fetch.h"

#include <curl/curl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/text.h"
#include "base/units.h"
#include "rootfs/report.h"
#include "rootfs/worker/certificates.h"

namespace vmette::rootfs {
namespace {

using Steady = std::chrono::steady_clock;

constexpr int kMaxRedirects = 10;
/// Attempts in a row that bring less than kWorthwhile; one that brings more starts the count anew.
constexpr int kMaxAttempts = 5;
constexpr std::uint64_t kWorthwhile = 1 * kMiB;
/// A name that leads nowhere is looked up once more, in case the network was just coming up.
constexpr int kMaxLookups = 2;
constexpr std::chrono::milliseconds kFirstPause{100};
constexpr std::chrono::milliseconds kLookupPause{1000};
constexpr std::chrono::seconds kMaxRetryAfter{60};
constexpr std::size_t kMaxValidator = 1024;

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

/// What the headers of one answer said.
struct Answer {
    long status = 0;
    std::string etag;
    std::string modified;
    std::string content_range;
    /// A validator that also names a version byte for byte is preferred; the prefix tells which kind it is.
    std::string validator() const {
        if (!etag.empty() && etag.size() < kMaxValidator) return "etag:" + etag;
        return !modified.empty() && modified.size() < kMaxValidator ? "modified:" + modified : "";
    }
};

/// True when bytes of this version can be joined (a weak ETag names versions that only mean the same).
bool joinable(std::string_view validator) {
    return !validator.empty() && !validator.starts_with("etag:W/") && validator.find('\n') == validator.npos;
}

std::string value_of(std::string_view validator) { return std::string(validator.substr(validator.find(':') + 1)); }

class Transfer {
public:
    using OnProgress = std::function<void(std::uint64_t, std::uint64_t)>;
    using OnRetry = std::function<void(const std::string&)>;
    Transfer(const FetchRequest& request, int part, int state, const OnProgress& progress, const OnRetry& on_retry)
        : request_(request),
          part_(part),
          state_(state),
          progress_(progress),
          on_retry_(on_retry),
          certificates_{request.ca_certs} {}

    Result<FetchResult> run();

private:
    enum class Verdict { done, again };

    Result<> prepare();
    void prepare_limits();
    Result<> prepare_resume();
    void prepare_headers();
    Result<Verdict> attempt();
    Result<Verdict> judge(CURLcode code);
    Result<Verdict> judge_status();
    Failure explain(CURLcode code) const;
    std::chrono::milliseconds pause_before_next(CURLcode code, int attempts) const;
    Result<> begin_body();
    std::size_t take_body(const char* data, std::size_t size);
    void take_header(std::string_view line);
    std::uint64_t total_now() const;

    const FetchRequest& request_;
    int part_;
    int state_;
    const OnProgress& progress_;
    const OnRetry& on_retry_;
    std::vector<std::string> certificates_;
    std::unique_ptr<CURL, CloseCurl> curl_;
    std::unique_ptr<curl_slist, FreeList> headers_;
    char reason_[CURL_ERROR_SIZE] = {};
    Steady::time_point start_ = Steady::now();

    std::string stored_;        ///< the version that the bytes in the part file are of
    std::uint64_t offset_ = 0;  ///< where this attempt goes on
    std::uint64_t size_ = 0;    ///< of the part file
    Answer answer_;
    bool body_begun_ = false;
    std::optional<Error> write_error_;
};

void Transfer::take_header(std::string_view line) {
    // Each answer of a chain of redirects starts anew.
    if (line.starts_with("HTTP/")) answer_ = {};
    auto colon = line.find(':');
    if (colon == line.npos) return;
    std::string name = lower(line.substr(0, colon));
    std::string value(trim(line.substr(colon + 1)));
    if (name == "etag") answer_.etag = value;
    if (name == "last-modified") answer_.modified = value;
    if (name == "content-range") answer_.content_range = value;
}

/// The first bytes of a body that is to be kept: decides whether they go on from what is there.
Result<> Transfer::begin_body() {
    body_begun_ = true;
    if (answer_.status == 206) {
        if (!answer_.content_range.starts_with(fmt::format("bytes {}-", offset_)))
            return fail(ErrorCode::network, "answered with another range than the one asked for ({})",
                        harmless_line(answer_.content_range, 80));
        size_ = offset_;
        return {};
    }
    // In this order a crash in between leaves nothing that could be taken for bytes of the wrong version.
    if (::ftruncate(part_, 0) != 0 || ::ftruncate(state_, 0) != 0) return fail_errno("empty the part file");
    size_ = offset_ = 0;
    stored_ = answer_.validator();
    if (::pwrite(state_, stored_.data(), stored_.size(), 0) != static_cast<ssize_t>(stored_.size()))
        return fail_errno("write beside the part file");
    return {};
}

std::size_t Transfer::take_body(const char* data, std::size_t size) {
    ::curl_easy_getinfo(curl_.get(), CURLINFO_RESPONSE_CODE, &answer_.status);
    // The body of an error or a redirect is for people; the status is enough.
    if (answer_.status != 200 && answer_.status != 206) return size;
    Result<> ok;
    if (!body_begun_) ok = begin_body();
    if (ok && size_ + size > request_.max_bytes)
        ok = fail(ErrorCode::network, "is larger than {}", human_size(request_.max_bytes));
    std::size_t left = size;
    while (ok && left > 0) {
        ssize_t n = ::pwrite(part_, data + (size - left), left, static_cast<off_t>(size_));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            ok = fail_errno("write the part file");
            break;
        }
        left -= static_cast<std::size_t>(n);
        size_ += static_cast<std::uint64_t>(n);
    }
    if (ok) {
        progress_(size_, total_now());
        return size;
    }
    write_error_ = ok.error();
    return 0;
}

std::uint64_t Transfer::total_now() const {
    curl_off_t length = -1;
    ::curl_easy_getinfo(curl_.get(), CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    return length > 0 ? offset_ + static_cast<std::uint64_t>(length) : 0;
}

Result<> Transfer::prepare_resume() {
    struct stat info{};
    if (::fstat(part_, &info) != 0) return fail_errno("look at the part file");
    size_ = static_cast<std::uint64_t>(info.st_size);
    if (::lseek(state_, 0, SEEK_SET) != 0) return fail_errno("look beside the part file");
    VMETTE_TRY(stored_, read_all(state_, kMaxValidator + 64, "the part file's state"));
    offset_ = joinable(stored_) ? size_ : 0;
    return {};
}

void Transfer::prepare_limits() {
    CURL* c = curl_.get();
    auto elapsed = std::chrono::duration_cast<std::chrono::milliseconds>(Steady::now() - start_);
    auto left = std::max(std::chrono::milliseconds(1), std::chrono::milliseconds(request_.total) - elapsed);
    ::curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, static_cast<long>(left.count()));
    ::curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, static_cast<long>(request_.stall.count()));
    ::curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
    ::curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, static_cast<long>(request_.stall.count()));
    ::curl_easy_setopt(c, CURLOPT_MAXFILESIZE_LARGE,
                       static_cast<curl_off_t>(request_.max_bytes - std::min(offset_, request_.max_bytes)));
}

void Transfer::prepare_headers() {
    curl_slist* list = nullptr;
    if (offset_ > 0) {
        list = ::curl_slist_append(list, fmt::format("Range: bytes={}-", offset_).c_str());
        list = ::curl_slist_append(list, ("If-Range: " + value_of(stored_)).c_str());
    } else if (request_.validator.starts_with("etag:")) {
        list = ::curl_slist_append(list, ("If-None-Match: " + value_of(request_.validator)).c_str());
    } else if (request_.validator.starts_with("modified:")) {
        list = ::curl_slist_append(list, ("If-Modified-Since: " + value_of(request_.validator)).c_str());
    }
    headers_.reset(list);
    ::curl_easy_setopt(curl_.get(), CURLOPT_HTTPHEADER, list);
}

Result<> Transfer::prepare() {
    curl_.reset(::curl_easy_init());
    if (!curl_) return fail(ErrorCode::io, "cannot be fetched: out of memory");
    CURL* c = curl_.get();
    VMETTE_CHECK_OK(prepare_resume());
    prepare_limits();
    prepare_headers();
    bool secure = request_.url.starts_with("https:");
    ::curl_easy_setopt(c, CURLOPT_URL, request_.url.c_str());
    ::curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, secure ? "https" : "http");
    ::curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "http,https");
    ::curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
    ::curl_easy_setopt(c, CURLOPT_MAXREDIRS, static_cast<long>(kMaxRedirects));
    ::curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    ::curl_easy_setopt(c, CURLOPT_NOPROGRESS, 1L);
    ::curl_easy_setopt(c, CURLOPT_USERAGENT, "vmette/" VMETTE_VERSION);
    ::curl_easy_setopt(c, CURLOPT_ERRORBUFFER, reason_);
    trust_certificates(c, certificates_);
    auto on_body = [](char* data, std::size_t one, std::size_t count, void* self) {
        return static_cast<Transfer*>(self)->take_body(data, one * count);
    };
    auto on_header = [](char* data, std::size_t one, std::size_t count, void* self) {
        static_cast<Transfer*>(self)->take_header({data, one * count});
        return one * count;
    };
    using Callback = std::size_t (*)(char*, std::size_t, std::size_t, void*);
    ::curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, static_cast<Callback>(on_body));
    ::curl_easy_setopt(c, CURLOPT_WRITEDATA, this);
    ::curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, static_cast<Callback>(on_header));
    ::curl_easy_setopt(c, CURLOPT_HEADERDATA, this);
    return {};
}

Failure Transfer::explain(CURLcode code) const {
    std::string reason = harmless_line(reason_[0] != 0 ? reason_ : ::curl_easy_strerror(code), 200);
    switch (code) {
        case CURLE_UNSUPPORTED_PROTOCOL:
            return fail(ErrorCode::network, "redirects to where {} must not lead ({})",
                        request_.url.starts_with("https:") ? "https" : "http", reason);
        case CURLE_TOO_MANY_REDIRECTS:
            return fail(ErrorCode::network, "redirects more than {} times", kMaxRedirects);
        case CURLE_FILESIZE_EXCEEDED:
            return fail(ErrorCode::network, "is larger than {}", human_size(request_.max_bytes));
        case CURLE_OPERATION_TIMEDOUT:
            if (Steady::now() - start_ >= request_.total)
                return fail(ErrorCode::network, "did not arrive within {}", human_duration(request_.total));
            return fail(ErrorCode::network, "sent nothing for {}", human_duration(request_.stall));
        case CURLE_PEER_FAILED_VERIFICATION:
            return fail(ErrorCode::network, "has no certificate that is trusted here ({})", reason);
        case CURLE_SSL_CACERT_BADFILE:
            return fail(ErrorCode::bad_input, "cannot be fetched: {} holds no certificates that can be read",
                        request_.ca_certs);
        case CURLE_URL_MALFORMAT:
            return fail(ErrorCode::bad_input, "is not a URL ({})", reason);
        case CURLE_PARTIAL_FILE:
            return fail(ErrorCode::network, "was cut off after {} bytes", size_);
        default:
            return fail(ErrorCode::network, "cannot be fetched: {}", reason);
    }
}

bool leads_nowhere(CURLcode code) { return code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY; }

/// True for what may pass on its own.
bool transient(CURLcode code) {
    switch (code) {
        case CURLE_COULDNT_CONNECT:
        case CURLE_COULDNT_RESOLVE_HOST:
        case CURLE_COULDNT_RESOLVE_PROXY:
        case CURLE_RECV_ERROR:
        case CURLE_SEND_ERROR:
        case CURLE_GOT_NOTHING:
        case CURLE_PARTIAL_FILE:
        case CURLE_SSL_CONNECT_ERROR:
        case CURLE_HTTP2:
        case CURLE_HTTP2_STREAM:
            return true;
        default:
            return false;
    }
}

Result<Transfer::Verdict> Transfer::judge_status() {
    long status = answer_.status;
    if (status == 304 && !request_.validator.empty()) return Verdict::done;
    if (status == 200 || status == 206) {
        // A body without a single byte never came to take_body().
        if (!body_begun_) VMETTE_CHECK_OK(begin_body());
        return Verdict::done;
    }
    if (status == 416 && offset_ > 0) {
        // The part file is whole already (an earlier fetch died after its last byte), or is not of this version.
        if (answer_.content_range == fmt::format("bytes */{}", offset_)) return Verdict::done;
        if (::ftruncate(state_, 0) != 0) return fail_errno("empty the part file's state");
        return Verdict::again;
    }
    if (status == 408 || status == 429 || status >= 500) return Verdict::again;
    return fail(ErrorCode::network, "answered {}", status);
}

Result<Transfer::Verdict> Transfer::judge(CURLcode code) {
    ::curl_easy_getinfo(curl_.get(), CURLINFO_RESPONSE_CODE, &answer_.status);
    if (write_error_) return Failure(*write_error_);
    if (code == CURLE_OK) return judge_status();
    if (transient(code)) return Verdict::again;
    return explain(code);
}

std::chrono::milliseconds Transfer::pause_before_next(CURLcode code, int attempts) const {
    if (leads_nowhere(code)) return kLookupPause;
    curl_off_t asked = 0;
    ::curl_easy_getinfo(curl_.get(), CURLINFO_RETRY_AFTER, &asked);
    auto wished = std::chrono::seconds(std::clamp<curl_off_t>(asked, 0, kMaxRetryAfter.count()));
    return std::max<std::chrono::milliseconds>(kFirstPause * (1 << (attempts - 1)), wished);
}

Result<FetchResult> Transfer::run() {
    int attempts = 0;
    while (true) {
        VMETTE_CHECK_OK(prepare());
        answer_ = {};
        body_begun_ = false;
        reason_[0] = 0;
        std::uint64_t before = size_;
        CURLcode code = ::curl_easy_perform(curl_.get());
        VMETTE_TRY(Verdict verdict, judge(code));
        if (verdict == Verdict::done) {
            bool unchanged = answer_.status == 304;
            return FetchResult{unchanged, unchanged ? request_.validator : stored_, size_};
        }
        bool came_far = size_ >= before + kWorthwhile;
        attempts = came_far ? 1 : attempts + 1;
        auto pause = pause_before_next(code, attempts);
        int most = leads_nowhere(code) ? kMaxLookups : kMaxAttempts;
        Error failure =
            code != CURLE_OK ? explain(code).error() : fail(ErrorCode::network, "answered {}", answer_.status).error();
        if (attempts >= most || Steady::now() + pause - start_ >= request_.total) {
            if (attempts > 1) failure.message += fmt::format(", {} times in a row", attempts);
            return Failure(std::move(failure));
        }
        // Else the progress says that it goes on.
        if (!came_far)
            on_retry_(
                fmt::format("{}; try {} of {} in {}", failure.message, attempts + 1, most, human_duration(pause)));
        std::this_thread::sleep_for(pause);
    }
}

}  // namespace

Result<FetchResult> fetch(const FetchRequest& request, int part, int state,
                          const std::function<void(std::uint64_t, std::uint64_t)>& progress,
                          const std::function<void(const std::string&)>& on_retry) {
    static const CURLcode started = ::curl_global_init(CURL_GLOBAL_DEFAULT);
    if (started != CURLE_OK) return fail(ErrorCode::io, "cannot be fetched: {}", ::curl_easy_strerror(started));
    return Transfer(request, part, state, progress, on_retry).run();
}

}  // namespace vmette::rootfs
