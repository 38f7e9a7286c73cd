#pragma once
/// The one place that names everything vmette keeps on disk (the specification's "On disk").

#include <filesystem>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"

namespace vmette {

/// The state folders of one user. Plain values; nothing is created by making one.
struct Layout {
    std::filesystem::path cache;    ///< images, kernels built here; losing it costs only time
    std::filesystem::path state;    ///< the database, logs
    std::filesystem::path runtime;  ///< sockets and locks of live sessions
    std::filesystem::path config;   ///< config.toml, certs/

    std::filesystem::path database() const { return state / "vmette.db"; }
    /// Everything kept of one run: stdout.log, stderr.log, console.log, artifacts/.
    std::filesystem::path run_dir(std::string_view run_id) const { return state / "runs" / run_id; }
    /// Sockets and locks of one live run.
    std::filesystem::path live_dir(std::string_view run_id) const { return runtime / "runs" / run_id; }
    /// One immutable image: images/<sha256>.squashfs.
    std::filesystem::path image(std::string_view digest) const;
    std::filesystem::path images_dir() const { return cache / "images"; }
    std::filesystem::path downloads_dir() const { return cache / "downloads"; }
    /// Layers of images that are being pulled, named by their SHA-256.
    std::filesystem::path layers_dir() const { return cache / "layers"; }
    /// Lock files that serialise builders of one thing: locks/<name>.lock.
    std::filesystem::path lock(std::string_view name) const;
    /// Formatted, empty scratch disks, copied per run.
    std::filesystem::path scratch_templates_dir() const { return cache / "scratch"; }
    /// Booted guests that runs start from.
    std::filesystem::path snapshots_dir() const { return cache / "snapshots"; }
    std::filesystem::path config_file() const { return config / "config.toml"; }
    std::filesystem::path certs_dir() const { return config / "certs"; }
};

/// From VMETTE_*_DIR, else the XDG variables, else the home folder. Fails with `bad_input` when none names a place.
Result<Layout> layout_from_environment();

/// mkdir -p with mode 0700 for what is made.
Result<> make_private_dir(const std::filesystem::path& path);
/// `io` unless the file or folder is the caller's own and only the caller may write it.
Result<> require_private(const std::filesystem::path& path);
/// The same of an open file; `path` is for the message.
Result<> require_private(const Fd& file, const std::filesystem::path& path);
/// require_private() of a folder of the cache and of the cache around it: whoever may write one of them decides what is
/// found there. `not_found` when it is not there.
Result<> require_cache_dir(const std::filesystem::path& folder);
/// make_private_dir() and require_cache_dir(): before anything is read from a folder of the cache or written there.
Result<> make_cache_dir(const std::filesystem::path& folder);

/// A folder of our own under $TMPDIR (or `under`), removed with all it holds on destruction. Move-only.
class TempDir {
public:
    static Result<TempDir> make(const std::filesystem::path& under = {});
    TempDir(TempDir&& other) noexcept : path_(std::move(other.path_)) { other.path_.clear(); }
    TempDir& operator=(TempDir&& other) noexcept;
    ~TempDir();
    const std::filesystem::path& path() const { return path_; }

private:
    explicit TempDir(std::filesystem::path path) : path_(std::move(path)) {}
    std::filesystem::path path_;
};

}  // namespace vmette
