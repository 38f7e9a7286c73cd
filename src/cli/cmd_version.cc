/// vmette version.

#include <sys/utsname.h>

#include "cli/json_writer.h"
#include "cli/verbs.h"

namespace vmette::cli {
namespace {

class VersionCommand final : public Command {
public:
    void define(Arguments& arguments) override { arguments.flag("--json", json_, "print one document"); }

    Result<int> run(Context& context) override {
        utsname host{};
        ::uname(&host);
        std::string document = JsonObject()
                                   .text("version", VMETTE_VERSION)
                                   .text("arch", host.machine)
                                   .text("system", host.sysname)
                                   .render();
        VMETTE_CHECK_OK(context.console().write(json_ ? document + "\n" : "vmette " VMETTE_VERSION "\n"));
        return 0;
    }

private:
    bool json_ = false;
};

}  // namespace

const Verb kVersionVerb{
    .name = "version",
    .summary = "print the version",
    .example = "vmette version --json",
    .exit_codes = "0  printed\n2  wrong usage",
    .make = make_command<VersionCommand>,
};

}  // namespace vmette::cli
