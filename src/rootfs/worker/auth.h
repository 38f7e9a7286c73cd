#pragma once
/// Proof of who asks, for one registry. Sources: RFC 9110 section 11 (challenges), RFC 7617 (basic), and the token
/// authentication of the distribution project (bearer; with an identity token, its OAuth2 form).

#include <expected>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "rootfs/oci/credentials.h"
#include "rootfs/worker/http.h"

namespace vmette::rootfs {

struct Challenge {
    std::string scheme;                             ///< in lower case: "bearer", "basic"
    std::map<std::string, std::string> parameters;  ///< names in lower case
    bool operator==(const Challenge&) const = default;
};

/// Those of one WWW-Authenticate header, which may hold several. What cannot be read is left out; at most 16 challenges
/// with 16 parameters each are looked at.
std::vector<Challenge> parse_challenges(std::string_view header);

/// Holds the credentials of one registry, and the tokens it got for them. One thread.
class Authorizer {
public:
    Authorizer(oci::Credentials credentials, std::string repository)
        : credentials_(std::move(credentials)), repository_(std::move(repository)) {}

    /// "Authorization: …", or empty: nothing has been asked for yet.
    const std::string& header() const { return header_; }
    /// Why there is no way in, after a 401 that nothing helps against.
    HttpFault no_way_in(const std::string& host) const;

    /// After a 401 to a request with `used` as its header(): makes a new header() that fits the challenges, with a
    /// token that is fetched when none is there. A fault that is not `broken` means that there is no way in; its
    /// message stands for itself, with the registry's `host`. `plain_http`: the registry itself is asked without TLS,
    /// so its token server may be as well.
    std::expected<void, HttpFault> answer(const std::vector<std::string>& challenges, const std::string& used,
                                          const std::string& host, bool plain_http, MonotonicTime deadline,
                                          HttpClient& http);

private:
    struct TokenAnswer {
        long status = 0;
        std::string text;
    };
    std::expected<std::string, HttpFault> fetch_token(const Challenge& challenge, const std::string& host,
                                                      MonotonicTime deadline, HttpClient& http) const;
    static std::expected<TokenAnswer, HttpFault> ask(const HttpCall& call, const std::string& asking, HttpClient& http);
    HttpCall token_post(const Challenge& challenge) const;
    HttpCall token_get(const Challenge& challenge) const;
    std::string scope_of(const Challenge& challenge) const;
    oci::Credentials credentials_;
    std::string repository_;
    std::string header_;
    std::map<std::string, std::string> tokens_;  ///< by realm, service and scope
};

}  // namespace vmette::rootfs
