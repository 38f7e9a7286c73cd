#include <span>

#include "manifest/keys.h"
#include "manifest/load.h"
#include "manifest/short_forms.h"
#include "manifest/toml_text.h"

namespace vmette::manifest {
namespace {

/// Appends `key = value` lines and table headers. Strings are written so that their expansion gives them back.
class Writer {
public:
    void header(std::string_view text) { out_ += fmt::format("\n{}\n", text); }
    void raw(std::string_view key, std::string_view value) { out_ += fmt::format("{} = {}\n", key, value); }
    void text(std::string_view key, std::string_view value) { raw(key, toml_expanded(value)); }
    /// Left out when empty, as an empty text stands for "not set" in a Sandbox.
    void optional(std::string_view key, std::string_view value) {
        if (!value.empty()) text(key, value);
    }
    void number(std::string_view key, std::uint64_t value) { raw(key, std::to_string(value)); }
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

private:
    std::string out_;
};

void write_root(Writer& out, const Sandbox& sandbox) {
    out.number("schema", static_cast<std::uint64_t>(sandbox.schema));
    out.text("name", sandbox.name);
    if (sandbox.exec) {
        if (const auto* shell = std::get_if<ShellCommand>(&*sandbox.exec))
            out.raw("exec", toml_string(shell->text));
        else
            out.list("exec", std::get<Argv>(*sandbox.exec).words, toml_string);
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
    out.header("[rootfs]");
    out.text("source", sandbox.rootfs.source);
    out.boolean("read_only", sandbox.rootfs.read_only);
    out.choice("pull", sandbox.rootfs.pull, kPullNames);
}

void write_storage(Writer& out, const Sandbox& sandbox) {
    for (const Share& share : sandbox.shares) {
        out.header("[[shares]]");
        out.text("tag", share.tag);
        out.text("host", share.host.native());
        out.text("guest", share.guest);
        out.choice("mode", share.mode, kShareModeNames);
    }
    for (const Disk& disk : sandbox.disks) {
        out.header("[[disks]]");
        out.text("path", disk.path.native());
        out.optional("guest", disk.guest);
        out.boolean("read_only", disk.read_only);
    }
    out.header("[scratch]");
    out.size("size", sandbox.scratch);
}

void write_surroundings(Writer& out, const Sandbox& sandbox) {
    out.header("[net]");
    out.choice("mode", sandbox.net.mode, kNetModeNames);
    if (!sandbox.net.allow.empty())
        out.list("allow", sandbox.net.allow, [](const AllowRule& rule) { return toml_string(format_allow(rule)); });
    if (!sandbox.env.empty()) out.header("[env]");
    for (const auto& [name, value] : sandbox.env) out.text(toml_key(name), value);
    if (!sandbox.secrets.empty()) out.header("[secrets]");
    for (const Secret& secret : sandbox.secrets) {
        bool from_env = !secret.env.empty();
        out.raw(toml_key(secret.name), fmt::format("{{ {} = {}, expose = {} }}", from_env ? "env" : "file",
                                                   toml_expanded(from_env ? secret.env : secret.file.native()),
                                                   toml_string(kExposeNames[secret.expose_as_file ? 1 : 0])));
    }
}

void write_limits(Writer& out, const Limits& limits) {
    out.header("[limits]");
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
    out.header("[vm]");
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
        out.header("[[artifacts]]");
        out.text("path", artifact.path);
        out.size("max", artifact.max);
    }
    if (sandbox.snapshot != Snapshot{}) {
        out.header("[snapshot]");
        if (sandbox.snapshot.warm) out.boolean("warm", *sandbox.snapshot.warm);
        if (!sandbox.snapshot.setup.empty()) out.list("setup", sandbox.snapshot.setup, toml_expanded);
    }
    write_vm(out, sandbox.vm);
    if (!sandbox.labels.empty()) out.header("[labels]");
    for (const auto& [name, value] : sandbox.labels) out.text(toml_key(name), value);
    if (!sandbox.metadata.empty()) out.header("[metadata]");
    out.body(sandbox.metadata);
}

}  // namespace

std::string to_toml(const Sandbox& sandbox) {
    Writer out;
    write_root(out, sandbox);
    write_storage(out, sandbox);
    write_surroundings(out, sandbox);
    write_limits(out, sandbox.limits);
    write_rest(out, sandbox);
    return out.take();
}

}  // namespace vmette::manifest
