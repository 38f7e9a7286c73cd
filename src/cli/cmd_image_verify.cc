/// vmette image verify: whether the cache is what its names say.

#include "base/text.h"
#include "base/units.h"
#include "cli/image_text.h"
#include "cli/json_writer.h"
#include "cli/verbs.h"
#include "scheduler/image_care.h"

namespace vmette::cli {
namespace {

class ImageVerifyCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        arguments.operands("IMAGE", names_, "a source, a digest, or the beginning of one; default: all").completes =
            Completes::images;
        arguments.flag("--json", json_, "print one array");
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
        std::vector<std::string> documents;
        for (const auto& image : images) {
            VMETTE_TRY(auto health, scheduler::verify_image(*layout, *store, image));
            if (health != scheduler::ImageHealth::sound) code = 1;
            if (json_)
                documents.push_back(as_json(image, health));
            else
                VMETTE_CHECK_OK(context.console().write(as_text(image, health)));
        }
        if (json_) VMETTE_CHECK_OK(context.console().write(json_array(documents) + "\n"));
        if (!json_ && images.empty()) context.console().note("no images");
        return code;
    }

private:
    static std::string_view name_of(scheduler::ImageHealth health) {
        switch (health) {
            case scheduler::ImageHealth::sound:
                return "sound";
            case scheduler::ImageHealth::missing:
                return "missing";
            case scheduler::ImageHealth::damaged:
                break;
        }
        return "damaged";
    }
    static std::string as_json(const store::StoredImage& image, scheduler::ImageHealth health) {
        return JsonObject()
            .text("digest", image.digest)
            .text("source", image.source)
            .number("bytes", image.bytes)
            .text("health", name_of(health))
            .render(false);
    }
    /// One at a time, as it is known: reading them takes a while.
    static std::string as_text(const store::StoredImage& image, scheduler::ImageHealth health) {
        std::string_view then = health == scheduler::ImageHealth::sound     ? ""
                                : health == scheduler::ImageHealth::missing ? ", forgotten"
                                                                            : ", removed";
        return fmt::format("{}  {:<18}{:>10}  {}\n", short_digest(image.digest),
                           fmt::format("{}{}", name_of(health), then), human_size(image.bytes),
                           harmless_line(image.source));
    }

    std::vector<std::string> names_;
    bool json_ = false;
};

}  // namespace

const Verb kImageVerifyVerb{
    .name = "image verify",
    .summary = "read images and compare them with their digests",
    .description = "What is damaged or gone is forgotten: its next use makes it again.",
    .example = "vmette image verify",
    .exit_codes = "0  all are sound\n1  one was not\n2  wrong usage",
    .make = make_command<ImageVerifyCommand>,
};

}  // namespace vmette::cli
