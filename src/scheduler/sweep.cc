#include <algorithm>
#include <csignal>
#include <map>

#include <sys/syscall.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/log.h"
#include "scheduler/run.h"

namespace vmette::scheduler {
namespace {

/// Only what lies in our own folders is ever removed, whatever the database says.
bool is_ours(const Layout& layout, const std::filesystem::path& path) {
    auto normal = path.lexically_normal();
    for (const auto& root : {layout.runtime, layout.state, layout.cache}) {
        auto [end, rest] = std::ranges::mismatch(root, normal);
        if (end == root.end() && rest != normal.end()) return true;
    }
    return false;
}

std::uint64_t size_of(const std::filesystem::path& path) {
    std::error_code error;
    if (std::filesystem::is_regular_file(path, error)) return std::filesystem::file_size(path, error);
    std::uint64_t total = 0;
    for (auto it = std::filesystem::recursive_directory_iterator(path, error);
         !error && it != std::filesystem::recursive_directory_iterator(); it.increment(error))
        if (it->is_regular_file(error)) total += it->file_size(error);
    return total;
}

/// Kills exactly that process: the identity is checked again after the pidfd pins the pid.
void kill_process(const ProcessIdentity& identity) {
    Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(identity.pid), 0)));
    if (pidfd && is_alive(identity)) ::syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0);
}

/// What is left of one ledger entry; nothing when it is gone by itself.
std::optional<Leftover> inspect(const Layout& layout, const store::LedgerEntry& entry) {
    Leftover found{entry.run_id, entry.what, entry.path, 0, {}};
    if (entry.kind == store::LedgerKind::process) {
        if (!is_alive(entry.process)) return std::nullopt;
        found.path = fmt::format("process {}", entry.process.pid);
        return found;
    }
    std::error_code error;
    if (!std::filesystem::exists(std::filesystem::symlink_status(entry.path, error))) return std::nullopt;
    if (!is_ours(layout, entry.path)) found.problem = "it lies outside of vmette's folders";
    found.bytes = size_of(entry.path);
    return found;
}

void remove(const store::LedgerEntry& entry, Leftover& found) {
    if (!found.problem.empty()) return;
    if (entry.kind == store::LedgerKind::process) return kill_process(entry.process);
    std::error_code error;
    std::filesystem::remove_all(entry.path, error);
    if (error) found.problem = error.message();
}

}  // namespace

Result<std::vector<Leftover>> sweep(const Layout& layout, store::Store& store, bool dry_run) {
    // The ledger first: a run that starts between the two reads is then in neither, or among the living.
    VMETTE_TRY(auto entries, store.ledger_list());
    VMETTE_TRY(auto running, store.running_runs());
    std::map<std::string, bool, std::less<>> alive;
    for (const auto& run : running) {
        bool lives = is_alive(run.owner);
        alive[run.id] = lives;
        if (lives || dry_run) continue;
        VMETTE_TRY(bool changed, store.mark_lost(run.id, "the vmette process that ran it is gone"));
        if (changed) log(LogLevel::info, "run {} ({}) is lost: its vmette process is gone", run.id, run.name);
    }
    std::vector<Leftover> leftovers;
    for (const auto& entry : entries) {
        if (auto owner = alive.find(entry.run_id); owner != alive.end() && owner->second) continue;
        auto found = inspect(layout, entry);
        if (found && !dry_run) remove(entry, *found);
        bool settled = !found || found->problem.empty();
        if (settled && !dry_run) VMETTE_CHECK_OK(store.ledger_remove(entry.id));
        if (found) leftovers.push_back(std::move(*found));
    }
    return leftovers;
}

Result<std::vector<Leftover>> sweep_forgotten_logs(const Layout& layout, store::Store& store, WallTime now,
                                                   bool dry_run) {
    // Ids begin with their time, and are sorted by it.
    constexpr std::size_t kIdLength = 26, kTimeLength = 10;
    const std::string bound = make_ulid((now - kForgottenLogsKept).time_since_epoch().count()).substr(0, kTimeLength);
    std::vector<Leftover> leftovers;
    std::error_code failed;
    for (std::filesystem::directory_iterator entry(layout.run_dir(""), failed), end; !failed && entry != end;
         entry.increment(failed)) {
        std::string id = entry->path().filename().string();
        if (id.size() != kIdLength || id.compare(0, kTimeLength, bound) >= 0) continue;
        if (std::filesystem::exists(layout.live_dir(id))) continue;
        VMETTE_TRY(auto known, store.get_run(id));
        if (known) continue;
        Leftover found{id, "logs that the history does not know", entry->path(), size_of(entry->path()), {}};
        std::error_code refused;
        if (!dry_run) std::filesystem::remove_all(entry->path(), refused);
        if (refused) found.problem = refused.message();
        leftovers.push_back(std::move(found));
    }
    return leftovers;
}

}  // namespace vmette::scheduler
