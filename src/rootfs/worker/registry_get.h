#pragma once
/// One document or layer from a registry or its mirrors: who is asked, what is tried again and when.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "rootfs/worker/auth.h"
#include "rootfs/worker/http.h"

namespace vmette::rootfs {

/// A registry, or a mirror of one.
struct Endpoint {
    std::string host;  ///< with its port, if it has one of its own
    bool mirror = false;
    bool plain_http = false;
    /// It may turn out to speak plain HTTP: then plain_http is set.
    bool may_be_plain = false;
    /// It could not be reached: not asked again.
    bool down = false;
    Authorizer authorizer;
};

/// All that a pull shares.
struct RegistrySession {
    std::unique_ptr<HttpClient> http;
    std::vector<Endpoint> endpoints;  ///< in the order of asking; the registry itself is the last
    std::string repository;
    std::chrono::seconds total{3600};
    /// Why mirrors were passed over, for people: those that gave something wrong, or nothing at all. Taken by who
    /// answers the next request.
    std::vector<std::string> remarks;
    /// What a person may do whom the registry does not let in: ends the message of a 401 or 403.
    std::string login_advice;
    /// Told of each try that failed and is repeated, in a line for people who wait. May be empty.
    std::function<void(const std::string&)> on_retry;
};

/// Where the bytes go.
class BodyTaker {
public:
    virtual ~BodyTaker() = default;
    /// How many bytes are there already: what is asked for begins here.
    virtual std::uint64_t offset() const = 0;
    /// All is there, though the answer may not have ended.
    virtual bool full() const = 0;
    /// A body begins. `length`: of what is to come, when known.
    virtual Result<> begin(const HttpAnswer& answer, std::optional<std::uint64_t> length) = 0;
    virtual Result<> take(std::string_view piece) = 0;
    /// The answer has ended: true when all is there and right, false when more has to come.
    virtual Result<bool> finish() = 0;
};

/// A state machine, moved on by step() on the session's one thread. Errors of the taker with the code `bad_image` or
/// `network` are the endpoint's fault, and the next one is asked; others end it.
class RegistryGet {
public:
    /// `subject` is for messages ("the manifest"); `path` follows the repository ("/manifests/3.12"). The endpoints
    /// before number `first` are not asked.
    RegistryGet(RegistrySession& session, std::string subject, std::string path, std::vector<std::string> headers,
                BodyTaker& taker, std::size_t first = 0);

    void step();
    bool done() const { return done_; }
    /// The number of the endpoint that is asked, or has answered.
    std::size_t at() const { return at_; }
    /// Once it is done: why it failed.
    const std::optional<Error>& error() const { return error_; }

private:
    Endpoint& endpoint() { return session_.endpoints[at_]; }
    void start();
    void judge();
    void judge_fault(const HttpFault& fault);
    void judge_status();
    void judge_body();
    void authorize();
    Result<> take(const HttpAnswer& answer, std::string_view piece);
    void again(Error error, int cost, std::chrono::seconds at_least);
    void give_up_endpoint(Error error);
    void remark(const Error& error);
    std::string advice(const Error& error) const;
    void end(std::optional<Error> error);

    RegistrySession& session_;
    std::string subject_;
    std::string path_;
    std::vector<std::string> headers_;
    BodyTaker& taker_;
    MonotonicTime deadline_;

    std::size_t at_ = 0;
    std::unique_ptr<HttpTransfer> transfer_;
    std::string used_authorization_;
    bool begun_ = false;
    std::uint64_t offset_ = 0;  ///< of the attempt
    int attempts_ = 0;          ///< in a row that brought little, by what they cost
    int tries_ = 0;             ///< the same, counted
    int renewals_ = 0;          ///< of the authorization, since the last answer other than 401
    MonotonicTime resume_at_{};
    std::string mirror_errors_;
    bool done_ = false;
    std::optional<Error> error_;
};

/// "; try 2 of 5 in 0.20 s", after `tries` tries that cost `spent` together, the last of them `cost`.
std::string next_try(int tries, int spent, int cost, std::chrono::milliseconds pause);

/// The pause before the next try, of `attempts` in a row: doubles, with up to half of it more at random.
std::chrono::milliseconds retry_pause(int attempts, std::chrono::seconds at_least);

/// Moves it on until it is done.
void run(RegistrySession& session, RegistryGet& get);

}  // namespace vmette::rootfs
