#include "scheduler/results_folder.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace vmette::scheduler {
namespace {

namespace fs = std::filesystem;

constexpr const char* kEarlier = "attempts";
constexpr const char* kParts[] = {"stdout.log", "stderr.log", "run.json", "artifacts"};
/// Of one job in one folder; who keeps more has another use for it.
constexpr int kMostAttempts = 10'000;

/// More than what comes before the id in a run's document.
constexpr std::size_t kStartOfDocument = 4096;

/// Opens below `folder` whatever is really there: a link anywhere in the name is an error.
Result<Fd> open_beneath(const Fd& folder, const std::string& name, int flags, mode_t mode = 0) {
    open_how how{};
    how.flags = static_cast<std::uint64_t>(flags) | O_CLOEXEC | O_NOFOLLOW;
    how.mode = mode;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    Fd fd(static_cast<int>(::syscall(SYS_openat2, folder.get(), name.c_str(), &how, sizeof how)));
    if (!fd) return fail_errno("open " + name);
    return fd;
}

Result<Fd> open_folder(const Fd& above, const std::string& name) {
    // mkdirat() would go wherever it leads.
    if (name.find('/') != name.npos) return fail(ErrorCode::bad_input, "\"{}\" is not the name of a folder", name);
    if (::mkdirat(above.get(), name.c_str(), 0755) != 0 && errno != EEXIST) return fail_errno("mkdir " + name);
    return open_beneath(above, name, O_RDONLY | O_DIRECTORY);
}

Result<> copy(int from, int to) {
    char buffer[1 << 16];
    while (true) {
        ssize_t n = ::read(from, buffer, sizeof buffer);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno("read");
        if (n == 0) return {};
        VMETTE_CHECK_OK(write_all(to, std::string_view(buffer, static_cast<std::size_t>(n))));
    }
}

/// A file that was not there before, made under another name and renamed when whole.
template <typename Fill>
Result<> make_file(const Fd& folder, const std::string& name, Fill fill) {
    std::string half = "." + name + ".new";
    ::unlinkat(folder.get(), half.c_str(), 0);
    VMETTE_TRY(Fd file, open_beneath(folder, half, O_WRONLY | O_CREAT | O_EXCL, 0644));
    VMETTE_CHECK_OK(fill(file.get()));
    if (::renameat2(folder.get(), half.c_str(), folder.get(), name.c_str(), RENAME_NOREPLACE) != 0)
        return fail_errno("rename " + half);
    return {};
}

Result<> copy_file(const fs::path& from, const Fd& folder, const std::string& name) {
    auto source = open_file(from, O_RDONLY | O_NOFOLLOW);
    // A log that was not kept is no error.
    if (!source && source.error().code == ErrorCode::not_found) return {};
    if (!source) return Failure(source.error());
    return make_file(folder, name, [&](int to) { return copy(source->get(), to); });
}

Result<> copy_tree(const fs::path& from, const Fd& folder, const std::string& name) {
    std::error_code error;
    if (!fs::is_directory(fs::symlink_status(from, error))) return {};
    VMETTE_TRY(Fd below, open_folder(folder, name));
    // Not a range-for, whose steps throw.
    for (fs::directory_iterator entry(from, error), end; !error && entry != end; entry.increment(error)) {
        std::error_code unknown;  // it is neither then
        auto status = entry->symlink_status(unknown);
        std::string leaf = entry->path().filename();
        if (fs::is_directory(status))
            VMETTE_CHECK_OK(copy_tree(entry->path(), below, leaf));
        else if (fs::is_regular_file(status))
            VMETTE_CHECK_OK(copy_file(entry->path(), below, leaf));
    }
    if (error) return fail(ErrorCode::io, "read {}: {}", from.string(), error.message());
    return {};
}

/// Moves what an earlier attempt left to the first number that is free.
Result<> move_away(const Fd& folder) {
    bool any = false;
    for (const char* part : kParts) any = any || ::faccessat(folder.get(), part, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    if (!any) return {};
    VMETTE_TRY(Fd earlier, open_folder(folder, kEarlier));
    for (int number = 1; number <= kMostAttempts; ++number) {
        std::string name = std::to_string(number);
        if (::mkdirat(earlier.get(), name.c_str(), 0755) != 0) {
            if (errno == EEXIST) continue;
            return fail_errno("mkdir " + name);
        }
        VMETTE_TRY(Fd place, open_beneath(earlier, name, O_RDONLY | O_DIRECTORY));
        for (const char* part : kParts)
            if (::renameat2(folder.get(), part, place.get(), part, RENAME_NOREPLACE) != 0 && errno != ENOENT)
                return fail_errno(std::string("move ") + part);
        return {};
    }
    return fail(ErrorCode::no_space, "there are {} earlier attempts", kMostAttempts);
}

}  // namespace

Result<ResultsFolder> ResultsFolder::open(const fs::path& path) {
    std::error_code error;
    fs::create_directories(path, error);
    auto folder = open_file(path, O_RDONLY | O_DIRECTORY);
    if (!folder) return fail(folder.error().code, "the results folder {}: {}", path.string(), folder.error().message);
    if (::faccessat(folder->get(), ".", W_OK | X_OK, AT_EACCESS) != 0)
        return fail_errno(fmt::format("the results folder {} cannot be written", path.string()));
    return ResultsFolder(*std::move(folder));
}

Result<> ResultsFolder::put(const std::string& job, const store::RunRecord& run) const {
    auto done = [&]() -> Result<> {
        VMETTE_TRY(Fd folder, open_folder(folder_, job));
        VMETTE_CHECK_OK(move_away(folder));
        if (!run.log_stdout.empty()) {
            VMETTE_CHECK_OK(copy_file(run.log_stdout, folder, "stdout.log"));
            VMETTE_CHECK_OK(copy_file(run.log_stderr, folder, "stderr.log"));
            VMETTE_CHECK_OK(copy_tree(fs::path(run.log_stdout).parent_path() / "artifacts", folder, "artifacts"));
        }
        return make_file(folder, "run.json", [&](int to) { return write_all(to, store::to_json(run) + "\n"); });
    }();
    if (!done) return fail(done.error().code, "the results of {}: {}", job, done.error().text());
    return {};
}

bool ResultsFolder::holds(const std::string& job, const std::string& run_id) const {
    auto document = open_beneath(folder_, job + "/run.json", O_RDONLY | O_NONBLOCK);
    if (!document) return false;
    // An id occurs in no document but its own run's, and near its start.
    std::string start(kStartOfDocument, '\0');
    ssize_t n = ::read(document->get(), start.data(), start.size());
    return n > 0 && std::string_view(start).substr(0, static_cast<std::size_t>(n)).contains('"' + run_id + '"');
}

}  // namespace vmette::scheduler
