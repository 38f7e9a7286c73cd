#include "rootfs/oci/credentials.h"

#include <algorithm>
#include <cstdlib>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "base/text.h"
#include "rootfs/oci/auth_variable.h"
#include "rootfs/oci/base64.h"
#include "rootfs/oci/bounded_json.h"
#include "rootfs/oci/credential_helper.h"

namespace vmette::rootfs::oci {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxFile = kMiB;
constexpr std::string_view kHub = "docker.io";
/// Where `docker login` keeps those of docker.io.
constexpr std::string_view kHubKey = "https://index.docker.io/v1/";

/// "user:password" taken apart.
std::optional<Credentials> split_pair(std::string_view text) {
    std::size_t colon = text.find(':');
    if (colon == text.npos) return std::nullopt;
    Credentials out;
    out.user = text.substr(0, colon);
    out.password = text.substr(colon + 1);
    // Docker pads old ones.
    while (out.password.ends_with('\0')) out.password.pop_back();
    return out;
}

/// What ends up in a header must not begin another one.
Result<Credentials> checked(Credentials found, const std::string& where) {
    auto control = [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7F; };
    for (const std::string* text : {&found.user, &found.password, &found.identity_token, &found.registry_token})
        if (std::any_of(text->begin(), text->end(), control))
            return fail(ErrorCode::bad_input, "{}: the credentials hold a control character", where);
    return found;
}

Result<Credentials> from_environment(const Reference& reference, const CredentialSources& sources) {
    auto variable = auth_variable(reference.registry);
    if (auto text = variable ? sources.environment(*variable) : std::nullopt; text && !text->empty()) {
        auto pair = split_pair(*text);
        if (!pair) pair = split_pair(decode_base64(*text).value_or(""));
        if (!pair) return fail(ErrorCode::bad_input, "{} is neither \"user:password\" nor the base64 of it", *variable);
        return checked(*std::move(pair), *variable);
    }
    Credentials out;
    out.password = sources.environment("VMETTE_OCI_TOKEN").value_or("");
    if (out.password.empty()) return out;
    out.user = sources.environment("VMETTE_OCI_USER").value_or("");
    if (out.user.empty()) out.user = "token";
    return checked(std::move(out), "VMETTE_OCI_TOKEN");
}

/// Docker's and podman's files use many spellings for one place: "https://index.docker.io/v1/", "quay.io/acme", …
std::string namespace_of(std::string_view key) {
    bool url = false;
    for (std::string_view scheme : {"https://", "http://"}) {
        if (!key.starts_with(scheme)) continue;
        key.remove_prefix(scheme.size());
        url = true;
    }
    while (key.ends_with('/')) key.remove_suffix(1);
    std::size_t slash = key.find('/');
    std::string_view host = key.substr(0, slash);
    std::string_view path = slash == key.npos ? std::string_view() : key.substr(slash);
    // The path of a URL is the protocol's, not a namespace.
    if (url || path == "/v1" || path == "/v2") path = {};
    return std::string(canonical_registry(host)).append(path);
}

/// "quay.io/acme/app", "quay.io/acme", "quay.io".
std::vector<std::string> namespaces(const Reference& reference) {
    std::vector<std::string> out{reference.registry + "/" + reference.repository};
    while (out.back() != reference.registry) out.push_back(out.back().substr(0, out.back().rfind('/')));
    return out;
}

/// The members of `table` that are about the reference, the nearest namespace first.
std::vector<json::const_iterator> matches(const json& table, const Reference& reference) {
    std::vector<json::const_iterator> out;
    for (const std::string& wanted : namespaces(reference))
        for (auto entry = table.begin(); entry != table.end(); ++entry)
            if (namespace_of(entry.key()) == wanted) out.push_back(entry);
    return out;
}

/// One file of Docker's or podman's.
class AuthFile {
public:
    AuthFile(const std::filesystem::path& path, const Reference& reference, const CredentialSources& sources)
        : path_(path), shown_(harmless_line(path.string())), reference_(reference), sources_(sources) {}

    Result<Credentials> find() {
        auto text = read_file(path_, kMaxFile);
        if (!text && text.error().code == ErrorCode::not_found) return Credentials{};
        if (!text) return Failure(text.error());
        if (text->empty()) return Credentials{};
        auto document = parse_json_object(*text, {kMaxFile}, ErrorCode::bad_input);
        if (!document) return fail(ErrorCode::bad_input, "{} {}", shown_, document.error().message);
        VMETTE_TRY(Credentials found, ask_helpers(*document));
        if (found.empty()) {
            VMETTE_TRY(found, look_up(*document));
        }
        return checked(std::move(found), shown_);
    }

private:
    Result<Credentials> ask_helpers(const json& document) {
        JsonReader reader(ErrorCode::bad_input);
        std::string helper = reader.string(document, "credsStore", "");
        std::string key;
        if (const json* table = reader.object(document, "credHelpers", "")) {
            if (auto found = matches(*table, reference_); !found.empty()) {
                key = found.front().key();
                helper = reader.string(*table, key.c_str(), "credHelpers");
            }
        }
        if (!reader.good()) return wrong(reader);
        Credentials found;
        if (helper.empty()) return found;
        for (const std::string& server : servers(key)) {
            auto answer = ask_helper(helper, server, sources_.helper_limit);
            if (!answer) return fail(ErrorCode::bad_input, "{}: {}", shown_, answer.error().text());
            found = *std::move(answer);
            if (!found.empty()) break;
        }
        return found;
    }

    /// What the helper may keep them under.
    std::vector<std::string> servers(const std::string& key) const {
        if (reference_.registry == kHub) return {std::string(kHubKey), std::string(kHub)};
        return {key.empty() ? reference_.registry : key};
    }

    Result<Credentials> look_up(const json& document) {
        JsonReader reader(ErrorCode::bad_input);
        const json* table = reader.object(document, "auths", "");
        if (!reader.good()) return wrong(reader);
        if (table == nullptr) return Credentials{};
        for (const auto& match : matches(*table, reference_)) {
            std::string where = "auths." + harmless_line(match.key(), 100);
            VMETTE_TRY(Credentials found, read_entry(match.value(), where));
            if (!found.empty()) return found;
        }
        return Credentials{};
    }

    Result<Credentials> read_entry(const json& value, const std::string& where) {
        JsonReader reader(ErrorCode::bad_input);
        Credentials out;
        std::string encoded;
        if (const json* entry = reader.element(value, where)) {
            encoded = reader.string(*entry, "auth", where);
            out.user = reader.string(*entry, "username", where);
            out.password = reader.string(*entry, "password", where);
            out.identity_token = reader.string(*entry, "identitytoken", where);
            out.registry_token = reader.string(*entry, "registrytoken", where);
        }
        if (!reader.good()) return wrong(reader);
        if (encoded.empty()) return out;
        auto pair = split_pair(decode_base64(encoded).value_or(""));
        if (!pair)
            return fail(ErrorCode::bad_input, "{}: {}.auth is not the base64 of \"user:password\"", shown_, where);
        out.user = std::move(pair->user);
        out.password = std::move(pair->password);
        return out;
    }

    Failure wrong(const JsonReader& reader) const {
        return fail(ErrorCode::bad_input, "{}: {}", shown_, reader.result().error().message);
    }

    std::filesystem::path path_;
    std::string shown_;
    const Reference& reference_;
    const CredentialSources& sources_;
};

std::vector<std::filesystem::path> auth_files(const CredentialSources& sources) {
    std::vector<std::filesystem::path> files;
    auto folder = sources.environment("DOCKER_CONFIG").value_or("");
    if (!folder.empty())
        files.emplace_back(std::filesystem::path(folder) / "config.json");
    else if (!sources.home.empty())
        files.emplace_back(sources.home / ".docker/config.json");
    if (auto named = sources.environment("REGISTRY_AUTH_FILE").value_or(""); !named.empty()) files.emplace_back(named);
    if (!sources.runtime_dir.empty()) files.emplace_back(sources.runtime_dir / "containers/auth.json");
    if (!sources.home.empty()) files.emplace_back(sources.home / ".config/containers/auth.json");
    return files;
}

}  // namespace

CredentialSources CredentialSources::of_process() {
    auto variable = [](const std::string& name) -> std::optional<std::string> {
        const char* value = ::getenv(name.c_str());
        return value == nullptr ? std::nullopt : std::optional<std::string>(value);
    };
    return {.environment = variable,
            .home = variable("HOME").value_or(""),
            .runtime_dir = variable("XDG_RUNTIME_DIR").value_or("")};
}

Result<Credentials> find_credentials(const Reference& reference, const CredentialSources& sources) {
    VMETTE_TRY(Credentials found, from_environment(reference, sources));
    if (!found.empty()) return found;
    for (const auto& file : auth_files(sources)) {
        VMETTE_TRY(found, AuthFile(file, reference, sources).find());
        if (!found.empty()) return found;
    }
    return Credentials{};
}

}  // namespace vmette::rootfs::oci
