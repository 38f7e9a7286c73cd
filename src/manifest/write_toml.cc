#include <span>

#include "manifest/batch.h"
#include "manifest/keys.h"
#include "manifest/load.h"
#include "manifest/short_forms.h"
#include "manifest/templates.h"
#include "manifest/toml_text.h"

namespace vmette::manifest {
namespace {

/// What a sandbox is written as.
enum class As { manifest, job };

/// Appends `key = value` lines and table headers. Strings are written so that their expansion gives them back, and in a
/// batch their templates too.
class Writer {
public:
    explicit Writer(As as) : as_(as) {}

    void table(std::string_view name) { out_ += fmt::format("\n[{}{}]\n", prefix(), name); }
    void table_of_list(std::string_view name) { out_ += fmt::format("\n[[{}{}]]\n", prefix(), name); }
    void raw(std::string_view key, std::string_view value) { out_ += fmt::format("{} = {}\n", key, value); }
    void text(std::string_view key, std::string_view value) { raw(key, expanded(value)); }
    /// Left out when empty, as an empty text stands for "not set" in a Sandbox.
    void optional(std::string_view key, std::string_view value) {
        if (!value.empty()) text(key, value);
    }
    void number(std::string_view key, std::int64_t value) { raw(key, std::to_string(value)); }
    void boolean(std::string_view key, bool value) { raw(key, value ? "true" : "false"); }
    void size(std::string_view key, std::uint64_t bytes) { raw(key, toml_string(format_size(bytes))); }
    void duration(std::string_view key, Duration value) { raw(key, toml_string(format_duration(value))); }
    template <typename Enum>
    void choice(std::string_view key, Enum value, std::span<const std::string_view> names) {
        raw(key, toml_string(names[static_cast<std::size_t>(value)]));
    }
    template <typename List, typename Format>
    void list(std::string_view key, const List& items, Format format) {
        std::string joined;
        for (const auto& item : items) joined += (joined.empty() ? "" : ", ") + format(item);
        raw(key, "[" + joined + "]");
    }
    void body(std::string_view lines) { out_ += lines; }
    std::string take() { return std::move(out_); }

    bool is_job() const { return as_ == As::job; }
    /// A text in which ${NAME} is not expanded.
    std::string unexpanded(std::string_view text) const {
        return toml_string(is_job() ? template_literal(text) : std::string(text));
    }
    std::string expanded(std::string_view text) const {
        return toml_expanded(is_job() ? template_literal(text) : std::string(text));
    }

private:
    std::string_view prefix() const { return is_job() ? "job." : ""; }

    As as_;
    std::string out_;
};

void write_root(Writer& out, const Sandbox& sandbox) {
    if (!out.is_job()) out.number("schema", sandbox.schema);
    if (!out.is_job()) out.text("name", sandbox.name);
    if (sandbox.exec) {
        if (const auto* shell = std::get_if<ShellCommand>(&*sandbox.exec))
            out.raw("exec", out.unexpanded(shell->text));
        else
            out.list("exec", std::get<Argv>(*sandbox.exec).words,
                     [&](const std::string& word) { return out.unexpanded(word); });
    }
    out.optional("workdir", sandbox.workdir);
    out.optional("user", sandbox.user);
    out.boolean("tty", sandbox.tty);
    switch (sandbox.stdin_source.mode) {
        case StdinMode::none:
            out.text("stdin", "none");
            break;
        case StdinMode::inherit:
            out.text("stdin", "inherit");
            break;
        case StdinMode::file:
            out.text("stdin", sandbox.stdin_source.file.native());
            break;
    }
    if (!sandbox.ports.empty())
        out.list("ports", sandbox.ports, [](const Port& port) { return toml_string(format_port(port)); });
    out.table("rootfs");
    out.text("source", sandbox.rootfs.source);
    out.boolean("read_only", sandbox.rootfs.read_only);
    out.choice("pull", sandbox.rootfs.pull, kPullNames);
}

void write_storage(Writer& out, const Sandbox& sandbox) {
    for (const Share& share : sandbox.shares) {
        out.table_of_list("shares");
        out.text("tag", share.tag);
        out.text("host", share.host.native());
        out.text("guest", share.guest);
        out.choice("mode", share.mode, kShareModeNames);
    }
    for (const Disk& disk : sandbox.disks) {
        out.table_of_list("disks");
        out.text("path", disk.path.native());
        out.optional("guest", disk.guest);
        out.boolean("read_only", disk.read_only);
    }
    out.table("scratch");
    out.size("size", sandbox.scratch);
}

void write_surroundings(Writer& out, const Sandbox& sandbox) {
    out.table("net");
    out.choice("mode", sandbox.net.mode, kNetModeNames);
    if (!sandbox.net.allow.empty())
        out.list("allow", sandbox.net.allow, [](const AllowRule& rule) { return toml_string(format_allow(rule)); });
    if (!sandbox.env.empty()) out.table("env");
    for (const auto& [name, value] : sandbox.env) out.text(toml_key(name), value);
    if (!sandbox.secrets.empty()) out.table("secrets");
    for (const Secret& secret : sandbox.secrets) {
        bool from_env = !secret.env.empty();
        out.raw(toml_key(secret.name), fmt::format("{{ {} = {}, expose = {} }}", from_env ? "env" : "file",
                                                   out.expanded(from_env ? secret.env : secret.file.native()),
                                                   toml_string(kExposeNames[secret.expose_as_file ? 1 : 0])));
    }
}

void write_limits(Writer& out, const Limits& limits) {
    out.table("limits");
    out.number("vcpus", limits.vcpus);
    out.size("memory", limits.memory);
    out.duration("timeout", limits.timeout);
    out.duration("boot_timeout", limits.boot_timeout);
    out.duration("idle_timeout", limits.idle_timeout);
    out.size("output", limits.output);
    out.number("pids", limits.pids);
    out.duration("grace", limits.grace);
}

void write_vm(Writer& out, const Vm& vm) {
    out.table("vm");
    out.choice("accel", vm.accel, kAccelNames);
    out.optional("kernel", vm.kernel.native());
    out.optional("initramfs", vm.initramfs.native());
    out.optional("cmdline", vm.cmdline);
    switch (vm.vsock) {
        case VsockMode::automatic:
            out.text("vsock", "auto");
            break;
        case VsockMode::off:
            out.boolean("vsock", false);
            break;
        case VsockMode::port:
            out.number("vsock", vm.vsock_port);
            break;
    }
    out.boolean("switch_root", vm.switch_root);
    out.optional("ca_certs", vm.ca_certs.native());
}

void write_rest(Writer& out, const Sandbox& sandbox) {
    for (const Artifact& artifact : sandbox.artifacts) {
        out.table_of_list("artifacts");
        out.text("path", artifact.path);
        out.size("max", artifact.max);
    }
    if (sandbox.snapshot != Snapshot{}) {
        out.table("snapshot");
        if (sandbox.snapshot.warm) out.boolean("warm", *sandbox.snapshot.warm);
        if (!sandbox.snapshot.setup.empty())
            out.list("setup", sandbox.snapshot.setup,
                     [&](const std::string& command) { return out.expanded(command); });
    }
    write_vm(out, sandbox.vm);
    if (!sandbox.labels.empty()) out.table("labels");
    for (const auto& [name, value] : sandbox.labels) out.text(toml_key(name), value);
    if (!sandbox.metadata.empty()) out.table("metadata");
    out.body(sandbox.metadata);
}

void write_sandbox(Writer& out, const Sandbox& sandbox) {
    write_root(out, sandbox);
    write_storage(out, sandbox);
    write_surroundings(out, sandbox);
    write_limits(out, sandbox.limits);
    write_rest(out, sandbox);
}

void write_retry(Writer& out, const Retry& retry) {
    out.table("retry");
    out.number("max", retry.max);
    out.list("on", retry.on, [](const RetryOn& on) {
        return toml_string(on.exit_code ? fmt::format("exit:{}", *on.exit_code) : on.reason);
    });
    out.duration("backoff", retry.backoff);
}

}  // namespace

std::string to_toml(const Sandbox& sandbox) {
    Writer out(As::manifest);
    write_sandbox(out, sandbox);
    return out.take();
}

std::string to_toml(const Batch& batch) {
    const BatchRules& rules = batch.rules;
    Writer out(As::manifest);
    out.number("schema", 1);
    out.text("name", rules.name);
    out.table("pool");
    out.number("vms", rules.pool.vms);
    if (rules.pool.memory_bytes > 0)
        out.size("memory", rules.pool.memory_bytes);
    else
        out.text("memory", fmt::format("{}%", rules.pool.memory_percent));
    out.number("vcpus", rules.pool.vcpus);
    out.boolean("shared", rules.pool.shared);
    out.table("batch");
    out.boolean("fail_fast", rules.fail_fast);
    out.number("max_failures", rules.max_failures);
    if (batch.jobs > kDefaultMaxJobs) out.number("max_jobs", batch.jobs);
    out.duration("deadline", rules.deadline);
    out.optional("results", rules.results.native());
    return out.take();
}

std::string to_toml(const BatchJob& job, const std::vector<std::string>& needs) {
    Writer out(As::job);
    out.body("\n[[job]]\n");
    out.text("name", job.name);
    out.number("priority", job.priority);
    out.boolean("cache", job.cache);
    if (!needs.empty()) out.list("needs", needs, toml_string);
    write_sandbox(out, job.sandbox);
    write_retry(out, job.retry);
    return out.take();
}

}  // namespace vmette::manifest
