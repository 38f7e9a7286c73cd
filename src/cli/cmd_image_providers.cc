/// vmette image providers: what a source may be.

#include "cli/json_writer.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "rootfs/provider.h"

namespace vmette::cli {
namespace {

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

const Verb kImageProvidersVerb{
    .name = "image providers",
    .summary = "list what a rootfs source may be",
    .description = "In order: the first that knows a spelling takes it.",
    .example = "vmette image providers",
    .exit_codes = "0  listed\n2  wrong usage",
    .make = make_command<ImageProvidersCommand>,
};

}  // namespace vmette::cli
