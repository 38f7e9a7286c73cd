#include "cli/manifest_source.h"

#include <pwd.h>
#include <unistd.h>

#include <memory>

#include "base/text.h"
#include "cli/toml_text.h"
#include "rootfs/provider.h"
#include "scheduler/user_settings.h"

namespace vmette::cli {
namespace {

std::filesystem::path home_folder() {
    if (auto home = environment_variable("HOME"); home && !home->empty()) return *home;
    const passwd* entry = ::getpwuid(::getuid());
    return entry != nullptr ? entry->pw_dir : "/";
}

/// Everything but the manifest's own sources.
Result<manifest::LoadRequest> empty_request(Context& context) {
    VMETTE_TRY(const Layout* layout, context.layout());
    manifest::LoadRequest request;
    request.environment = environment_variable;
    request.home = home_folder();
    request.check_rootfs = [providers = std::make_shared<const rootfs::Registry>(rootfs::Registry::with_builtin())](
                               const std::string& source) { return providers->check(source); };
    std::error_code ignored;
    request.set_folder = std::filesystem::current_path(ignored);
    request.forbidden_shares = {layout->state, layout->cache, layout->config, layout->runtime};
    if (std::filesystem::exists(layout->config_file(), ignored)) {
        VMETTE_TRY(auto defaults, manifest::read_source(layout->config_file()));
        defaults.defaults_table = true;
        VMETTE_TRY(defaults.problems, scheduler::check_user_settings(layout->config_file()));
        request.sources.push_back(std::move(defaults));
    }
    return request;
}

}  // namespace

void ManifestFlags::define(Arguments& arguments) {
    auto& file = arguments.operands("FILE", files, "manifests, merged left to right; - is stdin");
    file.required = true;
    file.completes = Completes::files;
    arguments.option("--set", "K=V", set, "change one key, as --set limits.timeout=2s; after all files");
    arguments.option("-e,--env", "K=V", env, "set a variable in the guest; K alone takes its value from here");
    arguments.command(command);
}

Result<> check_utf8(const std::vector<std::string>& words, std::string_view what) {
    for (const auto& word : words) {
        if (!valid_utf8(word))
            return fail(ErrorCode::bad_input, "{}: '{}' is not valid UTF-8", what, harmless_line(word));
    }
    return {};
}

Result<std::string> env_table(const std::vector<std::string>& assignments) {
    VMETTE_CHECK_OK(check_utf8(assignments, "--env"));
    std::vector<std::pair<std::string, std::string>> variables;  // the last of one name counts
    for (const auto& assignment : assignments) {
        auto equals = assignment.find('=');
        std::string name = assignment.substr(0, equals);
        if (name.empty()) return fail(ErrorCode::bad_input, "--env {}: the name is missing", harmless_line(assignment));
        std::optional<std::string> value;
        if (equals != assignment.npos)
            value = assignment.substr(equals + 1);
        else
            value = environment_variable(name);
        if (!value)
            return fail(ErrorCode::bad_input, "--env {}: it is not set in the environment", harmless_line(name));
        VMETTE_CHECK_OK(check_utf8({*value}, "--env " + name));
        std::erase_if(variables, [&](const auto& variable) { return variable.first == name; });
        variables.emplace_back(name, *value);
    }
    if (variables.empty()) return std::string();
    std::string text = "[env]\n";
    for (const auto& [name, value] : variables) text += fmt::format("{} = {}\n", toml_key(name), toml_literal(value));
    return text;
}

Result<manifest::LoadRequest> manifest_request(Context& context, const ManifestFlags& flags) {
    VMETTE_TRY(auto request, empty_request(context));
    for (const auto& file : flags.files) {
        auto source = manifest::read_source(file);
        if (!source) return fail(ErrorCode::bad_input, "{}", source.error().text());
        request.sources.push_back(*std::move(source));
    }
    VMETTE_CHECK_OK(check_utf8(flags.command, "the command after `--`"));
    VMETTE_TRY(std::string env, env_table(flags.env));
    std::string command = flags.command.empty() ? "" : fmt::format("exec = {}\n", toml_argv(flags.command));
    if (!command.empty() || !env.empty()) {
        request.sources.push_back({.name = "command line", .folder = request.set_folder, .text = command + env});
    }
    request.set = flags.set;
    return request;
}

Result<manifest::LoadRequest> manifest_request(Context& context, const std::string& name, const std::string& text) {
    VMETTE_TRY(auto request, empty_request(context));
    request.sources.push_back({.name = name, .folder = request.set_folder, .text = text});
    return request;
}

Result<bool> check_settings_or_report(Context& context) {
    VMETTE_TRY(const Layout* layout, context.layout());
    VMETTE_TRY(auto problems, scheduler::check_user_settings(layout->config_file()));
    if (!problems.empty()) context.console().write_err(manifest::render(problems));
    return problems.empty();
}

std::optional<manifest::Sandbox> load_or_report(Context& context, const manifest::LoadRequest& request) {
    auto sandbox = manifest::load(request);
    if (sandbox) return *std::move(sandbox);
    context.console().write_err(manifest::render(sandbox.error()));
    return std::nullopt;
}

}  // namespace vmette::cli
