#include "rootfs/worker/registry_get.h"

#include <openssl/rand.h>

#include <algorithm>

#include "base/text.h"
#include "base/units.h"
#include "rootfs/worker/registry_json.h"

namespace vmette::rootfs {
namespace {

using Steady = std::chrono::steady_clock;

/// Attempts in a row that bring less than kWorthwhile; one that brings more starts the count anew.
constexpr int kMaxAttempts = 5;
/// A stalled transfer has been waited for long: it counts double.
constexpr int kStallCost = 2;
/// A name that leads nowhere is looked up once more, in case the network was just coming up.
constexpr int kNowhereCost = kMaxAttempts - 1;
constexpr std::uint64_t kWorthwhile = 1 * kMiB;
constexpr int kMaxRenewals = 2;
constexpr std::chrono::milliseconds kFirstPause{100};
constexpr std::chrono::seconds kMaxRetryAfter{60};
constexpr std::chrono::seconds kMirrorConnect{10};
constexpr std::size_t kMaxRemarks = 8;
/// On loopback an answer in TLS is a matter of milliseconds.
constexpr std::chrono::seconds kHandshake{5};

/// ": TOOMANYREQUESTS: slow down", or nothing.
std::string detail_of(const HttpAnswer& answer) {
    std::string said = error_in(answer.body);
    return said.empty() ? "" : " (" + said + ")";
}

int cost_of(FaultKind kind) {
    if (kind == FaultKind::nowhere) return kNowhereCost;
    return kind == FaultKind::stalled ? kStallCost : 1;
}

Error network_error(std::string message) { return Error{ErrorCode::network, std::move(message), nullptr}; }

}  // namespace

std::chrono::milliseconds retry_pause(int attempts, std::chrono::seconds at_least) {
    auto pause = kFirstPause * (1 << std::clamp(attempts - 1, 0, 8));
    std::uint16_t random = 0;
    (void)::RAND_bytes(reinterpret_cast<unsigned char*>(&random), sizeof random);
    pause += pause * random / 2 / UINT16_MAX;
    return std::max<std::chrono::milliseconds>(pause, std::min(at_least, kMaxRetryAfter));
}

std::string next_try(int tries, int spent, int cost, std::chrono::milliseconds pause) {
    int left = (kMaxAttempts - spent + cost - 1) / cost;
    return fmt::format("; try {} of {} in {}", tries + 1, tries + left, human_duration(pause));
}

RegistryGet::RegistryGet(RegistrySession& session, std::string subject, std::string path,
                         std::vector<std::string> headers, BodyTaker& taker, std::size_t first)
    : session_(session),
      subject_(std::move(subject)),
      path_(std::move(path)),
      headers_(std::move(headers)),
      taker_(taker),
      deadline_(Steady::now() + session.total),
      at_(std::min(first, session.endpoints.size() - 1)) {}

void RegistryGet::end(std::optional<Error> error) {
    done_ = true;
    error_ = std::move(error);
    transfer_.reset();
}

void RegistryGet::give_up_endpoint(Error error) {
    if (at_ + 1 == session_.endpoints.size()) {
        error.message += advice(error) + mirror_errors_;
        return end(std::move(error));
    }
    remark(error);
    mirror_errors_ += fmt::format("; before, of its mirror: {}", error.message);
    transfer_.reset();
    ++at_;
    attempts_ = tries_ = renewals_ = 0;
    resume_at_ = {};
}

/// What a person may do about the registry's answer; empty: nothing that is known.
std::string RegistryGet::advice(const Error& error) const {
    // A 401 may also end in a fault of the token server, which no credentials help against.
    if (error.code != ErrorCode::not_found || !transfer_ || transfer_->answer().elsewhere) return "";
    long status = transfer_->answer().status;
    if ((status == 401 || status == 403) && !session_.login_advice.empty()) return "; " + session_.login_advice;
    bool named = path_.starts_with("/manifests/") && path_.find(':') == path_.npos;
    return status == 404 && named ? "; its name or its tag may be spelt wrong" : "";
}

/// That a mirror does not have everything is no news.
void RegistryGet::remark(const Error& error) {
    if (error.code == ErrorCode::not_found || session_.remarks.size() >= kMaxRemarks) return;
    std::string text = fmt::format("its mirror {} is passed over: {}", endpoint().host, error.message);
    if (std::ranges::find(session_.remarks, text) == session_.remarks.end()) session_.remarks.push_back(text);
}

void RegistryGet::again(Error error, int cost, std::chrono::seconds at_least) {
    bool came_far = transfer_ && taker_.offset() >= offset_ + kWorthwhile;
    if (came_far) attempts_ = tries_ = 0;
    attempts_ += cost;
    ++tries_;
    auto pause = retry_pause(attempts_, at_least);
    bool last = endpoint().mirror || attempts_ >= kMaxAttempts || Steady::now() + pause >= deadline_;
    if (last) {
        if (tries_ > 1) error.message += fmt::format(", {} times in a row", tries_);
        return give_up_endpoint(std::move(error));
    }
    // Else the progress says that it goes on.
    if (session_.on_retry && !came_far) session_.on_retry(error.message + next_try(tries_, attempts_, cost, pause));
    transfer_.reset();
    resume_at_ = Steady::now() + pause;
}

void RegistryGet::start() {
    while (endpoint().down && at_ + 1 < session_.endpoints.size()) ++at_;
    const Endpoint& asked = endpoint();
    HttpCall call;
    call.url =
        fmt::format("{}://{}/v2/{}{}", asked.plain_http ? "http" : "https", asked.host, session_.repository, path_);
    call.headers = headers_;
    call.deadline = deadline_;
    if (asked.mirror) call.connect = kMirrorConnect;
    if (asked.may_be_plain) call.connect = kHandshake;
    used_authorization_ = asked.authorizer.header();
    if (!used_authorization_.empty()) call.headers.push_back(used_authorization_);
    offset_ = taker_.offset();
    if (offset_ > 0) call.headers.push_back(fmt::format("Range: bytes={}-", offset_));
    begun_ = false;
    transfer_ = std::make_unique<HttpTransfer>(
        session_.http->settings(), std::move(call),
        [this](const HttpAnswer& answer, std::string_view piece) { return take(answer, piece); });
    session_.http->start(*transfer_);
}

Result<> RegistryGet::take(const HttpAnswer& answer, std::string_view piece) {
    if (!begun_) {
        begun_ = true;
        VMETTE_CHECK_OK(taker_.begin(answer, transfer_->announced()));
    }
    return taker_.take(piece);
}

void RegistryGet::step() {
    if (done_) return;
    if (transfer_ && transfer_->finished()) judge();
    if (!done_ && !transfer_ && Steady::now() >= resume_at_) start();
}

void RegistryGet::judge() {
    if (const auto& fault = transfer_->fault()) return judge_fault(*fault);
    long status = transfer_->answer().status;
    endpoint().may_be_plain = false;
    if (status == 401 && !transfer_->answer().elsewhere) return authorize();
    if (status == 200 || status == 206) return judge_body();
    judge_status();
}

void RegistryGet::judge_fault(const HttpFault& fault) {
    Endpoint& asked = endpoint();
    if (fault.kind == FaultKind::no_tls && asked.may_be_plain) {
        asked.may_be_plain = false;
        asked.plain_http = true;
        transfer_.reset();
        return;
    }
    if (fault.kind == FaultKind::sink) {
        bool of_endpoint = fault.error.code == ErrorCode::bad_image || fault.error.code == ErrorCode::network;
        return of_endpoint ? give_up_endpoint(fault.error) : end(fault.error);
    }
    bool cut = fault.kind == FaultKind::broken || fault.kind == FaultKind::stalled;
    if (cut && begun_ && taker_.full()) return judge_body();
    Error error = fault.error;
    error.message = fmt::format("{} cannot be fetched from {}: {}", subject_, asked.host, error.message);
    if (asked.mirror && transfer_->answer().status == 0) asked.down = true;
    if (fault.kind == FaultKind::final) return give_up_endpoint(std::move(error));
    again(std::move(error), cost_of(fault.kind), {});
}

void RegistryGet::judge_body() {
    renewals_ = 0;
    Result<> begun;
    // A body without a single byte never came to take().
    if (!std::exchange(begun_, true)) begun = taker_.begin(transfer_->answer(), transfer_->announced());
    auto whole = begun ? taker_.finish() : Result<bool>(Failure(begun.error()));
    if (!whole) return judge_fault(HttpFault{FaultKind::sink, whole.error()});
    if (*whole) return end(std::nullopt);
    again(network_error(fmt::format("{} is cut off by {} after {} bytes", subject_, endpoint().host, taker_.offset())),
          1, {});
}

void RegistryGet::judge_status() {
    const HttpAnswer& answer = transfer_->answer();
    std::string said =
        fmt::format("{} answered {} for {}{}", endpoint().host, answer.status, subject_, detail_of(answer));
    if (answer.status == 408 || answer.status == 429 || answer.status >= 500)
        return again(network_error(std::move(said)), 1, answer.retry_after);
    bool unseen = answer.status == 401 || answer.status == 403 || answer.status == 404;
    give_up_endpoint(Error{unseen ? ErrorCode::not_found : ErrorCode::network, std::move(said), nullptr});
}

void RegistryGet::authorize() {
    Endpoint& asked = endpoint();
    if (renewals_++ >= kMaxRenewals) {
        Error error = asked.authorizer.no_way_in(asked.host).error;
        error.message += detail_of(transfer_->answer());
        return give_up_endpoint(std::move(error));
    }
    auto answered = asked.authorizer.answer(transfer_->answer().challenges, used_authorization_, asked.host,
                                            asked.plain_http, deadline_, *session_.http);
    if (answered) {
        transfer_.reset();
        return;
    }
    if (answered.error().kind == FaultKind::final) return give_up_endpoint(answered.error().error);
    // What failed was the token server, not the answer to a challenge.
    --renewals_;
    again(answered.error().error, cost_of(answered.error().kind), {});
}

void run(RegistrySession& session, RegistryGet& get) {
    constexpr std::chrono::milliseconds kTick{50};
    for (get.step(); !get.done(); get.step()) session.http->step(kTick);
}

}  // namespace vmette::rootfs
