#include <stdlib.h>

#include <algorithm>

#include "base/text.h"
#include "rootfs/builtin.h"

namespace vmette::rootfs {
namespace {

constexpr std::string_view kPrefix = "dir:";

bool is_path(std::string_view source) {
    for (std::string_view start : {"/", "./", "../", "~/"})
        if (source.starts_with(start)) return true;
    return source == "." || source == ".." || source == "~" || source.starts_with(kPrefix);
}

Result<std::filesystem::path> spelled_path(std::string_view source) {
    if (source.starts_with(kPrefix)) source.remove_prefix(kPrefix.size());
    if (source.empty()) return fail(ErrorCode::bad_input, "dir: names no folder");
    if (source != "~" && !source.starts_with("~/")) return std::filesystem::path(source);
    const char* home = ::getenv("HOME");
    if (home == nullptr || *home == 0)
        return fail(ErrorCode::bad_input, "the rootfs folder {} is in the home folder, but HOME is not set",
                    harmless_line(source));
    return std::filesystem::path(home) / source.substr(std::min<std::size_t>(source.size(), 2));
}

/// True when `path` is `folder` or lies in it; both canonical.
bool lies_in(const std::filesystem::path& path, const std::filesystem::path& folder) {
    return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first == folder.end();
}

/// How a file that somebody took for a folder is named, by its name's end.
std::string_view kind_of_file(const std::filesystem::path& path) {
    auto extension = path.extension();
    return extension == ".squashfs" || extension == ".sqfs" || extension == ".sfs" ? "squashfs" : "tar";
}

/// The folder itself, without links; it is there.
Result<std::filesystem::path> find_folder(const std::string& source) {
    VMETTE_TRY(auto spelled, spelled_path(source));
    std::string shown = harmless_line(source);
    std::error_code error;
    auto path = std::filesystem::canonical(spelled, error);
    if (error == std::errc::no_such_file_or_directory)
        return fail(ErrorCode::not_found, "the rootfs folder {} does not exist", shown);
    if (error) return fail(ErrorCode::io, "the rootfs folder {}: {}", shown, error.message());
    if (!std::filesystem::is_directory(path, error))
        return fail(ErrorCode::bad_input, "the rootfs {} is not a folder; name the file as {}+file://{}", shown,
                    kind_of_file(path), harmless_line(path.string()));
    return path;
}

class DirProvider final : public Provider {
public:
    std::string_view name() const override { return "dir"; }
    std::string_view spellings() const override {
        return "./folder, ../folder, /folder, ~/folder, dir:folder, or the name of a folder that is there";
    }
    bool matches(const std::string& source) const override {
        std::error_code ignored;
        return is_path(source) || std::filesystem::is_directory(source, ignored);
    }
    Result<> check(const std::string& source) const override {
        VMETTE_CHECK_OK(find_folder(source));
        return {};
    }
    Result<Resolved> resolve(const std::string& source, const Context& context) const override;
};

Result<Resolved> DirProvider::resolve(const std::string& source, const Context& context) const {
    VMETTE_TRY(auto path, find_folder(source));
    std::string shown = harmless_line(source);
    std::error_code error;
    if (path == "/")
        return fail(ErrorCode::bad_input, "the rootfs folder {} is the host's own root, which no guest may see", shown);
    const Layout& layout = context.layout;
    for (const auto& own : {layout.cache, layout.state, layout.runtime, layout.config}) {
        auto canonical = std::filesystem::weakly_canonical(own, error);
        if (error || canonical.empty()) continue;
        if (lies_in(path, canonical) || lies_in(canonical, path))
            return fail(ErrorCode::bad_input,
                        "the rootfs folder {} {} {}, one of vmette's own folders, which no guest may see", shown,
                        lies_in(path, canonical) ? "lies in" : "holds", harmless_line(canonical.string()));
    }
    Resolved out;
    out.kind = RootKind::directory;
    out.path = path;
    out.provider = name();
    out.source = source;
    return out;
}

}  // namespace

std::unique_ptr<Provider> make_dir_provider() { return std::make_unique<DirProvider>(); }

}  // namespace vmette::rootfs
