/// vmette image rm: what is to leave the cache.

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

}  // namespace

const Verb kImageRmVerb{
    .name = "image rm",
    .summary = "remove images from the cache",
    .description = "With all its sources. An image that a run holds stays, and is an error that names the run.",
    .example = "vmette image rm python:3.12-slim",
    .exit_codes = "0  removed\n1  one could not be removed\n2  wrong usage",
    .make = make_command<ImageRmCommand>,
};

}  // namespace vmette::cli
