#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace vmette::guest {

Outcome<std::string> plain_path(std::string_view path) {
    if (path.size() > 4095 || path.find('\0') != path.npos) return fail("not a path");
    std::string plain;
    for (std::string_view rest = path; !rest.empty();) {
        std::string_view part = take_field(rest, '/');
        if (part.empty() || part == ".") continue;
        if (part == "..") return fail("\"..\" in the path ", path);
        if (!plain.empty()) plain += '/';
        plain += part;
    }
    return plain;
}

std::pair<std::string, std::string> split_last(std::string_view plain) {
    std::size_t slash = plain.rfind('/');
    if (slash == plain.npos) return {"", std::string(plain)};
    return {std::string(plain.substr(0, slash)), std::string(plain.substr(slash + 1))};
}

Outcome<Tree> Tree::open(const char* path) {
    Fd top(::open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!top) return fail_errno("open ", path);
    return Tree(std::move(top));
}

Fd Tree::open_at(std::string_view plain, int flags) const {
    open_how how{};
    how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    std::string path(plain.empty() ? "." : plain);
    return Fd(static_cast<int>(syscall(SYS_openat2, top_.get(), path.c_str(), &how, sizeof how)));
}

Outcome<Fd> Tree::make_directory(std::string_view path, mode_t mode) const {
    GUEST_TRY(std::string plain, plain_path(path));
    if (Fd there = open_at(plain, O_PATH | O_DIRECTORY)) return there;
    if (errno != ENOENT) return fail_errno("folder /", plain);
    auto [parent_path, name] = split_last(plain);
    GUEST_TRY(Fd parent, make_directory(parent_path));
    if (mkdirat(parent.get(), name.c_str(), mode) != 0 && errno != EEXIST) return fail_errno("make folder /", plain);
    Fd made = open_at(plain, O_PATH | O_DIRECTORY);
    if (!made) return fail_errno("folder /", plain);
    return made;
}

Outcome<> Tree::put_file(std::string_view path, std::string_view content, mode_t mode) const {
    GUEST_TRY(std::string plain, plain_path(path));
    auto [parent_path, name] = split_last(plain);
    GUEST_TRY(Fd parent, make_directory(parent_path));
    // A file of our own, not the content of the image's: it may be a symlink, or a hard link to something else.
    if (unlinkat(parent.get(), name.c_str(), 0) != 0 && errno != ENOENT) return fail_errno("replace /", plain);
    Fd file(openat(parent.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
    if (!file || fchmod(file.get(), mode) != 0 || !write_all(file.get(), content)) return fail_errno("write /", plain);
    return {};
}

Outcome<> Tree::mount_at(std::string_view path, const std::string& source, const char* type, unsigned long flags,
                         const std::string& options) const {
    GUEST_TRY(Fd target, make_directory(path));
    std::string where = text("/proc/self/fd/", target.get());
    if (mount(source.c_str(), where.c_str(), type, flags, options.c_str()) != 0)
        return fail_errno("mount ", source, " on ", path);
    return {};
}

}  // namespace vmette::guest
