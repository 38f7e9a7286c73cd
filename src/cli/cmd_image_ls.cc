/// vmette image ls: what is in the cache.

#include <algorithm>

#include "base/text.h"
#include "base/units.h"
#include "cli/image_text.h"
#include "cli/json_writer.h"
#include "cli/table.h"
#include "cli/times.h"
#include "cli/verbs.h"
#include "rootfs/image_cache.h"

namespace vmette::cli {
namespace {

class ImageLsCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        auto& patterns = arguments.operands("PATTERN", patterns_, "only images with a source like it: '*python*'");
        patterns.completes = Completes::images;
        arguments.flag("--names", names_, "print the sources alone, one a line");
        arguments.flag("--json", json_, "print one array");
        arguments.flag("--jsonl", jsonl_, "print one object a line");
    }

    Result<int> run(Context& context) override {
        if (json_ + jsonl_ + names_ > 1)
            return fail(ErrorCode::bad_input, "--json, --jsonl and --names exclude each other");
        // A shell asks for the names at each press of a key.
        VMETTE_TRY(store::Store * store, names_ ? context.store() : context.swept_store());
        VMETTE_TRY(auto all, store->list_image_sources());
        auto images = by_image(std::move(all));
        std::erase_if(images, [&](const ImageSources& image) { return !is_wanted(image); });
        Console& console = context.console();
        if (json_ || jsonl_ || names_) {
            VMETTE_TRY(const Layout* layout, context.layout());
            VMETTE_CHECK_OK(console.write(names_ ? names_of(images) : documents_of(images, *layout)));
            return 0;
        }
        if (images.empty()) {
            console.note(patterns_.empty() ? "no images; `vmette image pull SOURCE` fetches one, and so does a run"
                                           : "no image has a source like that; `vmette image ls` shows them all");
            return 0;
        }
        VMETTE_TRY(const Layout* layout, context.layout());
        VMETTE_CHECK_OK(console.write(table_of(images, *layout, context)));
        std::uint64_t bytes = 0;
        for (const auto& image : images) bytes += image.front().bytes;
        console.note(fmt::format("{} image{}, {}", images.size(), images.size() == 1 ? "" : "s", human_size(bytes)));
        return 0;
    }

private:
    bool is_wanted(const ImageSources& image) const {
        return patterns_.empty() || std::any_of(image.begin(), image.end(), [&](const auto& one) {
                   return std::any_of(patterns_.begin(), patterns_.end(), [&](const std::string& pattern) {
                       return glob_match(pattern, one.source) || full_name(pattern) == one.source;
                   });
               });
    }

    static std::string names_of(const std::vector<ImageSources>& images) {
        std::string out;
        for (const auto& image : images)
            for (const auto& one : image) out += harmless_line(one.source, one.source.size()) + "\n";
        return out;
    }

    std::string documents_of(const std::vector<ImageSources>& images, const Layout& layout) const {
        std::vector<std::string> documents;
        documents.reserve(images.size());
        for (const auto& image : images)
            documents.push_back(image_json(image, rootfs::is_image_in_use(layout, image.front().digest), json_));
        if (json_) return json_array(documents) + "\n";
        return documents.empty() ? "" : fmt::format("{}\n", fmt::join(documents, "\n"));
    }

    static std::string registry_column(const store::StoredImage& image) {
        std::string digest = registry_digest(image);
        return digest.empty() ? "-" : short_digest(digest);
    }

    /// An image's further sources stand below its first, without its other columns.
    static std::string table_of(const std::vector<ImageSources>& images, const Layout& layout, Context& context) {
        Table table({{"DIGEST"},
                     {"REGISTRY"},
                     {.heading = "SOURCE", .shrinks = true},
                     {"BY"},
                     {.heading = "SIZE", .right = true},
                     {.heading = "MADE", .right = true},
                     {.heading = "USED", .right = true},
                     {.heading = "RUNS", .right = true}});
        auto now = context.clock().now();
        for (const auto& image : images) {
            const auto& newest = image.front();
            bool in_use = rootfs::is_image_in_use(layout, newest.digest);
            table.add({short_digest(newest.digest), registry_column(newest), harmless_line(newest.source),
                       harmless_line(newest.provider), human_size(newest.bytes), age(newest.created_at, now),
                       in_use ? "now" : age(newest.last_used_at, now), fmt::to_string(newest.uses)});
            for (std::size_t i = 1; i < image.size(); ++i)
                table.add({"", registry_column(image[i]), harmless_line(image[i].source),
                           harmless_line(image[i].provider), "", "", "", ""});
        }
        const Console& console = context.console();
        return table.render(console.out_width(), [&](int row, std::size_t, const std::string& text) {
            return row < 0 ? console.paint(Style::bold, text) : text;
        });
    }

    std::vector<std::string> patterns_;
    bool json_ = false, jsonl_ = false, names_ = false;
};

}  // namespace

const Verb kImageLsVerb{
    .name = "image ls",
    .summary = "list the images in the cache",
    .description =
        "Last used first. DIGEST is that of the file that guests boot from, REGISTRY the one that its registry knows\n"
        "the image by; other verbs take the beginning of either. MADE and USED are ages; USED is `now` while a run "
        "has\n"
        "the image. RUNS counts the runs that started with it. An image that goes by several sources has a line for "
        "each.",
    .example = "vmette image ls --json",
    .exit_codes = "0  listed\n1  the cache's index cannot be read\n2  wrong usage",
    .make = make_command<ImageLsCommand>,
};

}  // namespace vmette::cli
