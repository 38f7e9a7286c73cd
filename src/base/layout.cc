#include "base/layout.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace vmette {
namespace {

std::string environment(const char* name) {
    const char* value = ::getenv(name);
    return value != nullptr ? value : "";
}

/// `own` names the folder itself, `xdg` its parent, `home_part` the parent below the home folder.
Result<std::filesystem::path> resolve(const char* own, const char* xdg, const char* home_part) {
    std::filesystem::path path;
    if (auto value = environment(own); !value.empty()) {
        path = value;
    } else if (auto base = environment(xdg); !base.empty()) {
        path = std::filesystem::path(base) / "vmette";
    } else if (auto home = environment("HOME"); !home.empty()) {
        path = std::filesystem::path(home) / home_part / "vmette";
    } else {
        return fail(ErrorCode::bad_input, "set HOME, {} or {}: nothing says where vmette may keep its files", xdg, own);
    }
    std::error_code error;
    auto absolute = std::filesystem::absolute(path, error);
    if (error) return fail(ErrorCode::io, "{}: {}", path.string(), error.message());
    return absolute.lexically_normal();
}

}  // namespace

std::filesystem::path Layout::image(std::string_view digest) const {
    return images_dir() / fmt::format("{}.squashfs", digest);
}

std::filesystem::path Layout::lock(std::string_view name) const {
    return cache / "locks" / fmt::format("{}.lock", name);
}

Result<Layout> layout_from_environment() {
    Layout layout;
    VMETTE_TRY(layout.cache, resolve("VMETTE_CACHE_DIR", "XDG_CACHE_HOME", ".cache"));
    VMETTE_TRY(layout.state, resolve("VMETTE_STATE_DIR", "XDG_STATE_HOME", ".local/state"));
    VMETTE_TRY(layout.config, resolve("VMETTE_CONFIG_DIR", "XDG_CONFIG_HOME", ".config"));
    if (environment("VMETTE_RUNTIME_DIR").empty() && environment("XDG_RUNTIME_DIR").empty()) {
        layout.runtime = layout.state / "run";
    } else {
        VMETTE_TRY(layout.runtime, resolve("VMETTE_RUNTIME_DIR", "XDG_RUNTIME_DIR", ""));
    }
    return layout;
}

Result<> make_private_dir(const std::filesystem::path& path) {
    if (::mkdir(path.c_str(), 0700) == 0) return {};
    if (errno == ENOENT && path.has_parent_path() && path.parent_path() != path) {
        VMETTE_CHECK_OK(make_private_dir(path.parent_path()));
        if (::mkdir(path.c_str(), 0700) == 0) return {};
    }
    if (errno != EEXIST) return fail_errno("create the folder " + path.string());
    struct stat info{};
    if (::stat(path.c_str(), &info) != 0) return fail_errno(path.string());
    if (!S_ISDIR(info.st_mode)) return fail(ErrorCode::io, "{} is not a folder", path.string());
    return {};
}

namespace {

Result<> check_private(const struct stat& info, const std::filesystem::path& path) {
    if (info.st_uid != ::geteuid())
        return fail(ErrorCode::io, "{} belongs to another user (uid {}): what it holds cannot be trusted",
                    path.string(), info.st_uid);
    if ((info.st_mode & 022) == 0) return {};
    return fail(ErrorCode::io, "{} can be written by other users (mode {:04o}): chmod go-w {}", path.string(),
                info.st_mode & 07777, path.string());
}

}  // namespace

Result<> require_private(const std::filesystem::path& path) {
    struct stat info{};
    if (::stat(path.c_str(), &info) != 0) return fail_errno(path.string());
    return check_private(info, path);
}

Result<> require_private(const Fd& file, const std::filesystem::path& path) {
    struct stat info{};
    if (::fstat(file.get(), &info) != 0) return fail_errno(path.string());
    return check_private(info, path);
}

Result<> require_cache_dir(const std::filesystem::path& folder) {
    // From the outside in: only then is the second answer about the folder that is used.
    VMETTE_CHECK_OK(require_private(folder.parent_path()));
    return require_private(folder);
}

Result<> make_cache_dir(const std::filesystem::path& folder) {
    VMETTE_CHECK_OK(make_private_dir(folder));
    return require_cache_dir(folder);
}

Result<TempDir> TempDir::make(const std::filesystem::path& under) {
    std::error_code error;
    auto parent = under.empty() ? std::filesystem::temp_directory_path(error) : under;
    if (error) return fail(ErrorCode::io, "the folder for temporary files: {}", error.message());
    std::string name = (parent / "vmette-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) return fail_errno("create a temporary folder in " + parent.string());
    return TempDir(name);
}

TempDir& TempDir::operator=(TempDir&& other) noexcept {
    std::swap(path_, other.path_);
    return *this;
}

TempDir::~TempDir() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

}  // namespace vmette
