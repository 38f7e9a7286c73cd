#include <map>

#include "manifest/load.h"

namespace vmette::manifest {
namespace {

/// Where the key of a line "key = value" ends: a quoted one may hold anything.
std::size_t key_end(std::string_view line) {
    if (!line.starts_with('"')) return line.find(" = ");
    std::size_t at = 1;
    while (at < line.size() && line[at] != '"') at += line[at] == '\\' ? 2 : 1;
    return line.find(" = ", at);
}

}  // namespace

std::vector<std::pair<std::string, std::string>> flat_keys(const Sandbox& sandbox) {
    Sandbox plain = sandbox;
    plain.metadata.clear();
    return flat_keys(to_toml(plain));
}

std::vector<std::pair<std::string, std::string>> flat_keys(std::string_view text) {
    std::vector<std::pair<std::string, std::string>> out;
    std::map<std::string, int, std::less<>> seen;
    std::string table;
    for (std::string_view rest = text; !rest.empty();) {
        auto line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(line.size() + 1, rest.size()));
        // Every value is written on one line, its line breaks escaped.
        if (line.starts_with("[[")) {
            std::string name(line.substr(2, line.size() - 4));
            table = fmt::format("{}[{}].", name, seen[name]++);
        } else if (line.starts_with('[')) {
            table = fmt::format("{}.", line.substr(1, line.size() - 2));
        } else if (auto end = key_end(line); end != line.npos) {
            out.emplace_back(table + std::string(line.substr(0, end)), line.substr(end + 3));
        }
    }
    return out;
}

}  // namespace vmette::manifest
