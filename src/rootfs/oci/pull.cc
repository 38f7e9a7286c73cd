#include "rootfs/oci/pull.h"

#include <algorithm>
#include <map>

#include "base/digest.h"
#include "base/log.h"
#include "base/text.h"
#include "base/units.h"
#include "rootfs/oci/pull_protocol.h"

namespace vmette::rootfs::oci {
namespace {

constexpr std::string_view kDigestPrefix = "sha256:";
/// Indexes in one another.
constexpr int kMaxIndexes = 2;

class DocumentFetch {
public:
    explicit DocumentFetch(RegistryClient& client) : client_(client), request_(client.request()) {}
    Result<Documents> run();

private:
    struct Text {
        std::string text;
        std::string type;
        std::string digest;
        std::size_t from = 0;  ///< the number of the endpoint that gave it; mirrors come first
    };
    Result<Text> get_document(Fields request, const std::string& expected);
    Result<Text> get_manifest(Fields request, const std::string& subject, const std::string& by);
    Result<Documents> get_documents(const Text& top);
    Result<> check_image(const Documents& documents) const;

    std::string name() const { return client_.name(); }
    /// A predicate of the parsers becomes a sentence.
    Failure about(Error error) const {
        error.message = name() + " " + error.message;
        return Failure(std::move(error));
    }
    Failure bad(std::string_view what) const { return fail(ErrorCode::bad_image, "{}: {}", name(), what); }

    RegistryClient& client_;
    const PullRequest& request_;
};

/// `expected`: the digest that it must have; empty when only the registry knows.
Result<DocumentFetch::Text> DocumentFetch::get_document(Fields request, const std::string& expected) {
    VMETTE_TRY(Fields answer, client_.ask(request));
    Text document;
    VMETTE_TRY(document.text, client_.document(parse_number(answer[words::kSize]).value_or(kMaxDocument + 1)));
    document.type = answer[words::kType];
    document.from = parse_number(answer[words::kFrom]).value_or(0);
    document.digest = std::string(kDigestPrefix) + sha256_hex(document.text);
    if (!expected.empty() && document.digest != expected)
        return bad(fmt::format("{} has another content than its digest says", request[words::kSubject]));
    return document;
}

Result<DocumentFetch::Text> DocumentFetch::get_manifest(Fields request, const std::string& subject,
                                                        const std::string& by) {
    request.merge(Fields{{words::kDo, words::kManifest},
                         {words::kWanted, by},
                         {words::kAccept, accepted_media_types()},
                         {words::kSubject, subject}});
    return get_document(std::move(request), by.starts_with(kDigestPrefix) ? by : "");
}

/// What a mirror gives for a tag has nothing to be checked against: when it leads nowhere, the next one is asked.
Result<Documents> DocumentFetch::run() {
    const Reference& reference = request_.reference;
    for (std::size_t first = 0;;) {
        VMETTE_TRY(Text top,
                   get_manifest({{words::kFirst, std::to_string(first)}}, "the manifest", reference.wanted()));
        auto documents = get_documents(top);
        const auto& mirrors = request_.registry.mirrors;
        bool mirrors_word = reference.digest.empty() && top.from < mirrors.size();
        if (documents || !mirrors_word) return documents;
        const Error& error = documents.error();
        if (error.code != ErrorCode::bad_image && error.code != ErrorCode::not_found) return documents;
        log(LogLevel::warn, "{}: its mirror {} is passed over: {}", name(), mirrors[top.from], error.text());
        first = std::max(first, top.from) + 1;
    }
}

Result<Documents> DocumentFetch::get_documents(const Text& top) {
    auto parsed = parse_document(top.text, top.type);
    if (!parsed) return about(parsed.error());
    Documents documents;
    documents.top_digest = documents.manifest_digest = top.digest;
    for (int depth = 0; depth < kMaxIndexes && std::holds_alternative<Index>(*parsed); ++depth) {
        auto chosen = choose_platform(std::get<Index>(*parsed), request_.platform);
        if (!chosen) return about(chosen.error());
        documents.manifest_digest = chosen->digest;
        VMETTE_TRY(Text inner, get_manifest({{words::kSize, std::to_string(chosen->size)}},
                                            "the manifest " + chosen->digest, chosen->digest));
        parsed = parse_document(inner.text, inner.type);
        if (!parsed) return about(parsed.error());
    }
    auto* manifest = std::get_if<Manifest>(&*parsed);
    if (manifest == nullptr) return bad(fmt::format("more than {} indexes lead to its manifest", kMaxIndexes));
    documents.manifest = std::move(*manifest);
    const Descriptor& config = documents.manifest.config;
    if (config.size > kMaxDocument) return bad(fmt::format("its config is larger than {}", human_size(kMaxDocument)));
    VMETTE_TRY(Text text, get_document({{words::kDo, words::kBlob},
                                        {words::kWanted, config.digest},
                                        {words::kSubject, "the config " + config.digest},
                                        {words::kSize, std::to_string(config.size)}},
                                       config.digest));
    auto image = parse_config(text.text);
    if (!image) return about(image.error());
    documents.image = *std::move(image);
    VMETTE_CHECK_OK(check_image(documents));
    return documents;
}

Result<> DocumentFetch::check_image(const Documents& documents) const {
    const Platform& is = documents.image.platform;
    if (!is_for(is, request_.platform))
        return bad(fmt::format("it is an image for {}, not for {}", to_text(is), to_text(request_.platform)));
    const auto& layers = documents.manifest.layers;
    if (layers.size() != documents.image.diff_ids.size())
        return bad(
            fmt::format("its manifest names {} layers, its config {}", layers.size(), documents.image.diff_ids.size()));
    std::map<std::string, std::uint64_t> sizes;
    for (const Descriptor& layer : layers) {
        if (layer.size > client_.context().limits.max_download)
            return bad(fmt::format("the layer {} is of {}, more than the {} that one download may have", layer.digest,
                                   human_size(layer.size), human_size(client_.context().limits.max_download)));
        auto [known, is_new] = sizes.emplace(layer.digest, layer.size);
        if (!is_new && known->second != layer.size)
            return bad(fmt::format("the layer {} is named twice, with different sizes", layer.digest));
    }
    return {};
}

}  // namespace

Result<Documents> fetch_documents(RegistryClient& client) { return DocumentFetch(client).run(); }

}  // namespace vmette::rootfs::oci
