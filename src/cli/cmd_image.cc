/// vmette image: the cache of root filesystems, and who fills it.

#include "base/text.h"
#include "base/units.h"
#include "cli/image_text.h"
#include "cli/json_writer.h"
#include "cli/table.h"
#include "cli/times.h"
#include "cli/verbs.h"
#include "rootfs/provider.h"

namespace vmette::cli {
namespace {

class ImageLsCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        arguments.flag("--json", json_, "print one array");
        arguments.flag("--jsonl", jsonl_, "print one object a line");
    }

    Result<int> run(Context& context) override {
        if (json_ && jsonl_) return fail(ErrorCode::bad_input, "--json and --jsonl exclude each other");
        VMETTE_TRY(store::Store * store, context.swept_store());
        VMETTE_TRY(auto images, store->list_images());
        Console& console = context.console();
        if (json_ || jsonl_) {
            std::vector<std::string> documents;
            for (const auto& image : images) documents.push_back(image_json(image, json_));
            std::string lines = documents.empty() ? "" : fmt::format("{}\n", fmt::join(documents, "\n"));
            VMETTE_CHECK_OK(console.write(json_ ? json_array(documents) + "\n" : lines));
            return 0;
        }
        if (images.empty())
            console.note("no images");
        else
            VMETTE_CHECK_OK(console.write(table_of(images, context)));
        return 0;
    }

private:
    static std::string table_of(const std::vector<store::StoredImage>& images, Context& context) {
        Table table({{"DIGEST"},
                     {.heading = "SOURCE", .shrinks = true},
                     {"BY"},
                     {.heading = "SIZE", .right = true},
                     {.heading = "AGE", .right = true},
                     {.heading = "USED", .right = true},
                     {.heading = "USES", .right = true}});
        auto now = context.clock().now();
        for (const auto& image : images) {
            table.add({short_digest(image.digest), harmless_line(image.source), harmless_line(image.provider),
                       human_size(image.bytes), age(image.created_at, now), age(image.last_used_at, now),
                       fmt::to_string(image.uses)});
        }
        const Console& console = context.console();
        return table.render(console.out_width(), [&](int row, std::size_t, const std::string& text) {
            return row < 0 ? console.paint(Style::bold, text) : text;
        });
    }

    bool json_ = false, jsonl_ = false;
};

class ImageProvidersCommand final : public Command {
public:
    void define(Arguments& arguments) override { arguments.flag("--json", json_, "print one array"); }

    Result<int> run(Context& context) override {
        auto registry = rootfs::Registry::with_builtin();
        Table table({{"PROVIDER"}, {"TAKES"}});
        std::vector<std::string> documents;
        for (const auto& provider : registry.providers()) {
            table.add({std::string(provider->name()), std::string(provider->spellings())});
            documents.push_back(
                JsonObject().text("name", provider->name()).text("spellings", provider->spellings()).render());
        }
        const Console& console = context.console();
        std::string text = table.render(0, [&](int row, std::size_t, const std::string& cell) {
            return row < 0 ? console.paint(Style::bold, cell) : cell;
        });
        VMETTE_CHECK_OK(context.console().write(json_ ? json_array(documents) + "\n" : text));
        return 0;
    }

private:
    bool json_ = false;
};

}  // namespace

const Verb kImageLsVerb{
    .name = "image ls",
    .summary = "list the images in the cache",
    .example = "vmette image ls --json",
    .exit_codes = "0  listed\n1  the cache's index cannot be read\n2  wrong usage",
    .make = make_command<ImageLsCommand>,
};

const Verb kImageProvidersVerb{
    .name = "image providers",
    .summary = "list what a rootfs source may be",
    .description = "In order: the first that knows a spelling takes it.",
    .example = "vmette image providers",
    .exit_codes = "0  listed\n2  wrong usage",
    .make = make_command<ImageProvidersCommand>,
};

}  // namespace vmette::cli
