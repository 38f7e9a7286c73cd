#pragma once
/// Files by name in a folder or in a tar archive, for reading.

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "rootfs/image_cache.h"
#include "rootfs/provider.h"

namespace vmette::rootfs::oci {

/// A part of an open file; `fd` is the store's.
struct Member {
    int fd = -1;
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
    bool whole_file = false;
};

/// Move-only; keeps open what it has handed out.
class BlobStore {
public:
    /// `name` is for messages.
    static Result<BlobStore> open_folder(const std::filesystem::path& path);
    static Result<BlobStore> open_archive(const std::filesystem::path& path, const Context& context);
    /// The same of an open file, whose position is moved.
    static Result<BlobStore> open_archive(Fd file, std::string name, const Context& context);

    /// Nothing when there is no regular file of this name, reached without leaving the folder or archive.
    Result<std::optional<Member>> find(const std::string& name);
    /// The whole of a small one. Errors: `not_found`, `bad_image` when it is larger than `limit`.
    Result<std::string> read(const std::string& name, std::size_t limit);

    const std::string& name() const { return name_; }
    std::vector<Fd> take_files() && { return std::move(files_); }

private:
    struct Entry {
        Member member;
        std::string link;  ///< what it is a link to, from the archive's root; empty: it is none
    };
    /// Makes the entries, without their descriptors, of what the image worker says of the archive `fd`. They lie in
    /// `fd` itself, or with `contents` in that.
    Result<> list_archive(int fd, const StagedImage* contents, const Context& context);
    Result<> take_list(int list, std::uint64_t bytes);
    Result<> add_entry(std::string_view line, std::uint64_t bytes);

    std::string name_;
    Fd folder_;
    std::map<std::string, Entry> entries_;
    std::vector<Fd> files_;
    bool sparse_ = false;  ///< a member's bytes are not as they lie in the archive
};

}  // namespace vmette::rootfs::oci
