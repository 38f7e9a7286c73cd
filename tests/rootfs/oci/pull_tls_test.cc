/// Pulls over TLS: whom the client trusts, where it may be led, and what it takes along.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include "base/process.h"
#include "rootfs/oci/fake_registry.h"
#include "rootfs/oci/settings.h"

namespace vmette::rootfs::oci {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

const Credentials kAlice{.user = "alice", .password = "secret", .identity_token = {}, .registry_token = {}};
constexpr const char* kAliceBasic = "Basic YWxpY2U6c2VjcmV0";

FakeImage some_layers() { return FakeImage::of({noise(300'000, 1), noise(50'000, 2), noise(70'000, 3)}); }

/// Wants Alice's password; where `redirected` is in the path, leads to `to` with the same path.
FakeRegistry::Hook for_alice(std::string redirected = {}, const FakeRegistry* to = nullptr) {
    return [=](const HttpRequest& request, HttpConnection& connection) {
        if (header(request, "authorization") != kAliceBasic)
            connection.answer(401, {{"WWW-Authenticate", "Basic realm=\"r\""}}, "");
        else if (to != nullptr && request.path.find(redirected) != std::string::npos)
            connection.answer(307, {{"Location", to->url(request.path)}}, "");
        else
            return false;
        return true;
    };
}

/// A bearer registry whose tokens come from `realm`.
FakeRegistry::Hook with_tokens_of(const std::string& realm) {
    return [=](const HttpRequest& request, HttpConnection& connection) {
        if (header(request, "authorization") == "Bearer good") return false;
        connection.answer(401, {{"WWW-Authenticate", fmt::format("Bearer realm=\"{}\",service=\"s\"", realm)}}, "");
        return true;
    };
}

HttpServer::Handler tokens() { return status(200, {}, R"({"token":"good"})"); }

/// A socket that listens without ever accepting, and its port.
std::pair<Fd, int> listen_on_loopback() {
    Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener.get(), 64), 0);
    EXPECT_EQ(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    return {std::move(listener), ntohs(address.sin_port)};
}

class PullTlsTest : public PullTest {
protected:
    PullRequest trusting(const FakeRegistry& hub) {
        PullRequest made = request(hub);
        made.registry.ca_certs = files.certificate;
        return made;
    }

    TlsFiles files = make_certificate(dir, "registry");
};

TEST_F(PullTlsTest, CertificatesOfTheConfigFileAreTrusted) {
    FakeRegistry hub(some_layers(), {}, files);
    auto config = write("config.toml", fmt::format("[registries.\"{}\"]\nca_certs = \"registry.pem\"\n", hub.host()));
    auto settings = load_image_settings(config);
    ASSERT_TRUE(settings) << settings.error().text();
    PullRequest with = request(hub);
    with.registry = settings->of(with.reference.registry);
    auto pulled = pull_it(with);
    ASSERT_TRUE(pulled) << pulled.error().text();
    EXPECT_EQ(contents(*pulled), hub.image.layers);
}

TEST_F(PullTlsTest, UnknownCertificatesAreRefusedAndPlainHttpIsNotTriedInstead) {
    FakeRegistry hub(some_layers(), {}, files);
    EXPECT_EQ(error_of_pull(request(hub)),
              "network: REF: the manifest cannot be fetched from HOST: it has no certificate that is trusted here (SSL "
              "certificate problem: self-signed certificate; the registry's ca_certs in config.toml says what else to "
              "trust)");
    EXPECT_TRUE(hub.requests().empty());
    // Of another host, and of an authority with the same name but another key.
    TlsFiles elsewhere = make_certificate(dir, "elsewhere", "IP:127.0.0.2");
    FakeRegistry misnamed(some_layers(), {}, elsewhere);
    PullRequest with = request(misnamed);
    with.registry.ca_certs = elsewhere.certificate;
    EXPECT_THAT(error_of_pull(with), HasSubstr("it has no certificate that is trusted here ("));
    with = trusting(hub);
    std::filesystem::create_directories(dir / "other");
    with.registry.ca_certs = make_certificate(dir / "other", "registry").certificate;
    EXPECT_THAT(error_of_pull(with), HasSubstr("it has no certificate that is trusted here ("));
    EXPECT_TRUE(hub.requests().empty() && misnamed.requests().empty());
}

TEST_F(PullTlsTest, UnreadableCertificatesAreNamed) {
    FakeRegistry hub(some_layers(), {}, files);
    PullRequest with = request(hub);
    for (const char* name : {"none.pem", "broken.pem"}) {
        with.registry.ca_certs = dir / name;
        if (name == std::string("broken.pem")) write(name, "no certificate");
        EXPECT_EQ(error_of_pull(with),
                  "bad-input: REF: the manifest cannot be fetched from HOST: no certificates can be read from " +
                      (dir / name).string());
    }
}

TEST_F(PullTlsTest, ServerWithoutTlsIsNotSpokenToInPlainOnceCertificatesAreConfigured) {
    FakeRegistry plain(some_layers());
    EXPECT_THAT(error_of_pull(trusting(plain)),
                testing::MatchesRegex("network: REF: the manifest cannot be fetched from HOST: .*, 5 times in a row"));
    EXPECT_TRUE(plain.requests().empty());
}

TEST_F(PullTlsTest, SilentHandshakeIsEnded) {
    patient.limits.stall = std::chrono::seconds(1);
    // The kernel takes the connection, and nobody answers.
    auto [listener, port] = listen_on_loopback();
    FakeRegistry hub(some_layers(), {}, files);
    PullRequest with = trusting(hub);
    with.reference.registry = fmt::format("127.0.0.1:{}", port);
    auto start = std::chrono::steady_clock::now();
    EXPECT_THAT(error_of_pull(with), StartsWith("network: REF: the manifest cannot be fetched from HOST: "));
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(15));
}

TEST_F(PullTlsTest, TokensComeOverTls) {
    FakeRegistry token_server(some_layers(), for_path("/token", times(9, tokens())), files);
    FakeRegistry hub(some_layers(), with_tokens_of(token_server.url("/token")), files);
    PullRequest with = trusting(hub);
    with.credentials = kAlice;
    auto pulled = pull_it(with);
    ASSERT_TRUE(pulled) << pulled.error().text();
    EXPECT_EQ(contents(*pulled), hub.image.layers);
    ASSERT_EQ(token_server.requests().size(), 1U);
    EXPECT_EQ(header(token_server.requests()[0], "authorization"), kAliceBasic);
    for (auto& asked : hub.requests()) EXPECT_NE(header(asked, "authorization"), kAliceBasic);
}

TEST_F(PullTlsTest, TokenServersThatCannotBeTrustedGetNothing) {
    FakeRegistry plain(some_layers(), for_path("/token", times(9, tokens())));
    FakeRegistry leads_to_plain(some_layers(), with_tokens_of(plain.url("/token")), files);
    PullRequest with = trusting(leads_to_plain);
    with.credentials = kAlice;
    EXPECT_EQ(error_of_pull(with),
              "network: REF: HOST names a token server that is not asked over https: " + plain.url("/token"));

    FakeRegistry forged(some_layers(), for_path("/token", times(9, tokens())), make_certificate(dir, "forged"));
    FakeRegistry leads_to_forged(some_layers(), with_tokens_of(forged.url("/token")), files);
    with = trusting(leads_to_forged);
    with.credentials = kAlice;
    EXPECT_THAT(error_of_pull(with),
                StartsWith("network: REF: no token for HOST can be had from " + forged.url("/token") +
                           ": it has no certificate that is trusted here ("));

    // A realm that redirects: down to plain text it is refused, to another host it comes without the password.
    FakeRegistry downgrade(some_layers(), for_path("/token", times(9, redirect(plain.url("/token")))), files);
    FakeRegistry leads_down(some_layers(), with_tokens_of(downgrade.url("/token")), files);
    with = trusting(leads_down);
    with.credentials = kAlice;
    EXPECT_THAT(error_of_pull(with), HasSubstr("it redirects to where https must not lead ("));
    EXPECT_TRUE(plain.requests().empty());
    FakeRegistry other(some_layers(), for_path("/token", times(9, tokens())), files);
    FakeRegistry moved(some_layers(), for_path("/token", times(9, redirect(other.url("/token")))), files);
    FakeRegistry leads_away(some_layers(), with_tokens_of(moved.url("/token")), files);
    with = trusting(leads_away);
    with.credentials = kAlice;
    auto pulled = pull_it(with);
    ASSERT_TRUE(pulled) << pulled.error().text();
    ASSERT_EQ(other.requests().size(), 1U);
    EXPECT_EQ(header(other.requests()[0], "authorization"), "");
}

TEST_F(PullTlsTest, RedirectsFromTlsToPlainTextAreRefused) {
    FakeImage image = some_layers();
    FakeRegistry plain(image);
    for (const std::string& part : {std::string("/manifests/"), image.layer_digest(1)}) {
        FakeRegistry hub(image, for_path(part, {redirect(plain.url("/v2/acme/app" + part))}), files);
        EXPECT_THAT(error_of_pull(trusting(hub)), HasSubstr("cannot be fetched from HOST: it redirects to where https "
                                                            "must not lead (Protocol \"http\" "));
    }
    EXPECT_TRUE(plain.requests().empty());
}

TEST_F(PullTlsTest, CredentialsDoNotFollowARedirectToAnotherHost) {
    FakeRegistry storage(some_layers(), {}, files);
    FakeRegistry hub(some_layers(), for_alice("/blobs/", &storage), files);
    PullRequest with = trusting(hub);
    with.credentials = kAlice;
    auto pulled = pull_it(with);
    ASSERT_TRUE(pulled) << pulled.error().text();
    EXPECT_EQ(contents(*pulled), hub.image.layers);
    EXPECT_EQ(storage.requests().size(), 4U);
    for (auto& asked : storage.requests()) EXPECT_EQ(header(asked, "authorization"), "");
}

/// Storage may need to be trusted as well: what the registry's name stands for does not count there.
TEST_F(PullTlsTest, RedirectToAHostWithoutATrustedCertificateIsRefused) {
    FakeRegistry storage(some_layers(), {}, make_certificate(dir, "storage"));
    FakeRegistry hub(some_layers(), for_alice("/blobs/", &storage), files);
    PullRequest with = trusting(hub);
    with.credentials = kAlice;
    EXPECT_THAT(error_of_pull(with), HasSubstr("it has no certificate that is trusted here ("));
    EXPECT_TRUE(storage.requests().empty());
}

TEST_F(PullTlsTest, CutLayerGoesOnWhereItBroke) {
    FakeImage image = some_layers();
    FakeRegistry hub(image, for_path(image.layer_digest(0), {cut_after(image.layers[0], 123'456)}), files);
    auto pulled = pull_it(trusting(hub));
    ASSERT_TRUE(pulled) << pulled.error().text();
    EXPECT_EQ(contents(*pulled), image.layers);
    std::vector<std::string> ranges;
    for (auto& asked : hub.requests())
        if (asked.path.ends_with(image.layer_digest(0))) ranges.push_back(header(asked, "range"));
    EXPECT_EQ(ranges, (std::vector<std::string>{"", "bytes=123456-"}));
}

TEST_F(PullTlsTest, MirrorsAreHeldToTheSameCertificates) {
    FakeRegistry mirror(some_layers(), {}, files), forged(some_layers(), {}, make_certificate(dir, "forged"));
    FakeRegistry hub(some_layers(), {}, files);
    PullRequest with = trusting(hub);
    with.registry.mirrors = {forged.host(), mirror.host()};
    auto pulled = pull_it(with);
    ASSERT_TRUE(pulled) << pulled.error().text();
    EXPECT_EQ(contents(*pulled), hub.image.layers);
    EXPECT_TRUE(forged.requests().empty());
    EXPECT_EQ(mirror.requests().size(), 5U);
    EXPECT_TRUE(hub.requests().empty());
}

/// nghttpx(1) in front of a registry: HTTP/2 over TLS on its one side, HTTP/1.1 on the other.
class Http2Front {
public:
    Http2Front(const FakeRegistry& behind, const TlsFiles& files) {
        // It cannot say which port it was given, so one that was free a moment ago is named.
        for (int tries = 0; tries < 5 && host_.empty(); ++tries) start(behind, files);
    }
    const std::string& host() const { return host_; }

private:
    void start(const FakeRegistry& behind, const TlsFiles& files) {
        std::string port = std::to_string(listen_on_loopback().second), back = behind.host();
        back.replace(back.find(':'), 1, ",");
        auto said = make_pipe();
        ASSERT_TRUE(said);
        ProcessSpec spec;
        spec.argv = {"nghttpx",
                     "--conf=/dev/null",
                     "--single-process",
                     "--no-ocsp",
                     "--log-level=NOTICE",
                     "--no-location-rewrite",
                     "--frontend=127.0.0.1," + port,
                     "--backend=" + back,
                     files.key.string(),
                     files.certificate.string()};
        spec.descriptors = {{(*said)[1].get(), STDERR_FILENO}};
        auto started = spawn(spec);
        ASSERT_TRUE(started) << started.error().text();
        process_ = *std::move(started);
        said_ = std::move((*said)[0]);
        (*said)[1].reset();
        std::string text;
        char byte = 0;
        while (text.find("Listening on") == text.npos)
            if (::read(said_.get(), &byte, 1) != 1)
                return;
            else
                text += byte;
        host_ = "127.0.0.1:" + port;
    }

    std::string host_;
    Fd said_;
    Process process_;
};

TEST_F(PullTlsTest, Http2IsSpokenWhereItIsOffered) {
    if (!find_program("nghttpx")) GTEST_SKIP() << "nghttpx is not installed";
    FakeImage image = some_layers();
    FakeRegistry hub(image, for_path(image.layer_digest(0), {cut_after(image.layers[0], 123'456)}));
    Http2Front front(hub, files);
    ASSERT_FALSE(front.host().empty());
    PullRequest with = trusting(hub);
    with.reference.registry = front.host();
    auto pulled = pull_it(with);
    ASSERT_TRUE(pulled) << pulled.error().text();
    EXPECT_EQ(contents(*pulled), image.layers);
    auto requests = hub.requests();
    // The layer that was cut once more than it would be; how much of it came through the proxy is the proxy's business.
    EXPECT_EQ(requests.size(), 6U);
    for (auto& asked : requests) EXPECT_THAT(header(asked, "via"), StartsWith("2 "));
}

TEST_F(PullTlsTest, CredentialsDoNotFollowARedirectOfHttp2) {
    if (!find_program("nghttpx")) GTEST_SKIP() << "nghttpx is not installed";
    FakeRegistry storage(some_layers(), {}, files);
    FakeRegistry hub(some_layers(), for_alice("/blobs/", &storage));
    Http2Front front(hub, files);
    ASSERT_FALSE(front.host().empty());
    PullRequest with = trusting(hub);
    with.reference.registry = front.host();
    with.credentials = kAlice;
    auto pulled = pull_it(with);
    ASSERT_TRUE(pulled) << pulled.error().text();
    EXPECT_EQ(storage.requests().size(), 4U);
    for (auto& asked : storage.requests()) EXPECT_EQ(header(asked, "authorization"), "");
}

}  // namespace
}  // namespace vmette::rootfs::oci
