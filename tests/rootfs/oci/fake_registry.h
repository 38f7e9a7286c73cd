#pragma once
/// A registry in the test's own process that can misbehave: an image of a few layers, and a hook before each answer.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "rootfs/fixture.h"
#include "rootfs/http_server.h"
#include "rootfs/oci/layer_fetch.h"
#include "rootfs/oci/pull.h"

namespace vmette::rootfs::oci {

/// An image's documents and layers, by what they are asked for.
struct FakeImage {
    std::vector<std::string> layers;
    std::string config;
    std::string manifest;
    std::map<std::string, std::string> manifests;  ///< by tag and by digest
    std::map<std::string, std::string> blobs;      ///< by digest

    static FakeImage of(std::vector<std::string> layers, const Platform& platform = this_platform());
    std::string manifest_digest() const;
    std::string layer_digest(std::size_t index) const;
};

std::string digest_of(std::string_view text);
/// `size` bytes that do not repeat.
std::string noise(std::size_t size, int seed = 0);
std::string descriptor(std::string_view type, const std::string& content);
constexpr std::string_view kManifestType = "application/vnd.oci.image.manifest.v1+json";
constexpr std::string_view kIndexType = "application/vnd.oci.image.index.v1+json";

/// Serves "acme/app".
class FakeRegistry {
public:
    /// Answers itself and returns true, or lets the registry answer.
    using Hook = std::function<bool(const HttpRequest&, HttpConnection&)>;
    explicit FakeRegistry(FakeImage image, Hook hook = {}, const std::optional<TlsFiles>& tls = {});

    std::string host() const;
    Reference reference(const std::string& tag = "v1") const;
    /// Paths that were asked for, after "/v2/acme/app".
    std::vector<std::string> paths() const;
    std::vector<HttpRequest> requests() const { return server_.requests(); }
    std::string url(const std::string& path) const { return server_.url(path); }
    /// For the image and all that the hook looks at, once the registry is there: waits until nobody is answered.
    void change(const std::function<void()>& how) { server_.between_requests(how); }
    /// As a well-behaved registry would.
    void answer(const HttpRequest& request, HttpConnection& connection) const;

    FakeImage image;

private:
    Hook hook_;
    HttpServer server_;  ///< the last member: it answers from the rest
};

/// Answers requests whose path holds `part` as told, in turn; nothing more: as the registry does.
FakeRegistry::Hook for_path(std::string part, std::vector<HttpServer::Handler> handlers);
HttpServer::Handler status(int code, std::map<std::string, std::string> headers = {}, std::string body = "");
HttpServer::Handler redirect(const std::string& to);
std::vector<HttpServer::Handler> times(int count, const HttpServer::Handler& handler);
/// The head of an answer with the whole length, and only a piece of the body.
HttpServer::Handler cut_after(const std::string& content, std::size_t bytes);
/// Of a request; empty when it has none. `name` in lower case.
std::string header(const HttpRequest& request, const std::string& name);

/// A layer as it came, open for reading at its start.
struct PulledLayer {
    Fd fd;
};
struct Pulled {
    Documents documents;
    std::vector<PulledLayer> layers;
};

class PullTest : public RootfsTest {
protected:
    PullTest() {
        patient.limits.stall = std::chrono::seconds(20);
        patient.limits.total = std::chrono::seconds(60);
    }
    static PullRequest request(const FakeRegistry& registry, const std::string& tag = "v1") {
        return {.reference = registry.reference(tag), .platform = this_platform(), .credentials = {}, .registry = {}};
    }
    /// The documents, then all layers.
    Result<Pulled> pull_it(const PullRequest& request);
    /// "code: message" of a pull that must fail; REF stands for the reference.
    std::string error_of_pull(const PullRequest& request);
    std::string layer_file(const std::string& digest) const {
        return (layout.layers_dir() / digest.substr(7)).string();
    }
    /// Contents of the layers as they were handed out.
    static std::vector<std::string> contents(const Pulled& pulled);

    Context patient{.layout = layout, .index = index};
};

}  // namespace vmette::rootfs::oci
