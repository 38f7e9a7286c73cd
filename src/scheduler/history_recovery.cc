#include "scheduler/history_recovery.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/fd.h"
#include "base/process.h"

namespace vmette::scheduler {
namespace {

namespace fs = std::filesystem;

/// What a sound history says of itself: nothing. Otherwise what is wrong with it.
Result<std::string> complaints(const fs::path& path, const Clock& clock) {
    auto store = store::Store::open(path, clock);
    if (!store) {
        if (store.error().code == ErrorCode::io) return store.error().text();
        return Failure(store.error());
    }
    auto found = store->check();
    return found ? *found : found.error().text();
}

/// A process that runs one of them writes to the file that it has open.
Result<> require_no_living_runs(const fs::path& path, const Clock& clock) {
    VMETTE_TRY(auto store, store::Store::open(path, clock));
    VMETTE_TRY(auto running, store.running_runs());
    auto living = std::ranges::count_if(running, [](const auto& run) { return is_alive(run.owner); });
    if (living == 0) return {};
    return fail(ErrorCode::busy, "{} of its runs {} still going: stop {}, or wait, before the history is replaced",
                living, living == 1 ? "is" : "are", living == 1 ? "it" : "them");
}

/// "vmette.db.damaged-2026-01-31T090000Z", or what is free.
Result<fs::path> keep_aside(const fs::path& file, const Clock& clock) {
    std::string time = format_rfc3339(clock.now()).substr(0, 19);
    std::erase(time, ':');
    for (int attempt = 1;; ++attempt) {
        fs::path aside =
            fmt::format("{}.damaged-{}Z{}", file.string(), time, attempt == 1 ? "" : fmt::format("-{}", attempt));
        if (::link(file.c_str(), aside.c_str()) == 0) return aside;
        constexpr int kAttempts = 100;
        if (errno != EEXIST || attempt == kAttempts)
            return fail_errno("keep " + file.string() + " as " + aside.string());
    }
}

Result<> move_if_there(const fs::path& from, const fs::path& to) {
    if (::rename(from.c_str(), to.c_str()) != 0 && errno != ENOENT) return fail_errno("rename " + from.string());
    return {};
}

/// The log first: whatever takes the file's place must not meet it.
Result<fs::path> swap_in(const fs::path& made, const fs::path& database, const Clock& clock) {
    VMETTE_TRY(fs::path aside, keep_aside(database, clock));
    for (const char* companion : {"-wal", "-shm"}) {
        VMETTE_CHECK_OK(move_if_there(database.string() + companion, aside.string() + companion));
        if (::unlink((made.string() + companion).c_str()) != 0 && errno != ENOENT)
            return fail_errno("remove " + made.string() + companion);
    }
    if (::rename(made.c_str(), database.c_str()) != 0) return fail_errno("rename " + made.string());
    VMETTE_TRY(Fd folder, open_file(database.parent_path(), O_RDONLY | O_DIRECTORY));
    if (::fsync(folder.get()) != 0) return fail_errno("write " + database.string());
    return aside;
}

}  // namespace

HostCheck examine_history(const Layout& layout, const Result<store::Store*>& opened) {
    HostCheck check{"database", HostCheck::State::missing, "", ""};
    std::string file = layout.database().string();
    if (opened) {
        auto found = (*opened)->check();
        if (found && found->empty()) {
            check.state = HostCheck::State::ok;
            check.detail = fmt::format("{} (schema {})", file, (*opened)->schema_version());
            return check;
        }
        check.detail = found ? fmt::format("{} is damaged: {}", file, *found) : found.error().text();
    } else {
        check.detail = opened.error().text();
        if (opened.error().code != ErrorCode::io) return check;
    }
    // When nothing can be read, the error above has said all there is to do.
    if (auto count = store::count_salvageable(layout.database()))
        check.advice = fmt::format(
            "{} run{} can be read{}: \"vmette history recover\" makes a history of them and "
            "keeps the damaged file",
            count->runs, count->runs == 1 ? "" : "s", count->gaps == 0 ? "" : ", not all");
    return check;
}

Result<Recovered> recover_history(const Layout& layout, const Clock& clock, bool dry_run) {
    Recovered result;
    fs::path database = layout.database();
    VMETTE_TRY(Fd lock, open_file(layout.state, O_RDONLY | O_DIRECTORY));
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0)
        return fail(ErrorCode::busy, "another process recovers the history {}", database.string());
    VMETTE_TRY(std::string wrong, complaints(database, clock));
    result.was_sound = wrong.empty();
    if (result.was_sound) return result;
    VMETTE_TRY(TempDir folder, TempDir::make(layout.state));
    fs::path made = folder.path() / "vmette.db";
    VMETTE_TRY(result.saved, store::salvage(database, made, clock));
    if (dry_run) return result;
    VMETTE_CHECK_OK(require_no_living_runs(made, clock));
    VMETTE_TRY(result.kept_as, swap_in(made, database, clock));
    return result;
}

}  // namespace vmette::scheduler
