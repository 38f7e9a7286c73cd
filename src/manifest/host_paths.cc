#include "manifest/host_paths.h"

#include "base/text.h"

namespace vmette::manifest {
namespace fs = std::filesystem;
namespace {

fs::path normal(const fs::path& path) {
    fs::path out = path.lexically_normal();
    return out.has_filename() || out == out.root_path() ? out : out.parent_path();
}

std::string why(const fs::path& path, const std::error_code& error) {
    if (error == std::errc::no_such_file_or_directory) return fmt::format("{} does not exist", path.native());
    return fmt::format("{}: {}", path.native(), error.message());
}

}  // namespace

std::optional<HostPath> host_path(const std::string& text, Place place, Loading& loading) {
    HostPath out;
    fs::path written = text;
    if (text == "~" || text.starts_with("~/")) {
        out.anchor = loading.request.home;
        written = text.size() > 2 ? fs::path(text.substr(2)).relative_path() : fs::path();
        if (!out.anchor.is_absolute()) {
            loading.report.add(place, "\"{}\": there is no home folder", text);
            return std::nullopt;
        }
    } else {
        out.anchor = written.is_absolute() ? fs::path("/") : loading.origins[place.origin].folder;
    }
    out.anchor = normal(out.anchor);
    out.full = normal(out.anchor / written);
    if (!valid_utf8(out.full.native())) {
        loading.report.add(place, "the path {} is not valid UTF-8", out.full.native());
        return std::nullopt;
    }
    return out;
}

bool is_within(const fs::path& path, const fs::path& folder) {
    const std::string& inner = path.native();
    const std::string& outer = folder.native();
    if (outer == "/") return true;
    return inner.starts_with(outer) && (inner.size() == outer.size() || inner[outer.size()] == '/');
}

Result<fs::path> resolve_share(const HostPath& path, std::map<fs::path, fs::path>& real_folders) {
    fs::path common = path.anchor;
    while (!is_within(path.full, common)) common = common.parent_path();
    std::error_code error;
    auto [known, is_new] = real_folders.try_emplace(common);
    if (is_new) known->second = fs::canonical(common, error);
    if (error) {
        real_folders.erase(known);
        return fail(ErrorCode::not_found, "{}", why(common, error));
    }
    fs::path real = known->second;
    for (const fs::path& part : path.full.lexically_relative(common)) {
        if (part == ".") continue;
        fs::path next = real / part;
        fs::file_status status = fs::symlink_status(next, error);
        if (!fs::exists(status)) return fail(ErrorCode::not_found, "{}", why(path.full, error));
        if (!fs::is_symlink(status)) {
            real = next;
            continue;
        }
        fs::path target = fs::canonical(next, error);
        if (error) return fail(ErrorCode::not_found, "{}", why(next, error));
        if (!is_within(target, real))
            return fail(ErrorCode::bad_input,
                        "the symlink {} leads out of its folder, to {}; name that path itself if it is meant",
                        next.native(), target.native());
        real = target;
    }
    return real;
}

void expect_on_host(const fs::path& path, Expect what, std::string_view key, Place place, Loading& loading) {
    if (!loading.request.check_host) return;
    std::error_code error;
    fs::file_status status = fs::status(path, error);
    if (!fs::exists(status)) {
        if (!error) error = std::make_error_code(std::errc::no_such_file_or_directory);
        loading.report.add(place, "{}: {}", key, why(path, error));
    } else if (fs::is_directory(status) && what != Expect::anything) {
        loading.report.add(place, "{}: {} is a folder, not a file", key, path.native());
    } else if (what == Expect::disk && !fs::is_regular_file(status) && !fs::is_block_file(status)) {
        loading.report.add(place, "{}: {} is neither a file nor a block device", key, path.native());
    }
}

}  // namespace vmette::manifest
