#pragma once
/// A cache of its own for each test, an index in memory, and helpers that run programs.

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "base/layout.h"
#include "base/units.h"
#include "rootfs/provider.h"

namespace vmette::rootfs {

/// The index as a list in memory. May be told to fail.
class MapIndex final : public ImageIndex {
public:
    std::optional<ImageRecord> find_source(const std::string& source) override;
    std::optional<ImageRecord> find_content(const std::string& content_digest) override;
    Result<> add(const ImageRecord& record) override;
    Result<> remove(const std::string& digest) override;

    std::vector<ImageRecord> records;  ///< oldest first
    int added = 0;
};

class RootfsTest : public testing::Test {
protected:
    RootfsTest();

    Context context() { return Context{.layout = layout, .index = index}; }
    Result<Resolved> resolve(const std::string& source) { return registry.resolve(source, context()); }
    /// The error of a source that must fail: "code: message".
    std::string error_of(const std::string& source, const Context& context) const;
    std::string error_of(const std::string& source) { return error_of(source, context()); }

    /// Writes a file into the test's folder and returns its path.
    std::filesystem::path write(const std::string& name, std::string_view content) const;
    /// Until the file's time can be trusted. It cannot be set; it is a few milliseconds old soon enough.
    static void wait_until_settled(const std::filesystem::path& path);
    /// All regular files in the folder of images, published or not.
    std::vector<std::filesystem::path> image_files() const;

    TempDir temp;
    std::filesystem::path dir;
    Layout layout;
    MapIndex index;
    Registry registry = Registry::with_builtin();
};

/// Runs a program to its end; its output, or a failed expectation and "".
std::string run_program(const std::vector<std::string>& argv);
std::string read_whole(const std::filesystem::path& path);
/// A short squashfs image made by mksquashfs from one file with this content.
std::filesystem::path make_squashfs(const std::filesystem::path& dir, const std::string& content);

}  // namespace vmette::rootfs
