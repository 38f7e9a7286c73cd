/// vmette schema: the manifest's JSON Schema, for editors.

#include "cli/verbs.h"
#include "manifest/load.h"

namespace vmette::cli {
namespace {

class SchemaCommand final : public Command {
public:
    void define(Arguments&) override {}

    Result<int> run(Context& context) override {
        std::string schema = manifest::json_schema();
        if (!schema.ends_with('\n')) schema += '\n';
        VMETTE_CHECK_OK(context.console().write(schema));
        return 0;
    }
};

}  // namespace

const Verb kSchemaVerb{
    .name = "schema",
    .summary = "print the manifest's JSON Schema, for editors",
    .example = "vmette schema > vmette.schema.json",
    .exit_codes = "0  printed\n2  wrong usage",
    .make = make_command<SchemaCommand>,
};

}  // namespace vmette::cli
