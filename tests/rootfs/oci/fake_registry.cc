#include "rootfs/oci/fake_registry.h"
#include "rootfs/oci/auth_variable.h"

#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <random>

#include "base/digest.h"

namespace vmette::rootfs::oci {
namespace {

constexpr const char* kBase = "/v2/acme/app";

std::string replaced(std::string text, const std::string& what, const std::string& by) {
    for (std::size_t at = 0; (at = text.find(what, at)) != text.npos; at += by.size())
        text.replace(at, what.size(), by);
    return text;
}

}  // namespace

std::string digest_of(std::string_view text) { return "sha256:" + sha256_hex(text); }

std::string noise(std::size_t size, int seed) {
    std::mt19937 random(static_cast<unsigned>(seed));
    std::string out(size, '\0');
    for (char& c : out) c = static_cast<char>(random());
    return out;
}

std::string descriptor(std::string_view type, const std::string& content) {
    return fmt::format(R"({{"mediaType":"{}","digest":"{}","size":{}}})", type, digest_of(content), content.size());
}

FakeImage FakeImage::of(std::vector<std::string> layers, const Platform& platform) {
    FakeImage image;
    std::string ids, listed;
    for (const std::string& layer : layers) {
        ids += fmt::format("{}\"{}\"", ids.empty() ? "" : ",", digest_of(layer));
        listed += (listed.empty() ? "" : ",") + descriptor("application/vnd.oci.image.layer.v1.tar", layer);
        image.blobs[digest_of(layer)] = layer;
    }
    image.layers = std::move(layers);
    image.config = fmt::format(R"({{"os":"{}","architecture":"{}","config":{{"Cmd":["sh"]}},)"
                               R"("rootfs":{{"type":"layers","diff_ids":[{}]}}}})",
                               platform.os, platform.architecture, ids);
    image.manifest = fmt::format(R"({{"schemaVersion":2,"mediaType":"{}","config":{},"layers":[{}]}})", kManifestType,
                                 descriptor("application/vnd.oci.image.config.v1+json", image.config), listed);
    image.blobs[digest_of(image.config)] = image.config;
    image.manifests["v1"] = image.manifests[image.manifest_digest()] = image.manifest;
    return image;
}

std::string FakeImage::manifest_digest() const { return digest_of(manifest); }
std::string FakeImage::layer_digest(std::size_t index) const { return digest_of(layers.at(index)); }

FakeRegistry::FakeRegistry(FakeImage its_image, Hook hook, const std::optional<TlsFiles>& tls)
    : image(std::move(its_image)),
      hook_(std::move(hook)),
      server_(
          [this](const HttpRequest& request, HttpConnection& connection) {
              if (!hook_ || !hook_(request, connection)) answer(request, connection);
          },
          tls) {}

std::string FakeRegistry::host() const {
    std::string url = server_.url("");
    return url.substr(url.find("//") + 2);
}

Reference FakeRegistry::reference(const std::string& tag) const {
    Reference reference;
    reference.registry = host();
    reference.repository = "acme/app";
    (tag.starts_with("sha256:") ? reference.digest : reference.tag) = tag;
    return reference;
}

std::vector<std::string> FakeRegistry::paths() const {
    std::vector<std::string> paths;
    for (const HttpRequest& request : requests()) paths.push_back(replaced(request.path, kBase, ""));
    return paths;
}

void FakeRegistry::answer(const HttpRequest& request, HttpConnection& connection) const {
    auto under = [&](const std::string& folder) -> std::string {
        std::string start = kBase + folder;
        return request.path.starts_with(start) ? request.path.substr(start.size()) : "";
    };
    auto manifest = image.manifests.find(under("/manifests/"));
    if (manifest != image.manifests.end()) {
        std::string type(manifest->second.find("\"manifests\"") != std::string::npos ? kIndexType : kManifestType);
        return connection.answer(200, {{"Content-Type", type}}, manifest->second);
    }
    auto blob = image.blobs.find(under("/blobs/"));
    if (blob == image.blobs.end())
        return connection.answer(404, {}, R"({"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]})");
    auto range = request.headers.find("range");
    if (range == request.headers.end()) return connection.answer(200, {}, blob->second);
    std::size_t start = std::strtoull(range->second.c_str() + 6, nullptr, 10);
    if (start >= blob->second.size()) return connection.answer(416, {}, "");
    connection.answer(
        206, {{"Content-Range", fmt::format("bytes {}-{}/{}", start, blob->second.size() - 1, blob->second.size())}},
        std::string_view(blob->second).substr(start));
}

FakeRegistry::Hook for_path(std::string part, std::vector<HttpServer::Handler> handlers) {
    auto next = std::make_shared<std::atomic<std::size_t>>(0);
    return [=](const HttpRequest& request, HttpConnection& connection) {
        if (request.path.find(part) == std::string::npos) return false;
        std::size_t at = next->fetch_add(1);
        if (at >= handlers.size()) return false;
        handlers[at](request, connection);
        return true;
    };
}

HttpServer::Handler status(int code, std::map<std::string, std::string> headers, std::string body) {
    return [=](const HttpRequest&, HttpConnection& connection) { connection.answer(code, headers, body); };
}

HttpServer::Handler redirect(const std::string& to) { return status(307, {{"Location", to}}); }

std::vector<HttpServer::Handler> times(int count, const HttpServer::Handler& handler) {
    return std::vector<HttpServer::Handler>(static_cast<std::size_t>(count), handler);
}

HttpServer::Handler cut_after(const std::string& content, std::size_t bytes) {
    return [=](const HttpRequest&, HttpConnection& connection) {
        connection.answer(200, {{"Content-Length", std::to_string(content.size())}}, content.substr(0, bytes));
    };
}

std::string header(const HttpRequest& request, const std::string& name) {
    auto found = request.headers.find(name);
    return found != request.headers.end() ? found->second : "";
}

Result<Pulled> PullTest::pull_it(const PullRequest& request) {
    RegistryClient client(request, patient);
    Pulled pulled;
    VMETTE_TRY(pulled.documents, fetch_documents(client));
    const auto& wanted = pulled.documents.manifest.layers;
    LayerFetch layers(client, wanted);
    VMETTE_CHECK_OK(layers.wait());
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        VMETTE_TRY(int fd, layers.look(i));
        VMETTE_TRY(Fd own, open_file(fmt::format("/proc/self/fd/{}", fd), O_RDONLY));
        pulled.layers.push_back({std::move(own)});
    }
    return pulled;
}

std::string PullTest::error_of_pull(const PullRequest& request) {
    auto pulled = pull_it(request);
    if (pulled) return "no error";
    std::string text = fmt::format("{}: {}", to_string(pulled.error().code), pulled.error().text());
    text = replaced(text, request.reference.text(), "REF");
    text = replaced(text, request.reference.registry, "HOST");
    text = replaced(text, auth_variable(request.reference.registry).value_or("VMETTE_OCI_TOKEN"), "VARIABLE");
    for (const std::string& mirror : request.registry.mirrors) text = replaced(text, mirror, "MIRROR");
    return text;
}

std::vector<std::string> PullTest::contents(const Pulled& pulled) {
    std::vector<std::string> out;
    for (const PulledLayer& layer : pulled.layers)
        out.push_back(read_all(layer.fd.get(), 1 << 28, "layer").value_or("unreadable"));
    return out;
}

}  // namespace vmette::rootfs::oci
