#include "rootfs/worker/auth.h"

#include <openssl/evp.h>

#include <algorithm>

#include "base/text.h"
#include "base/units.h"
#include "rootfs/worker/registry_json.h"

namespace vmette::rootfs {
namespace {

constexpr std::size_t kMaxChallenges = 16;
constexpr std::size_t kMaxParameters = 16;
constexpr std::size_t kMaxTokenAnswer = 64 * kKiB;

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

/// Reads a header from its start; RFC 9110's grammar, without its exceptions for empty elements.
class ChallengeReader {
public:
    explicit ChallengeReader(std::string_view text) : left_(text) {}

    std::vector<Challenge> read() {
        std::vector<Challenge> challenges;
        while (true) {
            skip(" \t,");
            std::string word = token();
            if (word.empty()) return challenges;
            if (is_parameter()) {
                left_.remove_prefix(1);
                skip(" \t");
                std::string text = value();
                if (!challenges.empty() && challenges.back().parameters.size() < kMaxParameters)
                    challenges.back().parameters.emplace(lower(word), std::move(text));
                continue;
            }
            if (challenges.size() == kMaxChallenges) return challenges;
            challenges.push_back({lower(word), {}});
            skip_token68();
        }
    }

private:
    void skip(std::string_view which) { left_.remove_prefix(std::min(left_.find_first_not_of(which), left_.size())); }
    std::string token() {
        std::size_t end = std::min(left_.find_first_of(" \t,=\""), left_.size());
        std::string word(left_.substr(0, end));
        left_.remove_prefix(end);
        return word;
    }
    bool is_parameter() {
        std::size_t at = std::min(left_.find_first_not_of(" \t"), left_.size());
        if (at == left_.size() || left_[at] != '=') return false;
        left_.remove_prefix(at);
        return true;
    }
    std::string value() {
        if (left_.empty() || left_[0] != '"') return token();
        left_.remove_prefix(1);
        std::string text;
        while (!left_.empty() && left_[0] != '"') {
            if (left_[0] == '\\' && left_.size() > 1) left_.remove_prefix(1);
            text += left_[0];
            left_.remove_prefix(1);
        }
        if (!left_.empty()) left_.remove_prefix(1);
        return text;
    }
    /// "Negotiate YWJj==": what follows the scheme has no name.
    void skip_token68() {
        skip(" \t");
        std::size_t end = std::min(left_.find_first_of(" \t,"), left_.size());
        std::string_view word = left_.substr(0, end);
        std::size_t sign = std::min(word.find('='), word.size());
        bool only_padding = word.find_first_not_of('=', sign) == word.npos;
        std::size_t after = std::min(left_.find_first_not_of(" \t", end), left_.size());
        bool assigned = after < left_.size() && left_[after] == '=';
        // "a =b" and "a= b" are parameters; "YQ==" is not.
        bool one_sign = word.size() - sign == 1 && after < left_.size() && left_[after] != ',';
        if (!only_padding || assigned || one_sign) return;
        left_.remove_prefix(end);
    }

    std::string_view left_;
};

std::string base64(std::string_view text) {
    std::string out(4 * ((text.size() + 2) / 3) + 1, '\0');
    int size = ::EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                 reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
    out.resize(static_cast<std::size_t>(size));
    return out;
}

std::string basic_header(const std::string& user, const std::string& password) {
    return "Authorization: Basic " + base64(user + ":" + password);
}

const Challenge* find(const std::vector<Challenge>& challenges, std::string_view scheme) {
    auto found = std::find_if(challenges.begin(), challenges.end(), [&](const auto& c) { return c.scheme == scheme; });
    return found != challenges.end() ? &*found : nullptr;
}

std::string parameter(const Challenge& challenge, const std::string& name) {
    auto found = challenge.parameters.find(name);
    return found != challenge.parameters.end() ? found->second : "";
}

/// A token server gets the user's password: only one that is asked over TLS, unless the registry itself is not.
bool may_be_realm(const std::string& realm, bool plain_http) {
    std::string start = lower(realm.substr(0, 8));
    return start == "https://" || (plain_http && start.starts_with("http://"));
}

std::unexpected<HttpFault> refuse(FaultKind kind, ErrorCode code, std::string message) {
    return std::unexpected(HttpFault{kind, Error{code, std::move(message), nullptr}});
}

}  // namespace

std::vector<Challenge> parse_challenges(std::string_view header) { return ChallengeReader(header).read(); }

HttpFault Authorizer::no_way_in(const std::string& host) const {
    std::string message =
        !credentials_.empty()
            ? fmt::format("{} refuses the credentials for {} (401)", host, repository_)
            : fmt::format("{} has no such image, or shows it only with credentials, and none were found (401)", host);
    return HttpFault{FaultKind::final, Error{ErrorCode::not_found, std::move(message), nullptr}};
}

std::string Authorizer::scope_of(const Challenge& challenge) const {
    std::string scope = parameter(challenge, "scope");
    return scope.empty() ? "repository:" + repository_ + ":pull" : scope;
}

/// OAuth2: the identity token is a refresh token.
HttpCall Authorizer::token_post(const Challenge& challenge) const {
    HttpCall call;
    call.url = parameter(challenge, "realm");
    call.form =
        "grant_type=refresh_token&client_id=vmette&service=" + percent_encoded(parameter(challenge, "service")) +
        "&scope=" + percent_encoded(scope_of(challenge)) +
        "&refresh_token=" + percent_encoded(credentials_.identity_token);
    return call;
}

HttpCall Authorizer::token_get(const Challenge& challenge) const {
    HttpCall call;
    call.url = parameter(challenge, "realm");
    char sign = call.url.find('?') == call.url.npos ? '?' : '&';
    auto add = [&](std::string_view name, std::string_view value) {
        call.url += fmt::format("{}{}={}", std::exchange(sign, '&'), name, percent_encoded(value));
    };
    if (auto service = parameter(challenge, "service"); !service.empty()) add("service", service);
    std::string scope = scope_of(challenge);
    for (std::string_view left = scope; !left.empty();) {
        std::size_t end = std::min(left.find(' '), left.size());
        if (end > 0) add("scope", left.substr(0, end));
        left.remove_prefix(std::min(end + 1, left.size()));
    }
    const std::string& secret = credentials_.password.empty() ? credentials_.identity_token : credentials_.password;
    if (!secret.empty()) {
        if (!credentials_.user.empty()) add("account", credentials_.user);
        call.headers.push_back(basic_header(credentials_.user, secret));
    }
    return call;
}

/// `asking` begins the message of a fault.
std::expected<Authorizer::TokenAnswer, HttpFault> Authorizer::ask(const HttpCall& call, const std::string& asking,
                                                                  HttpClient& http) {
    TokenAnswer answer;
    HttpTransfer transfer(http.settings(), call, [&](const HttpAnswer&, std::string_view piece) -> Result<> {
        answer.text += piece;
        if (answer.text.size() <= kMaxTokenAnswer) return {};
        return fail(ErrorCode::network, "it is larger than {}", human_size(kMaxTokenAnswer));
    });
    http.start(transfer);
    http.finish(transfer);
    if (const auto& fault = transfer.fault()) {
        auto kind = fault->kind == FaultKind::no_tls ? FaultKind::broken : fault->kind;
        return refuse(kind, ErrorCode::network, asking + fault->error.message);
    }
    answer.status = transfer.answer().status;
    return answer;
}

std::expected<std::string, HttpFault> Authorizer::fetch_token(const Challenge& challenge, const std::string& host,
                                                              MonotonicTime deadline, HttpClient& http) const {
    std::string server = harmless_line(parameter(challenge, "realm"), 200);
    std::string asking = fmt::format("no token for {} can be had from {}: ", host, server);
    bool posting = !credentials_.identity_token.empty();
    HttpCall call = posting ? token_post(challenge) : token_get(challenge);
    call.deadline = deadline;
    auto answer = ask(call, asking, http);
    // What servers without OAuth2 answer: RFC 9110 would have 405, the specification says 404, Azure's and JFrog's say
    // 400 and 401. Then the identity token goes as a password, as Docker does.
    bool not_spoken =
        answer && (answer->status == 400 || answer->status == 401 || answer->status == 404 || answer->status == 405);
    if (posting && not_spoken) {
        call = token_get(challenge);
        call.deadline = deadline;
        answer = ask(call, asking, http);
    }
    if (!answer) return std::unexpected(answer.error());
    long status = answer->status;
    if (status == 400 || status == 401 || status == 403) {
        auto refused = no_way_in(host);
        refused.error.message =
            fmt::format("{}: its token server {} answered {}",
                        refused.error.message.substr(0, refused.error.message.rfind(" (401)")), server, status);
        return std::unexpected(std::move(refused));
    }
    bool passing = status == 408 || status == 429 || status >= 500;
    if (status != 200)
        return refuse(passing ? FaultKind::broken : FaultKind::final, ErrorCode::network,
                      fmt::format("the token server {} of {} answered {}", server, host, status));
    std::string token = token_in(answer->text);
    if (token.empty())
        return refuse(FaultKind::final, ErrorCode::network,
                      fmt::format("the token server {} of {} answered without a token", server, host));
    return token;
}

std::expected<void, HttpFault> Authorizer::answer(const std::vector<std::string>& challenges, const std::string& used,
                                                  const std::string& host, bool plain_http, MonotonicTime deadline,
                                                  HttpClient& http) {
    // Another request has been here meanwhile.
    if (used != header_) return {};
    std::vector<Challenge> all;
    for (const std::string& header : challenges)
        for (Challenge& challenge : parse_challenges(header)) all.push_back(std::move(challenge));
    const Challenge* bearer = find(all, "bearer");
    if (bearer != nullptr && !credentials_.registry_token.empty()) {
        if (!used.empty()) return std::unexpected(no_way_in(host));
        header_ = "Authorization: Bearer " + credentials_.registry_token;
        return {};
    }
    if (bearer != nullptr) {
        std::string realm = parameter(*bearer, "realm");
        if (!may_be_realm(realm, plain_http))
            return refuse(FaultKind::final, ErrorCode::network,
                          fmt::format("{} names a token server that is not asked over https: {}", host,
                                      harmless_line(realm, 200)));
        std::string& token =
            tokens_[fmt::format("{}\n{}\n{}", realm, parameter(*bearer, "service"), parameter(*bearer, "scope"))];
        // One that was used just now is worth nothing any more.
        if (token.empty() || used == "Authorization: Bearer " + token) {
            token.clear();
            auto fetched = fetch_token(*bearer, host, deadline, http);
            if (!fetched) return std::unexpected(fetched.error());
            token = *fetched;
        }
        header_ = "Authorization: Bearer " + token;
        return {};
    }
    bool basic = find(all, "basic") != nullptr;
    if (!basic || !used.empty() || credentials_.password.empty()) return std::unexpected(no_way_in(host));
    header_ = basic_header(credentials_.user, credentials_.password);
    return {};
}

}  // namespace vmette::rootfs
