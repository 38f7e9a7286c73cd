#include "rootfs/oci/settings.h"

#include <array>

#include "base/settings_file.h"
#include "base/text.h"
#include "rootfs/oci/reference.h"

namespace vmette::rootfs::oci {
namespace {

constexpr std::array<std::string_view, 3> kCompressions{"zstd", "lz4", "gzip"};  // in the enum's order

class Reader {
public:
    explicit Reader(SettingsFile& file) : file_(file) {}

    ImageSettings read() {
        if (const toml::table* images = file_.table("images")) read_images(*images);
        if (const toml::table* registries = file_.table("registries"))
            for (auto&& [host, node] : *registries) read_registry(host, node);
        return std::move(settings_);
    }

private:
    void read_images(const toml::table& images) {
        constexpr std::array<std::string_view, 7> kKeys{"compression", "ttl",        "max_download", "max_unpacked",
                                                        "max_entries", "cache_size", "cache_age"};
        for (auto&& [key, node] : images) {
            std::string path = fmt::format("images.{}", key.str());
            if (key == "compression")
                read_compression(node, path);
            else if (key == "ttl")
                file_.read_age(node, path, settings_.ttl);
            else if (key == "max_download")
                read_bound(node, path, settings_.max_download);
            else if (key == "max_unpacked")
                read_bound(node, path, settings_.max_unpacked);
            else if (key == "max_entries")
                file_.read_count(node, path, settings_.max_entries);
            else if (key == "cache_size")
                file_.read_size(node, path, settings_.cache_size);
            else if (key == "cache_age")
                file_.read_age(node, path, settings_.cache_age);
            else
                file_.unknown_key(key, "images", kKeys);
        }
    }

    void read_compression(const toml::node& node, const std::string& path) {
        auto number = static_cast<std::size_t>(settings_.compression);
        file_.read_choice(node, path, kCompressions, number);
        settings_.compression = static_cast<Compression>(number);
    }

    /// A limit of 0 would let nothing through.
    void read_bound(const toml::node& node, const std::string& path, std::uint64_t& out) {
        if (file_.read_size(node, path, out) && out == 0) file_.add(node.source(), "{} must be more than 0", path);
    }

    void read_registry(const toml::key& host, const toml::node& node) {
        std::string path = fmt::format("registries.\"{}\"", harmless_line(host.str(), 100));
        std::string name(canonical_registry(host.str()));
        if (!is_registry_host(name))
            return file_.add(host.source(), "{}: no registry, which is a host, with or without a port", path);
        const toml::table* entry = node.as_table();
        if (entry == nullptr) return file_.must_be(node, path, "a table");
        auto [made, is_new] = settings_.registries.try_emplace(name);
        if (!is_new) return file_.add(host.source(), "{}: {} stands here under another name already", path, name);
        RegistrySettings& registry = made->second;
        constexpr std::array<std::string_view, 3> kKeys{"mirrors", "plain_http", "ca_certs"};
        for (auto&& [key, value] : *entry) {
            std::string where = fmt::format("{}.{}", path, key.str());
            if (key == "mirrors")
                read_mirrors(value, where, registry.mirrors);
            else if (key == "plain_http")
                file_.read_flag(value, where, registry.plain_http);
            else if (key == "ca_certs")
                file_.read_path(value, where, registry.ca_certs);
            else
                file_.unknown_key(key, path, kKeys);
        }
    }

    void read_mirrors(const toml::node& node, const std::string& path, std::vector<std::string>& out) {
        const toml::array* list = node.as_array();
        if (list == nullptr) return file_.must_be(node, path, "an array of strings");
        for (const toml::node& item : *list) {
            const auto* text = item.as_string();
            if (text == nullptr || !is_registry_host(text->get()))
                file_.add(item.source(), "{} must hold hosts, with or without a port, not {}", path, shown_value(item));
            else
                out.push_back(text->get());
        }
    }

    SettingsFile& file_;
    ImageSettings settings_;
};

}  // namespace

const ImageSettings& default_image_settings() {
    static const ImageSettings kDefaults;
    return kDefaults;
}

RegistrySettings ImageSettings::of(const std::string& registry) const {
    auto found = registries.find(std::string(canonical_registry(registry)));
    return found == registries.end() ? RegistrySettings{} : found->second;
}

ImageSettings read_image_settings(SettingsFile& file) { return Reader(file).read(); }

Result<ImageSettings> load_image_settings(const std::filesystem::path& config_file) {
    VMETTE_TRY(auto file, SettingsFile::read(config_file));
    ImageSettings settings = read_image_settings(file);
    VMETTE_CHECK_OK(file.verdict());
    return settings;
}

}  // namespace vmette::rootfs::oci
