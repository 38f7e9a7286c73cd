#include "vm/kept_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <vector>

#include "base/layout.h"

namespace vmette::vm {

Result<Fd> stage_file(const std::filesystem::path& folder) {
    VMETTE_CHECK_OK(make_cache_dir(folder));
    Fd staged(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (staged) return staged;
    if (errno == EOPNOTSUPP || errno == EISDIR)
        return fail(ErrorCode::unsupported, "the filesystem of {} has no O_TMPFILE", folder.string());
    return fail_errno("make a file in " + folder.string());
}

Result<> name_file(const Fd& staged, const std::filesystem::path& path, const std::function<bool(int)>& is_whole) {
    std::string nameless = fmt::format("/proc/self/fd/{}", staged.get());
    for (int attempt = 0; attempt < 2; ++attempt) {
        if (::linkat(AT_FDCWD, nameless.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) == 0) return {};
        if (errno != EEXIST) return fail_errno("name " + path.string());
        auto theirs = open_file(path, O_RDONLY | O_NOFOLLOW);
        if (theirs && require_private(*theirs, path) && is_whole(theirs->get())) return {};
        ::unlink(path.c_str());
    }
    return {};
}

void touch_file(const Fd& file) { (void)::futimens(file.get(), nullptr); }

void prune_files(const std::filesystem::path& folder, std::string_view extension, std::size_t keep) {
    namespace fs = std::filesystem;
    std::vector<std::pair<fs::file_time_type, fs::path>> found;
    std::error_code failed;
    for (fs::directory_iterator entry(folder, failed), end; !failed && entry != end; entry.increment(failed)) {
        auto time = entry->last_write_time(failed);
        if (!failed && entry->path().extension() == extension) found.emplace_back(time, entry->path());
        failed.clear();
    }
    std::ranges::sort(found, std::greater<>());
    for (std::size_t i = keep; i < found.size(); ++i) fs::remove(found[i].second, failed);
}

}  // namespace vmette::vm
