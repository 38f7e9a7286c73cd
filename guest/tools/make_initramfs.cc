/// Writes an initramfs: a newc cpio archive, the same bytes for the same files.
///
///     make_initramfs OUT FOLDER/ … PATH=FILE …
///
/// Each PATH is a regular file (mode 0755) with the content of FILE; "FOLDER/" is a folder; /dev/console is added,
/// which the kernel opens before init runs. Needs no privilege: device nodes are only headers here.

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace {

struct Entry {
    std::string path;
    std::uint32_t mode = 0;
    std::uint32_t device_major = 0, device_minor = 0;
    std::string content;
};

constexpr std::uint32_t kFolder = 0040755, kFile = 0100755, kConsole = 0020600;

void pad(std::string& out) { out.resize((out.size() + 3) / 4 * 4, '\0'); }

/// The format's fields, in its order (Documentation/driver-api/early-userspace/buffer-format.rst).
void append(std::string& out, const Entry& entry, std::uint32_t inode) {
    const std::uint32_t fields[] = {inode,
                                    entry.mode,
                                    0,
                                    0,
                                    1,
                                    0,
                                    static_cast<std::uint32_t>(entry.content.size()),
                                    0,
                                    0,
                                    entry.device_major,
                                    entry.device_minor,
                                    static_cast<std::uint32_t>(entry.path.size() + 1),
                                    0};
    out += "070701";
    for (std::uint32_t field : fields) {
        char hex[9];
        std::snprintf(hex, sizeof hex, "%08X", field);
        out += hex;
    }
    out += entry.path;
    out += '\0';
    pad(out);
    out += entry.content;
    pad(out);
}

bool read_into(const std::string& path, std::string& content) {
    std::ifstream in(path, std::ios::binary);
    if (!in) return false;
    content.assign(std::istreambuf_iterator<char>(in), {});
    return !in.bad();
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) {
        std::fputs("usage: make_initramfs OUT FOLDER/ ... PATH=FILE ...\n", stderr);
        return 2;
    }
    std::vector<Entry> entries{{"dev", kFolder, 0, 0, {}}, {"dev/console", kConsole, 5, 1, {}}};
    for (int i = 2; i < argc; ++i) {
        const std::string argument = argv[i];
        std::size_t equals = argument.find('=');
        if (argument.ends_with('/')) {
            entries.push_back({argument.substr(0, argument.size() - 1), kFolder, 0, 0, {}});
            continue;
        }
        Entry entry{argument.substr(0, equals), kFile, 0, 0, {}};
        if (equals == argument.npos || !read_into(argument.substr(equals + 1), entry.content)) {
            std::fprintf(stderr, "make_initramfs: cannot read \"%s\"\n", argument.c_str());
            return 1;
        }
        entries.push_back(std::move(entry));
    }
    std::string archive;
    std::uint32_t inode = 1;
    for (const Entry& entry : entries) append(archive, entry, inode++);
    append(archive, Entry{"TRAILER!!!", 0, 0, 0, {}}, 0);

    std::ofstream out(argv[1], std::ios::binary | std::ios::trunc);
    out.write(archive.data(), static_cast<std::streamsize>(archive.size()));
    if (!out.flush()) {
        std::fprintf(stderr, "make_initramfs: cannot write %s\n", argv[1]);
        return 1;
    }
    return 0;
}
