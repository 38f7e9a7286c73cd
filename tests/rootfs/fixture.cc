#include "rootfs/fixture.h"

#include <fcntl.h>
#include <stdlib.h>

#include <algorithm>

#include "base/fd.h"
#include "base/process.h"
#include "rootfs/file_validator.h"

namespace vmette::rootfs {

std::optional<ImageRecord> MapIndex::find_source(const std::string& source) {
    auto found = std::find_if(records.rbegin(), records.rend(), [&](const auto& r) { return r.source == source; });
    return found != records.rend() ? std::optional(*found) : std::nullopt;
}

std::optional<ImageRecord> MapIndex::find_content(const std::string& content_digest) {
    auto found = std::find_if(records.rbegin(), records.rend(),
                              [&](const auto& r) { return r.content_digest == content_digest; });
    return found != records.rend() ? std::optional(*found) : std::nullopt;
}

Result<> MapIndex::add(const ImageRecord& record) {
    std::erase_if(records, [&](const auto& r) { return r.source == record.source; });
    records.push_back(record);
    ++added;
    return {};
}

Result<> MapIndex::remove(const std::string& digest) {
    std::erase_if(records, [&](const auto& r) { return r.digest == digest; });
    return {};
}

RootfsTest::RootfsTest() : temp(TempDir::make().value()), dir(temp.path()) {
    layout.cache = dir / "cache";
    layout.state = dir / "state";
    layout.runtime = dir / "runtime";
    layout.config = dir / "config";
    ::setenv("VMETTE_LIBEXEC_DIR", VMETTE_TEST_LIBEXEC_DIR, 1);
}

std::string RootfsTest::error_of(const std::string& source, const Context& context) const {
    auto resolved = registry.resolve(source, context);
    if (resolved) return "no error";
    return fmt::format("{}: {}", to_string(resolved.error().code), resolved.error().text());
}

std::filesystem::path RootfsTest::write(const std::string& name, std::string_view content) const {
    auto path = dir / name;
    auto fd = open_file(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    EXPECT_TRUE(fd && write_all(fd->get(), content)) << path;
    return path;
}

void RootfsTest::wait_until_settled(const std::filesystem::path& path) {
    struct stat info{};
    do ASSERT_EQ(::stat(path.c_str(), &info), 0);
    while (!is_settled(info));
}

std::vector<std::filesystem::path> RootfsTest::image_files() const {
    std::vector<std::filesystem::path> files;
    std::error_code ignored;
    for (const auto& file : std::filesystem::directory_iterator(layout.images_dir(), ignored)) files.push_back(file);
    return files;
}

std::string run_program(const std::vector<std::string>& argv) {
    ProcessSpec spec;
    spec.argv = argv;
    auto captured = run_captured(spec, std::chrono::seconds(50), 16 * kMiB);
    if (!captured || !captured->ok()) {
        ADD_FAILURE() << argv[0] << ": " << (captured ? captured->err : captured.error().text());
        return "";
    }
    return captured->out;
}

std::string read_whole(const std::filesystem::path& path) {
    auto content = read_file(path, 1 << 30);
    EXPECT_TRUE(content) << path;
    return content.value_or("");
}

std::filesystem::path make_squashfs(const std::filesystem::path& dir, const std::string& content) {
    auto tree = dir / "squashfs-tree";
    std::filesystem::create_directories(tree);
    auto fd = open_file(tree / "file", O_WRONLY | O_CREAT | O_TRUNC, 0644);
    EXPECT_TRUE(fd && write_all(fd->get(), content));
    auto image = dir / "image.squashfs";
    run_program({"mksquashfs", tree.string(), image.string(), "-quiet", "-no-progress", "-noappend"});
    return image;
}

}  // namespace vmette::rootfs
