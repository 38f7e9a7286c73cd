/// vmette image pull: a source into the cache, before it is needed.

#include "base/text.h"
#include "base/units.h"
#include "cli/image_text.h"
#include "cli/json_writer.h"
#include "cli/manifest_source.h"
#include "cli/progress.h"
#include "cli/verbs.h"
#include "rootfs/image_cache.h"
#include "scheduler/resolve_image.h"
#include "scheduler/run.h"
#include "scheduler/signals.h"

namespace vmette::cli {
namespace {

class ImagePullCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        auto& sources = arguments.operands("SOURCE", sources_, "as in a manifest's rootfs");
        sources.required = true;
        sources.completes = Completes::images;
        arguments.flag("--missing", missing_, "only what is not in the cache; do not ask whether it changed");
        arguments.flag("--json", json_, "print one array");
    }

    Result<int> run(Context& context) override {
        VMETTE_TRY(bool sound, check_settings_or_report(context));
        if (!sound) return scheduler::kExitUsage;
        VMETTE_TRY(store::Store * store, context.swept_store());
        VMETTE_TRY(const Layout* layout, context.layout());
        VMETTE_TRY(auto signals, scheduler::SignalQueue::open());
        auto providers = rootfs::Registry::with_builtin();
        std::vector<std::string> documents;
        std::size_t failed = 0, misspelt = 0;
        for (const auto& source : sources_) {
            auto image = pull(context, *layout, *store, providers, signals, with_absolute_path(source));
            if (!image) {
                if (image.error().code == ErrorCode::cancelled || sources_.size() == 1) return Failure(image.error());
                context.console().error(image.error().text());
                ++failed;
                if (image.error().code == ErrorCode::bad_input) ++misspelt;
                continue;
            }
            if (!json_) {
                VMETTE_CHECK_OK(context.console().write(usable_digest(*image) + "\n"));
                continue;
            }
            VMETTE_TRY(auto known, store->image_sources(image->digest));
            bool in_use = rootfs::is_image_in_use(*layout, image->digest);
            if (!known.empty()) documents.push_back(image_json(known, in_use, true));
        }
        if (json_) VMETTE_CHECK_OK(context.console().write(json_array(documents) + "\n"));
        if (failed == 0) return 0;
        context.console().error(fmt::format("{} of {} images could not be pulled", failed, sources_.size()));
        return misspelt == sources_.size() ? int{scheduler::kExitUsage} : 1;
    }

private:
    Result<store::StoredImage> pull(Context& context, const Layout& layout, store::Store& store,
                                    const rootfs::Registry& providers, scheduler::SignalQueue& signals,
                                    const std::string& source) {
        ProgressLine line(context.console(), context.clock(), ProgressLine::Plain::lines);
        scheduler::ResolveRequest request{
            .source = source,
            .pull = missing_ ? rootfs::PullPolicy::missing : rootfs::PullPolicy::always,
            .for_run = false,
            .progress = [&](const rootfs::Progress& progress) { line.update(progress); },
            .notice = [&](std::string_view notice) { line.note(notice); },
            .cancelled = [&] { return signals.end_requested(); },
        };
        VMETTE_TRY(auto root, scheduler::resolve_image(layout, store, context.clock(), providers, request));
        if (root.kind == rootfs::RootKind::directory)
            return fail(ErrorCode::bad_input, "{} is a folder: it is shared as it is, and nothing of it is cached",
                        harmless_line(source));
        VMETTE_TRY(auto named, store.image_by_source(full_name(source)));
        if (named && named->digest == root.digest) return *std::move(named);
        // Another process has pulled it anew meanwhile.
        return store.find_image(root.digest);
    }

    /// What a manifest or another program can name it by: the registry's digest, else that of our image.
    static std::string usable_digest(const store::StoredImage& image) {
        std::string digest = registry_digest(image);
        return digest.empty() ? image.digest : digest;
    }

    std::vector<std::string> sources_;
    bool missing_ = false, json_ = false;
};

}  // namespace

const Verb kImagePullVerb{
    .name = "image pull",
    .summary = "fetch images into the cache",
    .description =
        "Asks the source whether it changed, whatever is in the cache, and prints the digest of each image: the one\n"
        "that its registry knows it by (NAME@sha256:... is this image for ever), else that of the file made of it.\n"
        "On a terminal stderr shows how far each layer is; elsewhere it names each that has come. An image that "
        "cannot\n"
        "be pulled does not keep the others from it.",
    .example = "vmette image pull python:3.12-slim",
    .exit_codes = "0  all are in the cache\n1  an image cannot be fetched or made\n2  wrong usage\n130  interrupted",
    .make = make_command<ImagePullCommand>,
};

}  // namespace vmette::cli
