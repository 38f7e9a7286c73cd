#pragma once
/// HTTP for the registry client: several transfers at a time on one thread. Adapter around libcurl's multi interface.

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

namespace vmette::rootfs {

/// A transfer is stalled when less than this came in `HttpSettings::stall`, on average over it.
constexpr std::uint64_t kMinBytesPerSecond = 1024;

struct HttpSettings {
    std::chrono::seconds stall{60};
    std::vector<std::string> ca_certs = {};  ///< beside the system's; see certificates.h
    /// Of a Unix socket, which is spoken to instead of the URLs' hosts; then redirects are not followed, and no proxy
    /// is used. Empty: the network.
    std::string unix_socket = {};
};

struct HttpCall {
    std::string url;                   ///< http or https
    std::vector<std::string> headers;  ///< "Name: value"; Authorization does not go to another host or port
    std::string form;                  ///< is posted when not empty; then redirects are not followed
    MonotonicTime deadline{};
    std::chrono::seconds connect{30};
};

struct HttpAnswer {
    long status = 0;                             ///< 0: none came
    std::map<std::string, std::string> headers;  ///< names in lower case; of the last answer of a chain of redirects
    std::vector<std::string> challenges;         ///< each WWW-Authenticate
    std::string body;                            ///< of any status but 200 and 206: its start
    std::chrono::seconds retry_after{0};         ///< 0: not said
    /// Redirects led to another scheme, host or port than the one that was asked.
    bool elsewhere = false;
};

enum class FaultKind {
    broken,   ///< may pass on its own
    stalled,  ///< too slow, or silent
    nowhere,  ///< its host's name leads nowhere: wrong, or there is no network
    no_tls,   ///< the far side speaks no TLS
    sink,     ///< the sink's own error
    final,    ///< would be the same the next time
};
/// Why a transfer ended without a whole answer. The message is a reason: "it sent nothing for 1 min".
struct HttpFault {
    FaultKind kind = FaultKind::final;
    Error error;
};

/// One request and its answer. Redirects are followed at most ten times, within http and https and never back from
/// https. Pinned; one thread.
class HttpTransfer {
public:
    /// Takes a piece of the body of an answer with status 200 or 206; an error ends the transfer.
    using Sink = std::function<Result<>(const HttpAnswer&, std::string_view)>;

    HttpTransfer(const HttpSettings& settings, HttpCall call, Sink sink);
    HttpTransfer(const HttpTransfer&) = delete;
    HttpTransfer& operator=(const HttpTransfer&) = delete;
    ~HttpTransfer();

    bool finished() const;
    const HttpAnswer& answer() const;
    const std::optional<HttpFault>& fault() const;
    /// Bytes of the whole body, when the answer says so.
    std::optional<std::uint64_t> announced() const;

private:
    friend class HttpClient;
    struct State;
    std::unique_ptr<State> state_;
};

/// The transfers under way, and the connections that they share. Outlives them.
class HttpClient {
public:
    static Result<std::unique_ptr<HttpClient>> create(HttpSettings settings);
    ~HttpClient();
    HttpClient(const HttpClient&) = delete;
    HttpClient& operator=(const HttpClient&) = delete;

    const HttpSettings& settings() const { return settings_; }
    void start(HttpTransfer& transfer);
    /// Moves all transfers on, waiting at most so long for something to happen. Must not be called from a sink.
    void step(std::chrono::milliseconds wait);
    /// Until this one is finished; the others go on meanwhile.
    void finish(HttpTransfer& transfer);

private:
    explicit HttpClient(HttpSettings settings, void* multi) : settings_(std::move(settings)), multi_(multi) {}

    HttpSettings settings_;
    void* multi_;
    std::vector<HttpTransfer::State*> running_;
};

/// For a query or a form: every byte that is no letter, digit or one of "-._~" as %XX.
std::string percent_encoded(std::string_view text);

}  // namespace vmette::rootfs
