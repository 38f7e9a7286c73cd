#include "support/processes.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

namespace vmette::testing {
namespace {

std::string slurp(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

std::vector<pid_t> all_pids() {
    std::vector<pid_t> pids;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
        std::string name = entry.path().filename();
        if (name.find_first_not_of("0123456789") == name.npos) pids.push_back(std::atoi(name.c_str()));
    }
    return pids;
}

std::filesystem::path proc(pid_t pid, const char* file) {
    return std::filesystem::path("/proc") / std::to_string(pid) / file;
}

/// Fields of /proc/PID/stat from the third (state) on; empty when it is gone.
std::vector<std::string> stat_fields(pid_t pid) {
    std::string text = slurp(proc(pid, "stat"));
    auto close = text.rfind(')');
    if (close == text.npos) return {};
    std::istringstream rest(text.substr(close + 1));
    std::vector<std::string> fields;
    for (std::string field; rest >> field;) fields.push_back(field);
    return fields;
}

SeenProcess look_at(pid_t pid) {
    SeenProcess seen;
    auto fields = stat_fields(pid);
    constexpr std::size_t kParent = 1, kStart = 19;
    if (fields.size() > kStart) {
        seen.parent = std::atoi(fields[kParent].c_str());
        seen.identity = {pid, std::strtoull(fields[kStart].c_str(), nullptr, 10), own_identity().boot_id};
    }
    seen.name = slurp(proc(pid, "comm"));
    while (seen.name.ends_with('\n')) seen.name.pop_back();
    seen.command = slurp(proc(pid, "cmdline"));
    std::ranges::replace(seen.command, '\0', ' ');
    return seen;
}

std::string status_field(pid_t pid, std::string_view name) {
    std::ifstream file(proc(pid, "status"));
    for (std::string line; std::getline(file, line);)
        if (line.starts_with(name)) return line.substr(name.size());
    return {};
}

}  // namespace

std::vector<SeenProcess> descendants(pid_t ancestor) {
    std::multimap<pid_t, pid_t> children;
    for (pid_t pid : all_pids()) {
        auto fields = stat_fields(pid);
        if (fields.size() > 1) children.emplace(std::atoi(fields[1].c_str()), pid);
    }
    std::vector<SeenProcess> found;
    std::vector<pid_t> open{ancestor};
    while (!open.empty()) {
        auto [first, last] = children.equal_range(open.back());
        open.pop_back();
        for (; first != last; ++first) {
            found.push_back(look_at(first->second));
            open.push_back(first->second);
        }
    }
    return found;
}

std::optional<SeenProcess> find_descendant(pid_t ancestor, std::string_view name_prefix) {
    for (auto& process : descendants(ancestor))
        if (process.name.starts_with(name_prefix)) return std::move(process);
    return std::nullopt;
}

std::vector<SeenProcess> survivors(const std::vector<SeenProcess>& seen) {
    std::vector<SeenProcess> living;
    std::ranges::copy_if(seen, std::back_inserter(living), [](const auto& one) { return is_alive(one.identity); });
    return living;
}

std::vector<SeenProcess> with_environment(std::string_view text) {
    std::vector<SeenProcess> found;
    for (pid_t pid : all_pids())
        if (pid != ::getpid() && slurp(proc(pid, "environ")).find(text) != std::string::npos)
            found.push_back(look_at(pid));
    return found;
}

std::vector<std::string> holders_of(const std::filesystem::path& folder) {
    std::vector<std::string> found;
    std::string prefix = folder.string() + "/";
    auto note = [&](pid_t pid, const std::filesystem::path& link) {
        std::error_code error;
        std::string target = std::filesystem::read_symlink(link, error);
        if (!error && target.starts_with(prefix))
            found.push_back(fmt::format("process {} ({}) holds {}", pid, look_at(pid).name, target));
    };
    for (pid_t pid : all_pids()) {
        if (pid == ::getpid()) continue;
        std::error_code error;
        for (const auto& entry : std::filesystem::directory_iterator(proc(pid, "fd"), error)) note(pid, entry.path());
        note(pid, proc(pid, "cwd"));
        std::ifstream mounts(proc(pid, "mountinfo"));
        for (std::string line; std::getline(mounts, line);)
            if (line.find(prefix) != line.npos) found.push_back(fmt::format("process {} has mounted {}", pid, line));
    }
    std::ifstream sockets("/proc/net/unix");
    for (std::string line; std::getline(sockets, line);)
        if (line.find(prefix) != line.npos) found.push_back("a socket: " + line);
    return found;
}

std::uint64_t peak_memory_kib(pid_t pid) { return std::strtoull(status_field(pid, "VmHWM:").c_str(), nullptr, 10); }

std::size_t open_descriptors(pid_t pid) {
    std::error_code error;
    std::filesystem::directory_iterator entries(proc(pid, "fd"), error);
    return error ? 0 : static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
}

std::uint64_t cpu_time_ms(pid_t pid) {
    auto fields = stat_fields(pid);
    constexpr std::size_t kUser = 11, kSystem = 12;
    if (fields.size() <= kSystem) return 0;
    std::uint64_t ticks =
        std::strtoull(fields[kUser].c_str(), nullptr, 10) + std::strtoull(fields[kSystem].c_str(), nullptr, 10);
    return ticks * 1000 / static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
}

std::string describe(const std::vector<SeenProcess>& processes) {
    std::string text;
    for (const auto& one : processes)
        text += fmt::format("{} ({}): {}\n", one.identity.pid, one.name, one.command.substr(0, 300));
    return text;
}

}  // namespace vmette::testing
