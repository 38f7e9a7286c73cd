/// vmette image inspect: all that is known of one image.

#include "base/text.h"
#include "base/units.h"
#include "cli/image_text.h"
#include "cli/json_writer.h"
#include "cli/verbs.h"
#include "rootfs/image_cache.h"
#include "rootfs/oci/manifest.h"

namespace vmette::cli {
namespace {

constexpr std::uint32_t kRunsShown = 20;

struct Known {
    std::vector<store::StoredImage> sources;  ///< at least one, newest first
    std::vector<store::RunRecord> runs;       ///< the newest that used it
    rootfs::ImageConfig config;
    std::string path;
    bool in_use = false;
};

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
        .render(false);
}

std::string as_json(const Known& known) {
    const store::StoredImage& image = known.sources.front();
    std::vector<std::string> sources, runs;
    for (const auto& source : known.sources) {
        sources.push_back(JsonObject()
                              .text("source", source.source)
                              .text("provider", source.provider)
                              .text_or_null("content_digest", source.content_digest)
                              .text_or_null("validator", source.validator)
                              .text("checked_at", format_rfc3339(source.checked_at))
                              .render(false));
    }
    for (const auto& run : known.runs) runs.push_back(run.id);
    return JsonObject()
        .text("digest", image.digest)
        .text("path", known.path)
        .number("bytes", image.bytes)
        .text("created_at", format_rfc3339(image.created_at))
        .text("last_used_at", format_rfc3339(image.last_used_at))
        .number("uses", image.uses)
        .boolean("in_use", known.in_use)
        .raw("sources", json_array(sources))
        .raw("config", config_json(known.config))
        .texts("runs", runs)
        .render();
}

std::string words(const std::vector<std::string>& all) {
    std::string out;
    for (const auto& word : all) out += fmt::format("{}\"{}\"", out.empty() ? "" : " ", harmless_line(word));
    return out;
}

std::string as_text(const Known& known) {
    const store::StoredImage& image = known.sources.front();
    std::string out = fmt::format("{}\n", image.digest);
    auto line = [&](std::string_view name, const std::string& value) {
        if (!value.empty()) out += fmt::format("  {:<12}{}\n", name, value);
    };
    line("file", harmless_line(known.path));
    line("size", human_size(image.bytes));
    line("created", format_rfc3339(image.created_at));
    line("last used", fmt::format("{}, {} times in all{}", format_rfc3339(image.last_used_at), image.uses,
                                  known.in_use ? ", in use now" : ""));
    for (const auto& source : known.sources)
        line("source", fmt::format("{} (checked {})", harmless_line(source.source), format_rfc3339(source.checked_at)));
    line("made from", harmless_line(image.content_digest));
    line("entrypoint", words(known.config.entrypoint));
    line("cmd", words(known.config.command));
    for (const auto& [name, value] : known.config.env) line("env", harmless_line(fmt::format("{}={}", name, value)));
    line("user", harmless_line(known.config.user));
    line("workdir", harmless_line(known.config.workdir));
    for (const auto& run : known.runs)
        line("run", fmt::format("{}  {}  {}", run.id, format_rfc3339(run.created_at), harmless_line(run.name)));
    return out;
}

class ImageInspectCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        arguments.operand("IMAGE", name_, "a source, a digest, or the beginning of one").required = true;
        arguments.flag("--json", json_, "print one object");
    }

    Result<int> run(Context& context) override {
        VMETTE_TRY(store::Store * store, context.swept_store());
        VMETTE_TRY(const Layout* layout, context.layout());
        VMETTE_TRY(auto image, find_named_image(*store, name_.value_or("")));
        Known known;
        VMETTE_TRY(known.sources, store->image_sources(image.digest));
        if (known.sources.empty())
            return fail(ErrorCode::not_found, "the image {} has just been removed", image.digest);
        store::RunFilter used;
        used.image_digest = image.digest;
        used.limit = kRunsShown;
        VMETTE_TRY(known.runs, store->list_runs(used));
        if (!known.sources.front().config.empty()) {
            VMETTE_TRY(known.config, rootfs::oci::decode_image_config(known.sources.front().config));
        }
        known.path = layout->image(std::string_view(image.digest).substr(image.digest.find(':') + 1)).string();
        known.in_use = rootfs::is_image_in_use(*layout, image.digest);
        VMETTE_CHECK_OK(context.console().write(json_ ? as_json(known) + "\n" : as_text(known)));
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
    .description = "The newest 20 runs that used it are named.",
    .example = "vmette image inspect python:3.12-slim --json",
    .exit_codes = "0  shown\n1  there is no such image\n2  wrong usage, or the beginning of several digests",
    .make = make_command<ImageInspectCommand>,
};

}  // namespace vmette::cli
