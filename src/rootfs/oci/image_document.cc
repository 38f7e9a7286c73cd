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

}  // namespace

Result<ImageDocument> parse_config(std::string_view text) {
    VMETTE_TRY(json document, parse_json_object(text, {kMaxDocument, kMaxNesting}, ErrorCode::bad_image));
    JsonReader reader(ErrorCode::bad_image);
    ImageDocument out;
    out.platform = {reader.string(document, "os", ""), reader.string(document, "architecture", ""),
                    reader.string(document, "variant", "")};
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

std::string encode_image_config(const ImageConfig& config) {
    json env = json::array();
    for (const auto& [name, value] : config.env) env.push_back(to_valid_utf8(name + "=" + value));
    json document{{"entrypoint", strings_json(config.entrypoint)},
                  {"command", strings_json(config.command)},
                  {"env", std::move(env)},
                  {"user", to_valid_utf8(config.user)},
                  {"workdir", to_valid_utf8(config.workdir)}};
    return document.dump();
}

Result<ImageConfig> decode_image_config(std::string_view text) {
    // The config was a document once; escapes may have made it longer.
    VMETTE_TRY(json document, parse_json_object(text, {2 * kMaxDocument, kMaxNesting}, ErrorCode::bad_image));
    JsonReader reader(ErrorCode::bad_image);
    ImageConfig config;
    config.entrypoint = reader.strings(document, "entrypoint", "");
    config.command = reader.strings(document, "command", "");
    config.user = reader.string(document, "user", "");
    config.workdir = reader.string(document, "workdir", "");
    for (const std::string& one : reader.strings(document, "env", "")) add_variable(one, config);
    VMETTE_CHECK_OK(reader.result());
    return config;
}

}  // namespace vmette::rootfs::oci
