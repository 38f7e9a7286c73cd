#include <nlohmann/json.hpp>

#include "base/text.h"
#include "rootfs/oci/bounded_json.h"
#include "rootfs/oci/manifest.h"
#include "rootfs/oci/reference.h"

namespace vmette::rootfs::oci {
namespace {

using nlohmann::json;

/// "NAME=value" taken apart; what has no name is nothing that a process could be given.
void add_variable(const std::string& text, ImageConfig& config) {
    std::size_t equals = text.find('=');
    if (equals != text.npos && equals > 0) config.env.emplace_back(text.substr(0, equals), text.substr(equals + 1));
}

std::vector<std::string> read_diff_ids(const json& document, JsonReader& reader) {
    const json* rootfs = reader.object(document, "rootfs", "");
    if (rootfs == nullptr) {
        reader.refuse("is no image config: it has no rootfs");
        return {};
    }
    if (reader.string(*rootfs, "type", "rootfs") != "layers") reader.refuse("has a rootfs.type other than \"layers\"");
    const json* list = reader.array(*rootfs, "diff_ids", "rootfs");
    if (list != nullptr && list->size() > kMaxLayers)
        reader.refuse("has {} layers, more than {}", list->size(), kMaxLayers);
    if (!reader.good()) return {};
    auto diff_ids = reader.strings(*rootfs, "diff_ids", "rootfs");
    for (const std::string& one : diff_ids)
        if (!is_digest(one)) reader.refuse("rootfs.diff_ids holds \"{}\", no SHA-256 digest", harmless_line(one, 80));
    return diff_ids;
}

json strings_json(const std::vector<std::string>& strings) {
    json list = json::array();
    for (const std::string& one : strings) list.push_back(to_valid_utf8(one));
    return list;
}

/// The config was a document once; escapes may have made it longer.
Result<json> parse_description(std::string_view text) {
    return parse_json_object(text, {2 * kMaxDocument, kMaxNesting}, ErrorCode::bad_image);
}

ImageConfig read_config(const json& document, JsonReader& reader) {
    ImageConfig config;
    config.entrypoint = reader.strings(document, "entrypoint", "");
    config.command = reader.strings(document, "command", "");
    config.user = reader.string(document, "user", "");
    config.workdir = reader.string(document, "workdir", "");
    for (const std::string& one : reader.strings(document, "env", "")) add_variable(one, config);
    return config;
}

}  // namespace

Result<ImageDocument> parse_config(std::string_view text) {
    VMETTE_TRY(json document, parse_json_object(text, {kMaxDocument, kMaxNesting}, ErrorCode::bad_image));
    JsonReader reader(ErrorCode::bad_image);
    ImageDocument out;
    out.platform = {reader.string(document, "os", ""), reader.string(document, "architecture", ""),
                    reader.string(document, "variant", "")};
    out.created = reader.string(document, "created", "");
    if (const json* config = reader.object(document, "config", "")) {
        out.config.entrypoint = reader.strings(*config, "Entrypoint", "config");
        out.config.command = reader.strings(*config, "Cmd", "config");
        out.config.user = reader.string(*config, "User", "config");
        out.config.workdir = reader.string(*config, "WorkingDir", "config");
        for (const std::string& one : reader.strings(*config, "Env", "config")) add_variable(one, out.config);
    }
    out.diff_ids = read_diff_ids(document, reader);
    VMETTE_CHECK_OK(reader.result());
    return out;
}

Description describe(const Manifest& manifest, const ImageDocument& image) {
    Description out{.config = image.config, .platform = image.platform, .created = image.created, .layers = {}};
    for (std::size_t i = 0; i < manifest.layers.size() && i < image.diff_ids.size(); ++i)
        out.layers.push_back({manifest.layers[i].digest, image.diff_ids[i], manifest.layers[i].size});
    return out;
}

std::string encode_description(const Description& description) {
    const ImageConfig& config = description.config;
    json env = json::array();
    for (const auto& [name, value] : config.env) env.push_back(to_valid_utf8(fmt::format("{}={}", name, value)));
    json layers = json::array();
    for (const auto& layer : description.layers)
        layers.push_back({{"digest", layer.digest}, {"diff_id", layer.diff_id}, {"bytes", layer.bytes}});
    json document{{"entrypoint", strings_json(config.entrypoint)},
                  {"command", strings_json(config.command)},
                  {"env", std::move(env)},
                  {"user", to_valid_utf8(config.user)},
                  {"workdir", to_valid_utf8(config.workdir)},
                  {"os", to_valid_utf8(description.platform.os)},
                  {"architecture", to_valid_utf8(description.platform.architecture)},
                  {"variant", to_valid_utf8(description.platform.variant)},
                  {"created", to_valid_utf8(description.created)},
                  {"layers", std::move(layers)}};
    return document.dump();
}

Result<Description> decode_description(std::string_view text) {
    VMETTE_TRY(json document, parse_description(text));
    JsonReader reader(ErrorCode::bad_image);
    Description out;
    out.config = read_config(document, reader);
    out.platform = {reader.string(document, "os", ""), reader.string(document, "architecture", ""),
                    reader.string(document, "variant", "")};
    out.created = reader.string(document, "created", "");
    if (const json* layers = reader.array(document, "layers", ""))
        for (const json& value : *layers)
            if (const json* layer = reader.element(value, "layers"))
                out.layers.push_back({reader.string(*layer, "digest", "layers"),
                                      reader.string(*layer, "diff_id", "layers"),
                                      reader.size(*layer, "bytes", "layers")});
    VMETTE_CHECK_OK(reader.result());
    return out;
}

Result<ImageConfig> decode_image_config(std::string_view text) {
    VMETTE_TRY(json document, parse_description(text));
    JsonReader reader(ErrorCode::bad_image);
    ImageConfig config = read_config(document, reader);
    VMETTE_CHECK_OK(reader.result());
    return config;
}

}  // namespace vmette::rootfs::oci
