#pragma once
/// Work inside a tree that hostile hands laid out: every path is resolved within the tree (RESOLVE_IN_ROOT), so that a
/// symlink of the image leads nowhere else.

#include <sys/types.h>

#include <string>
#include <string_view>
#include <utility>

#include "support.h"

namespace vmette::guest {

/// A path without "." and empty parts, and without a leading slash; "" is the tree itself. Fails on "..", on a NUL and
/// on more than 4095 bytes.
Outcome<std::string> plain_path(std::string_view path);

/// "a/b/c" as ("a/b", "c").
std::pair<std::string, std::string> split_last(std::string_view plain);

class Tree {
public:
    /// Takes an O_PATH descriptor of the tree's top.
    explicit Tree(Fd top) : top_(std::move(top)) {}
    static Outcome<Tree> open(const char* path);

    /// openat2 within the tree; `flags` as of open(2), O_CLOEXEC is added. A null Fd when it cannot be opened (errno).
    Fd open_at(std::string_view plain, int flags) const;
    /// The folder at `path`, made with its parents when missing (mode 0755, the last one `mode`). O_PATH.
    Outcome<Fd> make_directory(std::string_view path, mode_t mode = 0755) const;
    /// Puts a file with this content at `path`, in place of whatever is there but a folder; parents are made.
    Outcome<> put_file(std::string_view path, std::string_view content, mode_t mode = 0644) const;
    /// mount(2) on the folder at `path`, which is made when missing.
    Outcome<> mount_at(std::string_view path, const std::string& source, const char* type, unsigned long flags,
                       const std::string& options) const;

private:
    Fd top_;
};

}  // namespace vmette::guest
