/// vmette image rm, prune and verify: what leaves the cache.

#include "base/text.h"
#include "base/units.h"
#include "cli/image_text.h"
#include "cli/json_writer.h"
#include "cli/verbs.h"
#include "rootfs/oci/settings.h"
#include "scheduler/image_care.h"

namespace vmette::cli {
namespace {

class ImageRmCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        arguments.operands("IMAGE", names_, "a source, a digest, or the beginning of one").required = true;
    }

    Result<int> run(Context& context) override {
        VMETTE_TRY(store::Store * store, context.swept_store());
        VMETTE_TRY(const Layout* layout, context.layout());
        int code = 0;
        for (const auto& name : names_) {
            auto removed = remove(*layout, *store, name);
            if (removed)
                VMETTE_CHECK_OK(context.console().write(*removed + "\n"));
            else
                context.console().error(removed.error().text());
            if (!removed) code = 1;
        }
        return code;
    }

private:
    static Result<std::string> remove(const Layout& layout, store::Store& store, const std::string& name) {
        VMETTE_TRY(auto image, find_named_image(store, name));
        VMETTE_CHECK_OK(scheduler::remove_cached_image(layout, store, image.digest));
        return image.digest;
    }

    std::vector<std::string> names_;
};

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
        VMETTE_TRY(auto policy, policy_from_flags(context));
        VMETTE_TRY(store::Store * store, context.swept_store());
        VMETTE_TRY(const Layout* layout, context.layout());
        VMETTE_TRY(auto pruned, scheduler::prune_images(*layout, *store, context.clock(), policy, dry_run_));
        VMETTE_CHECK_OK(context.console().write(json_ ? as_json(pruned) : as_text(pruned)));
        if (!json_ && pruned.removed.empty() && pruned.stray_files == 0) context.console().note("nothing to prune");
        return 0;
    }

private:
    /// Without a flag: the bounds of config.toml; without those, only what crashes left.
    Result<scheduler::PrunePolicy> policy_from_flags(Context& context) const {
        scheduler::PrunePolicy policy{.all = all_, .max_age = {}, .max_bytes = {}};
        if (age_) {
            VMETTE_TRY(Duration age, parse_duration(*age_));
            policy.max_age = std::chrono::duration_cast<std::chrono::seconds>(age);
        }
        if (size_) {
            VMETTE_TRY(policy.max_bytes, parse_size(*size_));
        }
        if (all_ || age_ || size_) return policy;
        VMETTE_TRY(const Layout* layout, context.layout());
        VMETTE_TRY(auto settings, rootfs::oci::load_image_settings(layout->config_file()));
        if (settings.cache_size > 0) policy.max_bytes = settings.cache_size;
        if (settings.cache_age.count() > 0) policy.max_age = settings.cache_age;
        return policy;
    }

    std::string as_json(const scheduler::Pruned& pruned) const {
        std::vector<std::string> removed, in_use;
        for (const auto& image : pruned.removed) removed.push_back(image_json(image, false));
        for (const auto& image : pruned.in_use) in_use.push_back(image_json(image, false));
        return JsonObject()
                   .boolean("dry_run", dry_run_)
                   .raw("removed", json_array(removed))
                   .raw("in_use", json_array(in_use))
                   .number("stray_files", pruned.stray_files)
                   .number("bytes", pruned.bytes)
                   .render() +
               "\n";
    }

    std::string as_text(const scheduler::Pruned& pruned) const {
        std::string_view verb = dry_run_ ? "would remove" : "removed";
        std::string out;
        for (const auto& image : pruned.removed)
            out += fmt::format("{} {}  {}  {}\n", verb, short_digest(image.digest), human_size(image.bytes),
                               harmless_line(image.source));
        for (const auto& image : pruned.in_use)
            out += fmt::format("kept {}, in use  {}\n", short_digest(image.digest), harmless_line(image.source));
        if (pruned.stray_files > 0) out += fmt::format("{} {} unfinished or unknown files\n", verb, pruned.stray_files);
        if (pruned.bytes > 0) out += fmt::format("{} in all\n", human_size(pruned.bytes));
        return out;
    }

    bool all_ = false, dry_run_ = false, json_ = false;
    std::optional<std::string> age_, size_;
};

class ImageVerifyCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        arguments.operands("IMAGE", names_, "a source, a digest, or the beginning of one; default: all");
    }

    Result<int> run(Context& context) override {
        VMETTE_TRY(store::Store * store, context.swept_store());
        VMETTE_TRY(const Layout* layout, context.layout());
        std::vector<store::StoredImage> images;
        for (const auto& name : names_) {
            VMETTE_TRY(auto image, find_named_image(*store, name));
            images.push_back(std::move(image));
        }
        if (names_.empty()) {
            VMETTE_TRY(images, store->list_images());
        }
        int code = 0;
        for (const auto& image : images) {
            VMETTE_TRY(auto health, scheduler::verify_image(*layout, *store, image));
            std::string_view word = health == scheduler::ImageHealth::sound     ? "sound"
                                    : health == scheduler::ImageHealth::missing ? "missing, forgotten"
                                                                                : "damaged, removed";
            VMETTE_CHECK_OK(context.console().write(
                fmt::format("{}  {}  {}\n", short_digest(image.digest), word, harmless_line(image.source))));
            if (health != scheduler::ImageHealth::sound) code = 1;
        }
        return code;
    }

private:
    std::vector<std::string> names_;
};

}  // namespace

const Verb kImageRmVerb{
    .name = "image rm",
    .summary = "remove images from the cache",
    .description = "An image that a run holds stays, and is an error.",
    .example = "vmette image rm python:3.12-slim",
    .exit_codes = "0  removed\n1  one could not be removed\n2  wrong usage",
    .make = make_command<ImageRmCommand>,
};

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

const Verb kImageVerifyVerb{
    .name = "image verify",
    .summary = "read images and compare them with their digests",
    .description = "What is damaged or gone is forgotten: its next use makes it again.",
    .example = "vmette image verify",
    .exit_codes = "0  all are sound\n1  one was not\n2  wrong usage",
    .make = make_command<ImageVerifyCommand>,
};

}  // namespace vmette::cli
