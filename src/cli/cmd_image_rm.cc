/// vmette image rm: what is to leave the cache.

#include "base/text.h"
#include "base/units.h"
#include "cli/image_text.h"
#include "cli/verbs.h"
#include "scheduler/image_care.h"

namespace vmette::cli {
namespace {

class ImageRmCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        auto& names = arguments.operands("IMAGE", names_, "a source, a digest, or the beginning of one");
        names.required = true;
        names.completes = Completes::images;
    }

    Result<int> run(Context& context) override {
        VMETTE_TRY(store::Store * store, context.swept_store());
        VMETTE_TRY(const Layout* layout, context.layout());
        int code = 0;
        for (const auto& name : names_) {
            auto removed = remove(*layout, *store, name);
            if (removed)
                VMETTE_CHECK_OK(context.console().write(*removed));
            else
                context.console().error(removed.error().text());
            if (!removed) code = 1;
        }
        return code;
    }

private:
    /// A name takes itself away, and with the last one its image goes; a digest is the image, with all its names.
    static Result<std::string> remove(const Layout& layout, store::Store& store, const std::string& name) {
        VMETTE_TRY(auto image, find_named_image(store, name));
        if (image.source == name || image.source == full_name(name)) {
            VMETTE_TRY(bool others, store.remove_image_source(image.source));
            if (others) return untagged(image.source);
        }
        VMETTE_TRY(auto sources, store.image_sources(image.digest));
        VMETTE_CHECK_OK(scheduler::remove_cached_image(layout, store, image.digest));
        std::string said;
        for (const auto& source : sources)
            if (!source.source.empty()) said += untagged(source.source);
        return said + fmt::format("removed {}, freed {}\n", image.digest, human_size(image.bytes));
    }

    static std::string untagged(const std::string& source) {
        return fmt::format("untagged {}\n", harmless_line(source, source.size()));
    }

    std::vector<std::string> names_;
};

}  // namespace

const Verb kImageRmVerb{
    .name = "image rm",
    .summary = "remove images from the cache",
    .description =
        "A name is taken away alone while its image has others; the image goes with its last name. A digest, or the\n"
        "beginning of one, is the image with all its names. An image that a run holds stays, and is an error that\n"
        "names the run.",
    .example = "vmette image rm python:3.12-slim",
    .exit_codes = "0  removed\n1  one could not be removed\n2  wrong usage",
    .make = make_command<ImageRmCommand>,
};

}  // namespace vmette::cli
