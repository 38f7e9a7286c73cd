#include <cstdlib>

#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "scheduler/run.h"

namespace vmette::scheduler {
namespace {

constexpr std::string_view kArchitecture = "x86_64";
constexpr std::size_t kMaxDescription = 64 * 1024;

Result<Assets> read_assets(const std::filesystem::path& folder) {
    auto description = folder / "assets.json";
    VMETTE_TRY(std::string text, read_file(description, kMaxDescription));
    auto json = nlohmann::json::parse(text, nullptr, false);
    if (!json.is_object()) return fail(ErrorCode::bad_input, "{} is not a JSON object", description.string());
    auto name = [&](const char* key, const char* otherwise) {
        auto found = json.find(key);
        return found != json.end() && found->is_string() ? found->get<std::string>() : std::string(otherwise);
    };
    auto flag = [&](const char* key) {
        auto found = json.find(key);
        return found != json.end() && found->is_boolean() && found->get<bool>();
    };
    Assets assets;
    assets.kernel = folder / name("kernel", "vmlinux");
    assets.initramfs = folder / name("initramfs", "initramfs.cpio");
    assets.kernel_has_timer_patch = flag("timer_patch");
    assets.kernel_has_mmio_cmdline = flag("mmio_cmdline");
    assets.origin = name("kernel_origin", "");
    return assets;
}

}  // namespace

Result<Assets> find_assets() {
    if (const char* named = ::getenv("VMETTE_ASSETS_DIR"); named != nullptr && *named != '\0') {
        auto assets = read_assets(named);
        if (!assets) return Failure(assets.error().because("VMETTE_ASSETS_DIR does not hold a guest"));
        return assets;
    }
    std::error_code error;
    auto binary = std::filesystem::read_symlink("/proc/self/exe", error);
    auto shared = std::filesystem::path("share/vmette") / kArchitecture;
    // Installed: <prefix>/bin/vmette and <prefix>/share; in the build tree: <build>/vmette and <build>/share.
    for (auto base : {binary.parent_path().parent_path(), binary.parent_path()})
        if (std::filesystem::exists(base / shared / "assets.json", error)) return read_assets(base / shared);
    return fail(ErrorCode::not_found,
                "there is no guest kernel: `./dev guest` makes one, or set VMETTE_ASSETS_DIR to a folder that holds "
                "vmlinux, initramfs.cpio and assets.json");
}

}  // namespace vmette::scheduler
