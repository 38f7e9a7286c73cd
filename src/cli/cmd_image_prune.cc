/// vmette image prune: the cache within bounds.

#include "base/text.h"
#include "base/units.h"
#include "cli/image_text.h"
#include "cli/json_writer.h"
#include "cli/manifest_source.h"
#include "cli/table.h"
#include "cli/times.h"
#include "cli/verbs.h"
#include "rootfs/oci/settings.h"
#include "scheduler/image_care.h"
#include "scheduler/run.h"

namespace vmette::cli {
namespace {

class ImagePruneCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        arguments.flag("-a,--all", all_, "every image that no run holds");
        arguments.option("--older-than", "AGE", age_, "images that were not used for so long: 7d, 12h");
        arguments.option("--max-size", "SIZE", size_, "the least recently used, until the rest is no larger: 20G");
        arguments.flag("-n,--dry-run", dry_run_, "say what would go, remove nothing");
        arguments.flag("--json", json_, "print one object");
    }

    Result<int> run(Context& context) override {
        VMETTE_TRY(bool sound, check_settings_or_report(context));
        if (!sound) return scheduler::kExitUsage;
        VMETTE_TRY(auto policy, policy_from_flags(context));
        VMETTE_TRY(store::Store * store, context.swept_store());
        VMETTE_TRY(const Layout* layout, context.layout());
        VMETTE_TRY(auto pruned, scheduler::prune_images(*layout, *store, context.clock(), policy, dry_run_));
        VMETTE_CHECK_OK(context.console().write(json_ ? as_json(pruned) : as_text(pruned, context)));
        if (!json_ && pruned.removed.empty() && pruned.strays.empty()) {
            bool bounds = policy.all || policy.max_age || policy.max_bytes;
            context.console().note(bounds ? "nothing to prune"
                                          : "nothing to prune: no bound is set; --older-than, --max-size and --all say "
                                            "what is to go, or [images] in config.toml");
        }
        return 0;
    }

private:
    /// Without a flag: the bounds of config.toml; without those, only what crashes left.
    Result<scheduler::PrunePolicy> policy_from_flags(Context& context) const {
        scheduler::PrunePolicy policy{.all = all_, .max_age = {}, .max_bytes = {}};
        if (age_) {
            auto age = parse_age(*age_);
            if (!age) return fail(ErrorCode::bad_input, "--older-than: {}", age.error().text());
            policy.max_age = std::chrono::duration_cast<std::chrono::seconds>(*age);
        }
        if (size_) {
            auto size = parse_size(*size_);
            if (!size) return fail(ErrorCode::bad_input, "--max-size: {}, such as 20G", size.error().text());
            policy.max_bytes = *size;
        }
        if (all_ || age_ || size_) return policy;
        VMETTE_TRY(const Layout* layout, context.layout());
        VMETTE_TRY(auto settings, rootfs::oci::load_image_settings(layout->config_file()));
        if (settings.cache_size > 0) policy.max_bytes = settings.cache_size;
        if (settings.cache_age.count() > 0) policy.max_age = settings.cache_age;
        return policy;
    }

    std::string as_json(const scheduler::Pruned& pruned) const {
        std::vector<std::string> removed, in_use, strays;
        for (const auto& image : pruned.removed) removed.push_back(image_json({image}, false, false));
        for (const auto& image : pruned.in_use) in_use.push_back(image_json({image}, true, false));
        for (const auto& stray : pruned.strays)
            strays.push_back(JsonObject()
                                 .text("what", stray.what)
                                 .text("path", stray.path.string())
                                 .number("bytes", stray.bytes)
                                 .render(false));
        return JsonObject()
                   .boolean("dry_run", dry_run_)
                   .raw("removed", json_array(removed))
                   .raw("in_use", json_array(in_use))
                   .raw("strays", json_array(strays))
                   .number("bytes", pruned.bytes)
                   .render() +
               "\n";
    }

    std::string as_text(const scheduler::Pruned& pruned, Context& context) const {
        std::string_view verb = dry_run_ ? "would remove" : "removed";
        auto now = context.clock().now();
        Table table({{"ACTION"},
                     {"WHAT"},
                     {.heading = "SIZE", .right = true},
                     {.heading = "USED", .right = true},
                     {.heading = "NAME", .shrinks = true}});
        for (const auto& image : pruned.removed)
            table.add({std::string(verb), short_digest(image.digest), human_size(image.bytes),
                       age(image.last_used_at, now), harmless_line(image.source)});
        for (const auto& stray : pruned.strays)
            table.add({std::string(verb), std::string(stray.what), human_size(stray.bytes), "",
                       harmless_line(stray.path.string())});
        for (const auto& image : pruned.in_use)
            table.add(
                {"kept", short_digest(image.digest), human_size(image.bytes), "now", harmless_line(image.source)});
        if (table.empty()) return "";
        const Console& console = context.console();
        std::string out = table.render(console.out_width(), [&](int row, std::size_t, const std::string& text) {
            return row < 0 ? console.paint(Style::bold, text) : text;
        });
        out += fmt::format("{} {} in all\n", verb, human_size(pruned.bytes));
        return out;
    }

    bool all_ = false, dry_run_ = false, json_ = false;
    std::optional<std::string> age_, size_;
};

}  // namespace

const Verb kImagePruneVerb{
    .name = "image prune",
    .summary = "remove images by age and size, and what crashes left",
    .description =
        "Without a flag the bounds of config.toml count ([images] cache_size, cache_age). What a run holds always\n"
        "stays. Unfinished pulls and downloads go after a week, images that the index does not know after an hour.",
    .example = "vmette image prune --older-than 30d --dry-run",
    .exit_codes = "0  pruned\n1  something could not be removed\n2  wrong usage",
    .make = make_command<ImagePruneCommand>,
};

}  // namespace vmette::cli
