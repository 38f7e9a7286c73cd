#include <algorithm>

#include <fmt/format.h>

#include "manifest/keys.h"
#include "manifest/load.h"
#include "manifest/text_rules.h"
#include "manifest/toml_text.h"

namespace vmette::manifest {
namespace {

constexpr std::size_t kCommentColumn = 40;

/// "# key = value       # what it is", or without the first mark when it is meant to hold.
void add_line(std::string& out, std::string_view assignment, std::string_view help, bool active = false) {
    std::string line = fmt::format("{}{}", active ? "" : "# ", assignment);
    out += fmt::format("{:<{}}  # {}\n", line, kCommentColumn, help);
}

void add_table(std::string& out, const Key& table) {
    bool list = table.kind == Kind::table_list;
    out += '\n';
    add_line(out, fmt::format("{0}{2}{1}", list ? "[[" : "[", list ? "]]" : "]", table.name), table.help);
    if (!table.example.empty()) out += fmt::format("# {}\n", table.example);
    if (table.kind == Kind::table_map) return;
    for (const Key& key : table.children)
        if (!key.later) add_line(out, fmt::format("{} = {}", key.name, key.example), key.help);
}

/// A table of which this version carries out nothing: it would stand there bare.
bool is_later(const Key& key) {
    return key.later || (!key.children.empty() && std::ranges::all_of(key.children, &Key::later));
}

/// What may stand in place of a folder that few have. None holds an assignment: `rootfs` is one already.
constexpr std::string_view kOtherRoots =
    "# No such folder? It may be an image or an archive too (docs/images.md says how to get one):\n"
    "#        \"squashfs+file://rootfs.squashfs\"\n"
    "#        \"tar+file://rootfs.tar\"\n"
    "#        \"tar+https://example.org/rootfs.tar.zst#sha256=<64 digits>\"\n";

bool is_table(const Key& key) { return key.kind >= Kind::table; }

}  // namespace

std::string starter_manifest(std::string_view name) {
    std::string fitted = fit_name(name, kMaxNameLength, "._-");
    std::string out =
        "# A sandbox of vmette. What is commented out shows an example; docs/manifest.md explains every key.\n\n";
    for (const Key& key : sandbox_root().children) {
        if (is_later(key) || (is_table(key) && key.short_form.empty())) continue;
        std::string value(key.example);
        if (key.name == "name") value = toml_string(fitted.empty() ? "sandbox" : fitted);
        if (key.name == "rootfs") value = R"("./rootfs")";
        if (key.name == "scratch") value = R"("8G")";
        bool active = key.name == "schema" || key.name == "name" || key.name == "rootfs" || key.name == "exec";
        add_line(out, fmt::format("{} = {}", key.name, value), key.help, active);
        if (key.name == "rootfs") out += kOtherRoots;
    }
    for (const Key& key : sandbox_root().children)
        if (!is_later(key) && is_table(key) && key.short_form.empty()) add_table(out, key);
    return out;
}

}  // namespace vmette::manifest
