/// Who is told what: credentials, tokens, mirrors and redirects.

#include <gmock/gmock.h>

#include <atomic>

#include "rootfs/oci/fake_registry.h"
#include "rootfs/worker/registry_get.h"

namespace vmette::rootfs::oci {
namespace {

const std::string kGiven = "; they come from VARIABLE, VMETTE_OCI_TOKEN or what `docker login HOST` stored";
const std::string kNone = "; VARIABLE=USER:PASSWORD or `docker login HOST` gives credentials";

const Credentials kAlice{.user = "alice", .password = "secret", .identity_token = {}, .registry_token = {}};
constexpr const char* kAliceBasic = "Basic YWxpY2U6c2VjcmV0";

FakeImage one_layer() { return FakeImage::of({noise(5000)}); }

/// A registry that wants a bearer token from its own "/token". Tokens are t1, t2, …
struct BearerRegistry {
    explicit BearerRegistry(std::function<bool(const HttpRequest&, int issued)> accepts)
        : hub(one_layer(), [this, accepts](const HttpRequest& request, HttpConnection& connection) {
              if (request.path.starts_with("/token")) {
                  if (request.method == "POST" && post_status != 200) {
                      connection.answer(post_status, {{"Location", post_location}}, "no");
                      return true;
                  }
                  if (token_status != 200) {
                      connection.answer(token_status, {}, "no");
                      return true;
                  }
                  connection.answer(200, {}, fmt::format(R"({{"token":"t{}"}})", ++issued));
                  return true;
              }
              if (accepts(request, issued)) return false;
              connection.answer(401, {{"WWW-Authenticate", challenge()}}, "");
              return true;
          }) {}
    std::string challenge() const {
        std::string named = realm.empty() ? hub.url("/token") : realm;
        return fmt::format(R"(Bearer realm="{}",service="reg \"1\"",scope="repository:acme/app:pull")", named);
    }
    std::vector<HttpRequest> token_requests() const {
        std::vector<HttpRequest> out;
        for (auto& request : hub.requests())
            if (request.path.starts_with("/token")) out.push_back(request);
        return out;
    }
    std::atomic<int> issued{0};
    std::string realm;
    int token_status = 200;
    int post_status = 200;
    std::string post_location;
    FakeRegistry hub;
};

TEST(ChallengeTest, AreReadAsTheyAreWritten) {
    using Parameters = std::map<std::string, std::string>;
    EXPECT_EQ(parse_challenges(R"(Bearer realm="https://a/t?x=1,2",service="s \"q\"",scope="a b")"),
              (std::vector<Challenge>{
                  {"bearer", Parameters{{"realm", "https://a/t?x=1,2"}, {"service", "s \"q\""}, {"scope", "a b"}}}}));
    EXPECT_EQ(parse_challenges(R"(Negotiate YWJj==, Basic realm=x , BEARER Realm = "y", , error=z)"),
              (std::vector<Challenge>{{"negotiate", {}},
                                      {"basic", Parameters{{"realm", "x"}}},
                                      {"bearer", Parameters{{"realm", "y"}, {"error", "z"}}}}));
    EXPECT_EQ(parse_challenges("Negotiate, Basic"), (std::vector<Challenge>{{"negotiate", {}}, {"basic", {}}}));
    EXPECT_EQ(parse_challenges(R"(Basic realm="open)"), (std::vector<Challenge>{{"basic", {{"realm", "open"}}}}));
    for (const char* odd : {"", ",", "=", "\"", "a=b", "\"a\"=b", "= = =", "Basic \"", "Basic a=\"\\"})
        EXPECT_LE(parse_challenges(odd).size(), 2U) << odd;
    std::string many;
    for (int i = 0; i < 100; ++i) many += "Basic a=b,";
    EXPECT_EQ(parse_challenges(many).size(), 16U);
}

TEST(RetryTest, PausesDoubleAndAreBounded) {
    using std::chrono::milliseconds;
    using std::chrono::seconds;
    EXPECT_GE(retry_pause(1, {}), milliseconds(100));
    EXPECT_LE(retry_pause(1, {}), milliseconds(150));
    EXPECT_GE(retry_pause(4, {}), milliseconds(800));
    EXPECT_LE(retry_pause(4, {}), milliseconds(1200));
    EXPECT_EQ(retry_pause(1, seconds(7)), seconds(7));
    EXPECT_EQ(retry_pause(1, seconds(9999)), seconds(60));
}

TEST_F(PullTest, BearerTokenIsFetchedOnceWithoutCredentials) {
    BearerRegistry bearer(
        [](const HttpRequest& request, int) { return header(request, "authorization") == "Bearer t1"; });
    auto pulled = pull_it(request(bearer.hub));
    ASSERT_TRUE(pulled) << pulled.error().text();
    auto asked = bearer.token_requests();
    ASSERT_EQ(asked.size(), 1U);
    EXPECT_EQ(asked[0].path, "/token?service=reg%20%221%22&scope=repository%3Aacme%2Fapp%3Apull");
    EXPECT_EQ(header(asked[0], "authorization"), "");
}

TEST_F(PullTest, BearerTokenIsFetchedWithCredentials) {
    BearerRegistry bearer(
        [](const HttpRequest& request, int) { return header(request, "authorization") == "Bearer t1"; });
    auto with = request(bearer.hub);
    with.credentials = kAlice;
    auto pulled = pull_it(with);
    ASSERT_TRUE(pulled) << pulled.error().text();
    for (auto& asked : bearer.hub.requests()) {
        bool token = asked.path.starts_with("/token");
        EXPECT_EQ(header(asked, "authorization") == kAliceBasic, token) << asked.path;
    }
}

TEST_F(PullTest, IdentityTokenIsPosted) {
    BearerRegistry bearer(
        [](const HttpRequest& request, int) { return header(request, "authorization") == "Bearer t1"; });
    auto with = request(bearer.hub);
    with.credentials.identity_token = "refresh&me";
    auto pulled = pull_it(with);
    ASSERT_TRUE(pulled) << pulled.error().text();
    auto asked = bearer.token_requests();
    ASSERT_EQ(asked.size(), 1U);
    EXPECT_EQ(asked[0].method, "POST");
    EXPECT_EQ(asked[0].path, "/token");
    EXPECT_EQ(asked[0].body,
              "grant_type=refresh_token&client_id=vmette&service=reg%20%221%22&scope=repository%3Aacme%2Fapp%3Apull"
              "&refresh_token=refresh%26me");
    EXPECT_EQ(header(asked[0], "content-type"), "application/x-www-form-urlencoded");
    EXPECT_EQ(header(asked[0], "authorization"), "");
}

TEST_F(PullTest, IdentityTokenIsAPasswordToServersWithoutOauth) {
    for (int code : {400, 401, 404, 405}) {
        BearerRegistry bearer(
            [](const HttpRequest& request, int) { return header(request, "authorization") == "Bearer t1"; });
        bearer.hub.change([&] { bearer.post_status = code; });
        auto with = request(bearer.hub);
        with.credentials = {.user = "alice", .password = {}, .identity_token = "secret", .registry_token = {}};
        auto pulled = pull_it(with);
        ASSERT_TRUE(pulled) << pulled.error().text();
        auto asked = bearer.token_requests();
        ASSERT_EQ(asked.size(), 2U);
        EXPECT_EQ(asked[1].method, "GET");
        EXPECT_EQ(asked[1].path, "/token?service=reg%20%221%22&scope=repository%3Aacme%2Fapp%3Apull&account=alice");
        EXPECT_EQ(header(asked[1], "authorization"), kAliceBasic);
        forget_layers(pulled->documents.manifest, layout);
    }
    // Other refusals are the server's last word.
    BearerRegistry bearer([](const HttpRequest&, int) { return false; });
    bearer.hub.change([&] { bearer.post_status = 403; });
    auto with = request(bearer.hub);
    with.credentials.identity_token = "secret";
    EXPECT_EQ(error_of_pull(with),
              "not-found: REF: HOST refuses the credentials for acme/app: its token server http://HOST/token answered "
              "403" +
                  kGiven);
    EXPECT_EQ(bearer.token_requests().size(), 1U);
}

TEST_F(PullTest, IdentityTokenDoesNotFollowARedirect) {
    FakeRegistry elsewhere(one_layer());
    BearerRegistry bearer([](const HttpRequest&, int) { return false; });
    bearer.hub.change([&] { bearer.post_status = 307; });
    bearer.hub.change([&] { bearer.post_location = elsewhere.url("/token"); });
    auto with = request(bearer.hub);
    with.credentials.identity_token = "secret";
    EXPECT_EQ(error_of_pull(with), "network: REF: the token server http://HOST/token of HOST answered 307");
    EXPECT_TRUE(elsewhere.requests().empty());
}

TEST_F(PullTest, IdentityTokenOfDockersConfigIsFound) {
    BearerRegistry bearer(
        [](const HttpRequest& request, int) { return header(request, "authorization") == "Bearer t1"; });
    // As `docker login` writes it: the user, no password, and the token beside.
    write("config.json",
          fmt::format(R"({{"auths":{{"{}":{{"auth":"YWxpY2U6","identitytoken":"secret"}}}}}})", bearer.hub.host()));
    auto with = request(bearer.hub);
    auto variables = [&](const std::string& name) -> std::optional<std::string> {
        return name == "DOCKER_CONFIG" ? std::optional(dir.string()) : std::nullopt;
    };
    auto found = find_credentials(with.reference, {.environment = variables, .home = {}, .runtime_dir = {}});
    ASSERT_TRUE(found) << found.error().text();
    with.credentials = *found;
    auto pulled = pull_it(with);
    ASSERT_TRUE(pulled) << pulled.error().text();
    ASSERT_EQ(bearer.token_requests().size(), 1U);
    EXPECT_THAT(bearer.token_requests()[0].body, testing::EndsWith("&refresh_token=secret"));
}

TEST_F(PullTest, RegistryTokenIsUsedAsItIs) {
    BearerRegistry bearer(
        [](const HttpRequest& request, int) { return header(request, "authorization") == "Bearer mine"; });
    auto with = request(bearer.hub);
    with.credentials.registry_token = "mine";
    auto pulled = pull_it(with);
    ASSERT_TRUE(pulled) << pulled.error().text();
    EXPECT_TRUE(bearer.token_requests().empty());
    with.credentials.registry_token = "stale";
    EXPECT_EQ(error_of_pull(with), "not-found: REF: HOST refuses the credentials for acme/app (401)" + kGiven);
}

TEST_F(PullTest, TokenThatExpiresIsRenewed) {
    BearerRegistry bearer([](const HttpRequest& request, int issued) {
        bool blob = request.path.find("/blobs/") != std::string::npos;
        return header(request, "authorization") == (blob ? "Bearer t2" : "Bearer t1") && issued == (blob ? 2 : 1);
    });
    auto pulled = pull_it(request(bearer.hub));
    ASSERT_TRUE(pulled) << pulled.error().text();
    EXPECT_EQ(bearer.token_requests().size(), 2U);
}

TEST_F(PullTest, LoopOf401Ends) {
    BearerRegistry bearer([](const HttpRequest&, int) { return false; });
    auto without = request(bearer.hub);
    EXPECT_EQ(
        error_of_pull(without),
        "not-found: REF: HOST has no such image, or shows it only with credentials, and none were found (401)" + kNone);
    EXPECT_EQ(bearer.hub.requests().size(), 5U);
    without.credentials = kAlice;
    EXPECT_EQ(error_of_pull(without), "not-found: REF: HOST refuses the credentials for acme/app (401)" + kGiven);
}

TEST_F(PullTest, TokenServersFailuresAreNamed) {
    BearerRegistry bearer([](const HttpRequest&, int) { return false; });
    auto with = request(bearer.hub);
    with.credentials = kAlice;
    bearer.hub.change([&] { bearer.token_status = 403; });
    EXPECT_EQ(error_of_pull(with),
              "not-found: REF: HOST refuses the credentials for acme/app: its token server "
              "http://HOST/token answered 403" +
                  kGiven);
    bearer.hub.change([&] { bearer.token_status = 204; });
    EXPECT_EQ(error_of_pull(with), "network: REF: the token server http://HOST/token of HOST answered 204");
    bearer.hub.change([&] { bearer.token_status = 503; });
    EXPECT_EQ(error_of_pull(with),
              "network: REF: the token server http://HOST/token of HOST answered 503, 5 times in a row");
    bearer.hub.change([&] { bearer.token_status = 200; });
    bearer.hub.change([&] { bearer.realm = "file:///etc/passwd"; });
    EXPECT_EQ(error_of_pull(with),
              "network: REF: HOST names a token server that is not asked over https: file:///etc/passwd");
}

TEST_F(PullTest, BasicCredentialsAreSentWhenAskedFor) {
    FakeRegistry hub(one_layer(), [](const HttpRequest& request, HttpConnection& connection) {
        if (header(request, "authorization") == kAliceBasic) return false;
        connection.answer(401, {{"WWW-Authenticate", "Basic realm=\"r\""}}, "");
        return true;
    });
    auto with = request(hub);
    with.credentials = kAlice;
    auto pulled = pull_it(with);
    ASSERT_TRUE(pulled) << pulled.error().text();
    EXPECT_EQ(header(hub.requests().at(0), "authorization"), "");
    with.credentials.password = "wrong";
    EXPECT_EQ(error_of_pull(with), "not-found: REF: HOST refuses the credentials for acme/app (401)" + kGiven);
}

TEST_F(PullTest, CredentialsDoNotFollowARedirect) {
    FakeRegistry elsewhere(one_layer());
    FakeRegistry hub(one_layer(), [&](const HttpRequest& request, HttpConnection& connection) {
        if (header(request, "authorization") != kAliceBasic)
            connection.answer(401, {{"WWW-Authenticate", "Basic realm=\"r\""}}, "");
        else if (request.path.find("/blobs/") == std::string::npos)
            return false;
        else
            connection.answer(307, {{"Location", elsewhere.url(request.path)}}, "");
        return true;
    });
    auto with = request(hub);
    with.credentials = kAlice;
    auto pulled = pull_it(with);
    ASSERT_TRUE(pulled) << pulled.error().text();
    ASSERT_EQ(elsewhere.requests().size(), 2U);
    for (auto& asked : elsewhere.requests()) EXPECT_EQ(header(asked, "authorization"), "");
}

TEST_F(PullTest, ChallengeFromWhereARedirectLedIsNotAnswered) {
    FakeRegistry elsewhere(one_layer(), [](const HttpRequest&, HttpConnection& connection) {
        connection.answer(401, {{"WWW-Authenticate", "Basic realm=\"r\""}}, "");
        return true;
    });
    FakeRegistry hub(one_layer(), [&](const HttpRequest& request, HttpConnection& connection) {
        if (request.path.find("/blobs/") == std::string::npos) return false;
        connection.answer(307, {{"Location", elsewhere.url(request.path)}}, "");
        return true;
    });
    auto with = request(hub);
    with.credentials = kAlice;
    EXPECT_EQ(error_of_pull(with), "not-found: REF: HOST answered 401 for the config " + digest_of(hub.image.config));
    for (auto& asked : elsewhere.requests()) EXPECT_EQ(header(asked, "authorization"), "");
    EXPECT_EQ(elsewhere.requests().size(), 1U);
}

TEST_F(PullTest, MirrorsComeFirstAndNeverSeeCredentials) {
    FakeRegistry mirror(one_layer(), [](const HttpRequest& request, HttpConnection& connection) {
        // Has the manifest alone.
        if (request.path.find("/manifests/") != std::string::npos) return false;
        connection.answer(401, {{"WWW-Authenticate", "Basic realm=\"r\""}}, "");
        return true;
    });
    FakeRegistry hub(one_layer(), [](const HttpRequest& request, HttpConnection& connection) {
        if (header(request, "authorization") == kAliceBasic) return false;
        connection.answer(401, {{"WWW-Authenticate", "Basic realm=\"r\""}}, "");
        return true;
    });
    auto with = request(hub);
    with.credentials = kAlice;
    with.registry.mirrors = {"127.0.0.1:1", mirror.host()};
    auto pulled = pull_it(with);
    ASSERT_TRUE(pulled) << pulled.error().text();
    EXPECT_EQ(contents(*pulled), hub.image.layers);
    EXPECT_EQ(mirror.requests().size(), 3U);
    for (auto& asked : mirror.requests()) EXPECT_EQ(header(asked, "authorization"), "");
    for (auto& path : hub.paths()) EXPECT_EQ(path.find("/manifests/"), path.npos);
}

TEST_F(PullTest, MirrorThatLiesIsPassedOver) {
    FakeImage wrong = one_layer();
    wrong.blobs[wrong.layer_digest(0)] = noise(5000, 99);
    FakeRegistry mirror(wrong), hub(one_layer());
    auto with = request(hub);
    with.registry.mirrors = {mirror.host()};
    auto pulled = pull_it(with);
    ASSERT_TRUE(pulled) << pulled.error().text();
    EXPECT_EQ(contents(*pulled), hub.image.layers);
    EXPECT_EQ(hub.requests().size(), 1U);
}

/// What a proxy that wants a login, an old registry or a mirror of something else would say to a tag.
TEST_F(PullTest, MirrorThatAnswersATagWithNonsenseIsPassedOverWithAWarning) {
    FakeImage good = one_layer();
    FakeImage foreign = FakeImage::of({noise(5000)}, Platform{"linux", "s390x", ""});
    std::string config_gone = FakeImage::of({noise(7000, 7)}).manifest;
    struct {
        std::string answer, type, why;
    } cases[] = {
        {"<html>Please log in</html>", "text/html", "is no JSON"},
        {"", "", "is no JSON"},
        {R"({"schemaVersion":1})", "", "schema 1"},
        {foreign.manifest, std::string(kManifestType), "it is an image for linux/s390x"},
        {config_gone, std::string(kManifestType), "answered 404 for the config"},
    };
    for (const auto& wrong : cases) {
        FakeImage served = foreign;
        FakeRegistry mirror(
            served, for_path("/manifests/v1", times(9, status(200, {{"Content-Type", wrong.type}}, wrong.answer))));
        FakeRegistry second(good), hub(good);
        auto with = request(hub);
        with.registry.mirrors = {mirror.host(), second.host()};
        testing::internal::CaptureStderr();
        auto pulled = pull_it(with);
        std::string said = testing::internal::GetCapturedStderr();
        ASSERT_TRUE(pulled) << wrong.answer << ": " << pulled.error().text();
        EXPECT_EQ(contents(*pulled), good.layers);
        EXPECT_TRUE(hub.paths().empty() || hub.paths()[0].starts_with("/blobs/")) << wrong.answer;
        EXPECT_THAT(said,
                    testing::HasSubstr(with.reference.text() + ": its mirror " + mirror.host() + " is passed over: "));
        EXPECT_THAT(said, testing::HasSubstr(wrong.why));
        forget_layers(pulled->documents.manifest, layout);
    }
}

TEST_F(PullTest, MirrorsThatAllLieLeaveTheRegistrysOwnError) {
    FakeImage none = one_layer();
    none.manifests["v1"] = "{}";
    FakeRegistry mirror(none), second(none), hub(none);
    auto with = request(hub);
    with.registry.mirrors = {mirror.host(), second.host()};
    EXPECT_THAT(error_of_pull(with), testing::StartsWith("bad-image: REF "));
    EXPECT_EQ(mirror.requests().size(), 1U);
    EXPECT_EQ(second.requests().size(), 1U);
    EXPECT_EQ(hub.requests().size(), 1U);
}

TEST_F(PullTest, MirrorsThatFailAreNamedOnceAndThoseThatLackSomethingAreNot) {
    FakeImage wrong = FakeImage::of({noise(5000, 1), noise(5000, 2)}), right = wrong;
    for (int layer : {0, 1}) wrong.blobs[wrong.layer_digest(static_cast<std::size_t>(layer))] = noise(5000, 99);
    FakeImage empty;
    FakeRegistry lying(wrong), lacking(empty), hub(right);
    auto with = request(hub);
    with.registry.mirrors = {"127.0.0.1:1", lacking.host(), lying.host()};
    testing::internal::CaptureStderr();
    auto pulled = pull_it(with);
    std::string said = testing::internal::GetCapturedStderr();
    ASSERT_TRUE(pulled) << pulled.error().text();
    auto count = [&](const std::string& part) {
        int times = 0;
        for (std::size_t at = 0; (at = said.find(part, at)) != said.npos; ++at) ++times;
        return times;
    };
    EXPECT_EQ(count("its mirror 127.0.0.1:1 is passed over"), 1) << said;
    EXPECT_EQ(count("its mirror " + lying.host() + " is passed over"), 2) << said;
    EXPECT_EQ(count(lacking.host()), 0) << said;
}

TEST_F(PullTest, MirrorsFailuresAreToldToo) {
    FakeImage empty = one_layer();
    empty.manifests.clear();
    FakeRegistry mirror(empty), hub(empty);
    auto with = request(hub);
    with.registry.mirrors = {mirror.host()};
    EXPECT_EQ(
        error_of_pull(with),
        "not-found: REF: HOST answered 404 for the manifest (MANIFEST_UNKNOWN: manifest unknown); its name or its "
        "tag may be spelt wrong; before, of its mirror: MIRROR answered 404 for the manifest (MANIFEST_UNKNOWN: "
        "manifest unknown)");
}

}  // namespace
}  // namespace vmette::rootfs::oci
