/// vmette image inspect: all that is known of one image.

#include <filesystem>

#include "base/text.h"
#include "base/units.h"
#include "cli/image_text.h"
#include "cli/json_writer.h"
#include "cli/times.h"
#include "cli/verbs.h"
#include "rootfs/image_cache.h"
#include "rootfs/oci/manifest.h"

namespace vmette::cli {
namespace {

constexpr std::uint32_t kRunsShown = 20;

using rootfs::oci::Description;

struct Known {
    store::StoredImage named;            ///< the image by the source that was asked for
    ImageSources sources;                ///< all of them
    std::vector<store::RunRecord> runs;  ///< the newest that used it
    Description description;             ///< of the named source
    std::string path;
    const Layout* layout = nullptr;
    bool in_use = false;

    bool keeps_blob(const Description::Layer& layer) const {
        if (layer.digest.empty()) return false;
        std::error_code ignored;
        return std::filesystem::exists(layout->layers_dir() / layer.digest.substr(layer.digest.find(':') + 1), ignored);
    }
};

std::string platform_text(const rootfs::oci::Platform& platform) {
    return platform.os.empty() ? "" : rootfs::oci::to_text(platform);
}

std::string config_json(const rootfs::ImageConfig& config) {
    std::vector<std::string> env;
    env.reserve(config.env.size());
    for (const auto& [name, value] : config.env) env.push_back(fmt::format("{}={}", name, value));
    return JsonObject()
        .texts("entrypoint", config.entrypoint)
        .texts("cmd", config.command)
        .texts("env", env)
        .text_or_null("user", config.user)
        .text_or_null("workdir", config.workdir)
        .render();
}

std::string layers_json(const Known& known) {
    std::vector<std::string> layers;
    layers.reserve(known.description.layers.size());
    for (const auto& layer : known.description.layers)
        layers.push_back(JsonObject()
                             .text_or_null("digest", layer.digest)
                             .text("diff_id", layer.diff_id)
                             .number("bytes", layer.bytes)
                             .boolean("kept", known.keeps_blob(layer))
                             .render(false));
    return json_array(layers);
}

std::string runs_json(const Known& known) {
    std::vector<std::string> runs;
    runs.reserve(known.runs.size());
    for (const auto& run : known.runs)
        runs.push_back(JsonObject()
                           .text("id", run.id)
                           .text("name", run.name)
                           .text("status", store::to_string(run.status))
                           .text("created_at", format_rfc3339(run.created_at))
                           .render(false));
    return json_array(runs);
}

std::string as_json(const Known& known) {
    const store::StoredImage& image = known.named;
    std::vector<std::string> sources;
    for (const auto& source : known.sources) sources.push_back(image_source_json(source));
    return JsonObject()
        .text("digest", image.digest)
        .text("source", image.source)
        .text("provider", image.provider)
        .text_or_null("registry_digest", registry_digest(image))
        .text_or_null("content_digest", image.content_digest)
        .text("path", known.path)
        .number("bytes", image.bytes)
        .text("created_at", format_rfc3339(image.created_at))
        .text("last_used_at", format_rfc3339(image.last_used_at))
        .number("uses", image.uses)
        .boolean("in_use", known.in_use)
        .raw("sources", json_array(sources))
        .text_or_null("platform", platform_text(known.description.platform))
        .text_or_null("built_at", known.description.created)
        .raw("layers", layers_json(known))
        .raw("config", config_json(known.description.config))
        .raw("runs", runs_json(known))
        .render();
}

std::string words(const std::vector<std::string>& all) {
    std::string out;
    for (const auto& word : all) out += fmt::format("{}\"{}\"", out.empty() ? "" : " ", harmless_line(word));
    return out;
}

/// "NAME  VALUE" lines; the name stands only before the first of several values.
class Sheet {
public:
    void line(std::string_view name, const std::string& value) {
        if (value.empty()) return;
        text_ += fmt::format("  {:<12}{}\n", name == last_ ? "" : name, value);
        last_ = name;
    }
    const std::string& text() const { return text_; }

private:
    std::string text_;
    std::string_view last_;
};

void add_sources(const Known& known, WallTime now, Sheet& sheet) {
    for (const auto& source : known.sources) {
        std::string pinned = pinned_source(source);
        sheet.line("source",
                   fmt::format("{} (checked {} ago)", harmless_line(source.source, 2000), age(source.checked_at, now)));
        if (!pinned.empty() && pinned != source.source) sheet.line("source", "= " + harmless_line(pinned, 2000));
    }
    sheet.line("registry", registry_digest(known.named));
    sheet.line("made from", harmless_line(known.named.content_digest));
}

void add_contents(const Known& known, Sheet& sheet) {
    const Description& image = known.description;
    sheet.line("platform", platform_text(image.platform));
    sheet.line("built", harmless_line(image.created, 80));
    for (const auto& layer : image.layers)
        sheet.line("layer", fmt::format("{}  {:>10}{}", layer.digest.empty() ? layer.diff_id : layer.digest,
                                        human_size(layer.bytes), known.keeps_blob(layer) ? "  kept" : ""));
    sheet.line("entrypoint", words(image.config.entrypoint));
    sheet.line("cmd", words(image.config.command));
    for (const auto& [name, value] : image.config.env)
        sheet.line("env", harmless_line(fmt::format("{}={}", name, value)));
    sheet.line("user", harmless_line(image.config.user));
    sheet.line("workdir", harmless_line(image.config.workdir));
}

std::string as_text(const Known& known, WallTime now) {
    const store::StoredImage& image = known.named;
    Sheet sheet;
    sheet.line("file", harmless_line(known.path, 2000));
    sheet.line("size", human_size(image.bytes));
    sheet.line("made", fmt::format("{} ({} ago)", format_rfc3339(image.created_at), age(image.created_at, now)));
    sheet.line("last used", fmt::format("{} ({}), {} run{} in all", format_rfc3339(image.last_used_at),
                                        known.in_use ? "now" : age(image.last_used_at, now) + " ago", image.uses,
                                        image.uses == 1 ? "" : "s"));
    add_sources(known, now, sheet);
    add_contents(known, sheet);
    for (const auto& run : known.runs)
        sheet.line("run", fmt::format("{}  {:<9}  {:>4} ago  {}", run.id, store::to_string(run.status),
                                      age(run.created_at, now), harmless_line(run.name)));
    return fmt::format("{}\n{}", image.digest, sheet.text());
}

class ImageInspectCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        auto& name = arguments.operand("IMAGE", name_, "a source, a digest, or the beginning of one");
        name.required = true;
        name.completes = Completes::images;
        arguments.flag("--json", json_, "print one object");
    }

    Result<int> run(Context& context) override {
        VMETTE_TRY(store::Store * store, context.swept_store());
        VMETTE_TRY(const Layout* layout, context.layout());
        Known known;
        VMETTE_TRY(known.named, find_named_image(*store, name_.value_or("")));
        const std::string& digest = known.named.digest;
        VMETTE_TRY(known.sources, store->image_sources(digest));
        if (known.sources.empty()) return fail(ErrorCode::not_found, "the image {} has just been removed", digest);
        store::RunFilter used;
        used.image_digest = digest;
        used.limit = kRunsShown;
        VMETTE_TRY(known.runs, store->list_runs(used));
        if (!known.named.config.empty()) {
            VMETTE_TRY(known.description, rootfs::oci::decode_description(known.named.config));
        }
        known.layout = layout;
        known.path = layout->image(std::string_view(digest).substr(digest.find(':') + 1)).string();
        known.in_use = rootfs::is_image_in_use(*layout, digest);
        VMETTE_CHECK_OK(context.console().write(json_ ? as_json(known) + "\n" : as_text(known, context.clock().now())));
        return 0;
    }

private:
    std::optional<std::string> name_;
    bool json_ = false;
};

}  // namespace

const Verb kImageInspectVerb{
    .name = "image inspect",
    .summary = "show one image: its sources, what it runs, and who used it",
    .description =
        "Below each source stands, after =, how a manifest names the same for ever. A layer is `kept` while its blob "
        "is in\n"
        "the cache. The config is that of the source that was asked for, else of the newest. The newest 20 runs that "
        "used\n"
        "the image are named.",
    .example = "vmette image inspect python:3.12-slim --json",
    .exit_codes = "0  shown\n1  there is no such image\n2  wrong usage, or the beginning of several digests",
    .make = make_command<ImageInspectCommand>,
};

}  // namespace vmette::cli
