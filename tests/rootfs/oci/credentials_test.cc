#include "rootfs/oci/credentials.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <fstream>
#include <map>
#include <vector>

#include "base/layout.h"
#include "rootfs/oci/auth_variable.h"
#include "rootfs/oci/base64.h"

namespace vmette::rootfs::oci {
namespace {

constexpr std::string_view kSecret = "hunter2";

/// Homes of their own, and a folder of helpers that stands first on PATH.
class CredentialsTest : public testing::Test {
protected:
    CredentialsTest() {
        path_ = ::getenv("PATH");
        std::filesystem::create_directories(bin());
        ::setenv("PATH", (bin().string() + ":" + path_).c_str(), 1);
        sources.environment = [this](const std::string& name) {
            auto found = variables.find(name);
            return found == variables.end() ? std::nullopt : std::optional(found->second);
        };
        sources.home = root() / "home";
        sources.runtime_dir = root() / "run";
    }
    ~CredentialsTest() override { ::setenv("PATH", path_.c_str(), 1); }

    const std::filesystem::path& root() const { return temp_.path(); }
    std::filesystem::path bin() const { return root() / "bin"; }

    void write(const std::filesystem::path& file, const std::string& text) const {
        std::filesystem::create_directories((root() / file).parent_path());
        std::ofstream(root() / file) << text;
    }
    void docker(const std::string& text) const { write("home/.docker/config.json", text); }
    /// A helper that logs what it is asked for and answers with `body`, a piece of shell.
    void helper(const std::string& name, const std::string& body) const {
        auto file = bin() / ("docker-credential-" + name);
        std::ofstream(file) << "#!/bin/sh\nserver=$(cat)\necho \"$1 $server\" >>" << (root() / "log").string() << "\n"
                            << body << "\n";
        ::chmod(file.c_str(), 0755);
    }
    std::string log() const {
        std::ifstream stream(root() / "log");
        return {std::istreambuf_iterator<char>(stream), {}};
    }

    /// "user/password", "id token", "bearer token", "none", or the error's message with the folder cut out.
    std::string find(const std::string& reference) {
        auto found = find_credentials(*parse_reference(reference), sources);
        if (!found) {
            EXPECT_EQ(found.error().code, ErrorCode::bad_input);
            std::string text = found.error().text();
            EXPECT_EQ(text.find(kSecret), text.npos) << text;
            for (std::size_t at = 0; (at = text.find(root().string() + "/", at)) != text.npos;)
                text.erase(at, root().string().size() + 1);
            return text;
        }
        if (found->empty()) return "none";
        if (!found->registry_token.empty()) return "bearer " + found->registry_token;
        if (!found->identity_token.empty()) return "id " + found->identity_token;
        return found->user + "/" + found->password;
    }

    CredentialSources sources;
    std::map<std::string, std::string> variables;

private:
    TempDir temp_ = *TempDir::make();
    std::string path_;
};

TEST(Base64Test, ReadsWhatIsStandard) {
    EXPECT_EQ(decode_base64(""), "");
    EXPECT_EQ(decode_base64("YQ=="), "a");
    EXPECT_EQ(decode_base64("YQ"), "a");
    EXPECT_EQ(decode_base64("YWI="), "ab");
    EXPECT_EQ(decode_base64("YWJj"), "abc");
    EXPECT_EQ(decode_base64("YWJj\nZA==\r\n"), "abcd");
    EXPECT_EQ(decode_base64("+/+/"), "\xfb\xff\xbf");
    EXPECT_EQ(decode_base64("AAAA"), std::string(3, '\0'));
    for (const char* text : {"Y", "YQ=", "YQ===", "=", "YWJj=", "YQ==YQ==", "Y Q", "-_-_", "YWJj!"})
        EXPECT_EQ(decode_base64(text), std::nullopt) << text;
}

TEST_F(CredentialsTest, WithoutSourcesThereAreNone) {
    EXPECT_EQ(find("python"), "none");
    sources.home.clear();
    sources.runtime_dir.clear();
    EXPECT_EQ(find("python"), "none");
    docker("");
    EXPECT_EQ(find("python"), "none");
}

TEST_F(CredentialsTest, TheHostsVariableHoldsAPairOrItsBase64) {
    variables["VMETTE_OCI_AUTH_127_0_0_1_5000"] = "me:hunter2:x";
    EXPECT_EQ(find("127.0.0.1:5000/a"), "me/hunter2:x");
    EXPECT_EQ(find("127.0.0.1:5001/a"), "none");
    variables["VMETTE_OCI_AUTH_GHCR_IO"] = "bWU6aHVudGVyMg==";
    EXPECT_EQ(find("ghcr.io/a/b"), "me/hunter2");
    variables["VMETTE_OCI_AUTH_DOCKER_IO"] = "hub:hunter2";
    EXPECT_EQ(find("python"), "hub/hunter2");
    variables["VMETTE_OCI_AUTH_GHCR_IO"] = "hunter2";
    EXPECT_EQ(find("ghcr.io/a/b"), "VMETTE_OCI_AUTH_GHCR_IO is neither \"user:password\" nor the base64 of it");
    variables["VMETTE_OCI_AUTH_GHCR_IO"] = "me:hunter2\r\nX: y";
    EXPECT_EQ(find("ghcr.io/a/b"), "VMETTE_OCI_AUTH_GHCR_IO: the credentials hold a control character");
}

TEST_F(CredentialsTest, TheVariableOfOneHostIsThatOfNoOther) {
    variables["VMETTE_OCI_AUTH_A_B_EXAMPLE"] = "me:dots";
    variables["VMETTE_OCI_AUTH_A__B_EXAMPLE"] = "me:hyphen";
    variables["VMETTE_OCI_AUTH_C_D_EXAMPLE"] = "me:dots";
    EXPECT_EQ(find("a.b.example/x"), "me/dots");
    EXPECT_EQ(find("a-b.example/x"), "me/hyphen");
    EXPECT_EQ(find("A-B.example/x"), "me/hyphen");
    EXPECT_EQ(find("c-d.example/x"), "none");
    EXPECT_EQ(find("a-b-example:5/x"), "none");
    variables["VMETTE_OCI_AUTH_H_5000"] = "me:port";
    EXPECT_EQ(find("h:5000/x"), "me/port");
    EXPECT_EQ(find("h.5000/x"), "none");
    EXPECT_EQ(find("h-5000.example/x"), "none");
    variables["VMETTE_OCI_AUTH_10_0_0_1"] = "me:address";
    EXPECT_EQ(find("10.0.0.1/x"), "me/address");
    EXPECT_EQ(find("10.0.0:1/x"), "none");
    variables["VMETTE_OCI_AUTH____1__5000"] = "me:six";
    EXPECT_EQ(find("[::1]:5000/x"), "me/six");
    EXPECT_EQ(find("[::1:5000]/x"), "none");
}

TEST(AuthVariableTest, NoTwoHostsShareOne) {
    constexpr std::string_view kLetters = "a1.-:[]";
    constexpr std::size_t kLongest = 7;
    std::map<std::string, std::string> owner;
    std::vector<std::string> texts{""};
    for (std::size_t at = 0; at < texts.size(); ++at) {
        std::string text = texts[at];
        if (is_registry_host(text))
            if (auto variable = auth_variable(text)) {
                auto [first, fresh] = owner.try_emplace(*variable, text);
                EXPECT_TRUE(fresh) << *variable << " is that of " << first->second << " and of " << text;
            }
        for (char letter : kLetters)
            if (text.size() < kLongest) texts.push_back(text + letter);
    }
    EXPECT_GT(owner.size(), 1000u);
    EXPECT_EQ(owner.at("VMETTE_OCI_AUTH_A__A_1"), "a-a:1");
}

TEST_F(CredentialsTest, SourcesComeInTheirOrder) {
    auto auths = [](const std::string& password) {
        return R"({"auths":{"h.example":{"username":"u","password":")" + password + R"("}}})";
    };
    write("home/.config/containers/auth.json", auths("1"));
    EXPECT_EQ(find("h.example/a"), "u/1");
    write("run/containers/auth.json", auths("2"));
    EXPECT_EQ(find("h.example/a"), "u/2");
    write("named.json", auths("3"));
    variables["REGISTRY_AUTH_FILE"] = root() / "named.json";
    EXPECT_EQ(find("h.example/a"), "u/3");
    docker(auths("4"));
    EXPECT_EQ(find("h.example/a"), "u/4");
    write("docker/config.json", auths("5"));
    variables["DOCKER_CONFIG"] = root() / "docker";
    EXPECT_EQ(find("h.example/a"), "u/5");
    variables["VMETTE_OCI_TOKEN"] = "6";
    EXPECT_EQ(find("h.example/a"), "token/6");
    variables["VMETTE_OCI_USER"] = "me";
    EXPECT_EQ(find("h.example/a"), "me/6");
    variables["VMETTE_OCI_AUTH_H_EXAMPLE"] = "me:7";
    EXPECT_EQ(find("h.example/a"), "me/7");
}

TEST_F(CredentialsTest, TheHubsKeyHasManySpellings) {
    for (const std::string key : {"https://index.docker.io/v1/", "index.docker.io", "docker.io", "https://docker.io",
                                  "registry-1.docker.io", "index.docker.io/v1/", "docker.io/library"}) {
        docker(R"({"auths":{")" + key + R"(":{"auth":"bWU6aHVudGVyMg=="}}})");
        EXPECT_EQ(find("python"), "me/hunter2") << key;
        EXPECT_EQ(find("quay.io/a"), "none") << key;
    }
}

TEST_F(CredentialsTest, TheNearestNamespaceWins) {
    write("run/containers/auth.json", R"({"auths":{
        "quay.io":{"username":"host","password":"p"}, "quay.io/acme":{"username":"org","password":"p"},
        "quay.io/acme/app":{"username":"app","password":"p"}, "quay.io/ac":{"username":"other","password":"p"}}})");
    EXPECT_EQ(find("quay.io/acme/app"), "app/p");
    EXPECT_EQ(find("quay.io/acme/app2"), "org/p");
    EXPECT_EQ(find("quay.io/acme/app/deeper"), "app/p");
    EXPECT_EQ(find("quay.io/acm/x"), "host/p");
    EXPECT_EQ(find("quay.io:443/acme/app"), "none");
}

TEST_F(CredentialsTest, EntriesOfEveryKindAreRead) {
    docker(R"({"auths":{
        "a.example":{"auth":"bWU6","identitytoken":"it"}, "b.example":{"registrytoken":"rt"},
        "c.example":{}, "https://c.example/v2/":{"auth":"bWU6aHVudGVyMgAA"}, "http://d.example:80":{"auth":"bWU6eA"},
        "e.example":{"auth":null,"username":"u","password":"p"}, "f.example":{"auth":"OnA="}}})");
    EXPECT_EQ(find("a.example/x"), "id it");
    EXPECT_EQ(find("b.example/x"), "bearer rt");
    EXPECT_EQ(find("c.example/x"), "me/hunter2");
    EXPECT_EQ(find("d.example:80/x"), "me/x");
    EXPECT_EQ(find("e.example/x"), "u/p");
    EXPECT_EQ(find("f.example/x"), "/p");
}

TEST_F(CredentialsTest, BadFilesAreNamedAndNotQuoted) {
    docker("{\"auths\":{\"h.example\":{\"password\":\"hunter2\"");
    EXPECT_EQ(find("h.example/a"), "home/.docker/config.json is no JSON: it goes wrong at byte 44 of 43");
    docker("hunter2");
    EXPECT_EQ(find("h.example/a"), "home/.docker/config.json is no JSON: it goes wrong at byte 1 of 7");
    docker("[\"hunter2\"]");
    EXPECT_EQ(find("h.example/a"), "home/.docker/config.json is no JSON object");
    docker(R"({"auths":"hunter2"})");
    EXPECT_EQ(find("h.example/a"), "home/.docker/config.json: auths is string, not an object");
    docker(R"({"auths":{"h.example":"hunter2"}})");
    EXPECT_EQ(find("h.example/a"), "home/.docker/config.json: auths.h.example is string, not an object");
    docker(R"({"auths":{"h.example":{"auth":"hunter2"}}})");
    EXPECT_EQ(find("h.example/a"),
              "home/.docker/config.json: auths.h.example.auth is not the base64 of \"user:password\"");
    EXPECT_EQ(find("other.example/a"), "none");
    docker(R"({"auths":{"h.example":{"registrytoken":"hunter2\r\nHost: x"}}})");
    EXPECT_EQ(find("h.example/a"), "home/.docker/config.json: the credentials hold a control character");
    docker(std::string((1 << 20) + 1, ' '));
    EXPECT_EQ(find("h.example/a"), "home/.docker/config.json is larger than 1048576 bytes");
    docker("{\"a\":" + std::string(1000, '['));
    EXPECT_EQ(find("h.example/a"), "home/.docker/config.json is nested more than 32 levels deep");
}

TEST_F(CredentialsTest, AHelperIsAskedBeforeTheFilesOwn) {
    helper("own", R"(echo "{\"ServerURL\":\"$server\",\"Username\":\"u\",\"Secret\":\"hunter2\"}")");
    helper("all", R"(echo '{"Username":"<token>","Secret":"it"}')");
    docker(R"({"credsStore":"all","credHelpers":{"h.example":"own","n.example":""},"auths":{
        "h.example":{"auth":"YTpi"},"n.example":{"auth":"YTpi"}}})");
    EXPECT_EQ(find("h.example/a"), "u/hunter2");
    EXPECT_EQ(find("other.example:5000/a"), "id it");
    EXPECT_EQ(find("n.example/a"), "a/b");
    EXPECT_EQ(find("python"), "id it");
    EXPECT_EQ(log(), "get h.example\nget other.example:5000\nget https://index.docker.io/v1/\n");
}

TEST_F(CredentialsTest, AHelperThatHasNoneLeavesItToTheFile) {
    helper("none", "echo credentials not found in native keychain; exit 1");
    docker(R"({"credsStore":"none","auths":{"h.example":{"auth":"YTpi"},"docker.io":{"auth":"Yzpk"}}})");
    EXPECT_EQ(find("h.example/a"), "a/b");
    EXPECT_EQ(find("python"), "c/d");
    EXPECT_EQ(find("other.example/a"), "none");
    EXPECT_EQ(log(), "get h.example\nget https://index.docker.io/v1/\nget docker.io\nget other.example\n");
}

TEST_F(CredentialsTest, AHelpersFailureIsSaidWithoutItsWords) {
    const std::string file = "home/.docker/config.json: ";
    docker(R"({"credsStore":"x"})");
    EXPECT_EQ(find("h.example/a"), file + "the credential helper docker-credential-x is not on PATH");
    helper("x", "echo hunter2; echo hunter2 >&2; exit 3");
    EXPECT_EQ(find("h.example/a"), file + "the credential helper docker-credential-x exited with code 3");
    helper("x", "kill -9 $$");
    EXPECT_EQ(find("h.example/a"), file + "the credential helper docker-credential-x was killed by signal 9 (Killed)");
    helper("x", "echo '{\"Secret\":\"hunter2\"'");
    EXPECT_EQ(
        find("h.example/a"),
        file + "the credential helper docker-credential-x answered what is no JSON: it goes wrong at byte 21 of 20");
    helper("x", "echo '{\"Secret\":[\"hunter2\"]}'");
    EXPECT_EQ(find("h.example/a"),
              file + "the credential helper docker-credential-x gave an answer whose Secret is array, not a string");
    helper("x", "head -c 70000 /dev/zero | tr '\\0' ' '");
    EXPECT_EQ(find("h.example/a"),
              file + "the credential helper docker-credential-x answered with more than 65536 bytes");
    sources.helper_limit = Duration(50);
    helper("x", "exec sleep 60");
    EXPECT_EQ(find("h.example/a"), file + "the credential helper docker-credential-x did not answer within 50ms");
}

TEST_F(CredentialsTest, AHelpersNameIsAPlainOne) {
    for (const std::string name : {"../x", "/bin/x", "-x", ".x", "a b", "x;y", "a/../b"}) {
        docker(R"({"credsStore":")" + name + R"("})");
        EXPECT_EQ(find("h.example/a"), "home/.docker/config.json: \"" + name + "\" is no name of a credential helper");
    }
    docker(R"({"credHelpers":{"h.example":7}})");
    EXPECT_EQ(find("h.example/a"), "home/.docker/config.json: credHelpers.h.example is number, not a string");
}

TEST_F(CredentialsTest, TheProcessesOwnSourcesAreItsEnvironments) {
    auto own = CredentialSources::of_process();
    EXPECT_EQ(own.environment("PATH"), ::getenv("PATH"));
    EXPECT_EQ(own.environment("VMETTE_NO_SUCH_VARIABLE"), std::nullopt);
    EXPECT_EQ(own.helper_limit, std::chrono::seconds(10));
}

}  // namespace
}  // namespace vmette::rootfs::oci
