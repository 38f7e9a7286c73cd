#include "image.h"

#include <stdlib.h>

#include <fstream>

#include "base/process.h"

namespace vmette::guest_test {

namespace fs = std::filesystem;

namespace {

Result<> run_tool(std::vector<std::string> argv) {
    ProcessSpec spec;
    spec.argv = std::move(argv);
    std::string name = spec.argv[0];
    VMETTE_TRY(Captured done, run_captured(std::move(spec), std::chrono::seconds(60)));
    if (!done.ok()) return fail(ErrorCode::io, "{}: {}", name, done.err);
    return {};
}

}  // namespace

ScratchFolder::ScratchFolder() {
    std::string name = (fs::temp_directory_path() / "vmette-guest-XXXXXX").string();
    if (mkdtemp(name.data()) != nullptr) path_ = name;
}

ScratchFolder::~ScratchFolder() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
}

void write_file(const fs::path& path, std::string_view content) {
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << content;
}

std::string read_text(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

Result<> write_root(const fs::path& folder) {
    auto busybox = find_program("busybox");
    if (!busybox) return fail(ErrorCode::not_found, "busybox is not installed (Debian package busybox-static)");
    for (const char* name : {"bin", "etc", "proc", "sys", "dev", "run", "tmp", "etc/ssl/certs"})
        fs::create_directories(folder / name);
    fs::copy_file(*busybox, folder / "bin/busybox");
    for (const char* name : {"sh",    "cat", "echo", "true", "sleep",  "dd",  "mount", "id",   "env",  "head",
                             "tr",    "wc",  "stty", "ip",   "grep",   "df",  "touch", "stat", "date", "hostname",
                             "mkdir", "ln",  "rm",   "tty",  "printf", "yes", "seq",   "ls",   "awk",  "ulimit"})
        fs::create_symlink("busybox", folder / "bin" / name);
    write_file(folder / "etc/passwd", "root:x:0:0::/root:/bin/sh\nagent:x:1000:1000::/home/agent:/bin/sh\n");
    write_file(folder / "etc/group", "root:x:0:\nagent:x:1000:\naudio:x:29:agent\n");
    write_file(folder / "etc/ssl/certs/ca-certificates.crt", "OLD\n");
    return {};
}

Result<> pack(const fs::path& folder, const fs::path& image) {
    return run_tool({"mksquashfs", folder, image, "-comp", "lz4", "-all-root", "-noappend", "-quiet", "-no-progress"});
}

Result<> make_ext4(const fs::path& image, std::uint64_t fs_bytes, std::uint64_t disk_bytes) {
    write_file(image, "");
    fs::resize_file(image, fs_bytes);
    VMETTE_CHECK_OK(run_tool({"mkfs.ext4", "-q", "-F", "-O", "^has_journal", image}));
    fs::resize_file(image, disk_bytes);
    return {};
}

}  // namespace vmette::guest_test
