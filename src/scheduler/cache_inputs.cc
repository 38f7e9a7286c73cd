#include "scheduler/cache_inputs.h"

#include <algorithm>
#include <map>

#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/text.h"
#include "manifest/load.h"
#include "scheduler/host.h"

namespace vmette::scheduler {
namespace {

using nlohmann::json;

/// A value longer than this, in bytes, is kept as its beginning and its digest.
constexpr std::size_t kLongestValue = 200;
constexpr std::size_t kBeginning = 80;
/// Changes with the meaning of names or values: results stored under another one are not found.
constexpr std::string_view kKeyVersion = "vmette result 1\n";

std::string fit(std::string_view value) {
    std::string text = to_valid_utf8(value);
    // What was mended must not look like what another broken text was mended to.
    if (text.size() <= kLongestValue && text == value) return text;
    return fmt::format("{} sha256:{}", harmless_line(value, kBeginning), sha256_hex(value));
}

/// Collects inputs.
class Gathering {
public:
    Gathering(const InputHost& host, const manifest::Sandbox& sandbox) : host_(host), sandbox_(sandbox) {}

    Result<GatheredInputs> gather(const rootfs::Resolved& root) {
        add_keys();
        VMETTE_CHECK_OK(add_image(root));
        VMETTE_CHECK_OK(add_guest());
        VMETTE_CHECK_OK(add_storage());
        VMETTE_CHECK_OK(add_stdin());
        VMETTE_CHECK_OK(add_secrets());
        GatheredInputs out;
        for (auto& [name, value] : found_) out.inputs.push_back({name, std::move(value)});
        out.trees = std::move(trees_);
        return out;
    }

private:
    void add(const std::string& name, std::string_view value) { found_[name] = fit(value); }

    /// The manifest as it is, but for what is no input and for what is told by its content. A key that is new to the
    /// manifest counts until somebody says that it does not.
    void add_keys() {
        manifest::Sandbox plain = sandbox_;
        plain.labels.clear();
        plain.shares.clear();
        plain.disks.clear();
        plain.secrets.clear();
        plain.stdin_source = {};
        plain.vm.kernel.clear();
        plain.vm.initramfs.clear();
        plain.vm.ca_certs.clear();
        for (const auto& [name, value] : manifest::flat_keys(plain))
            if (name != "rootfs.source" && name != "rootfs.pull" && name != "stdin") add(name, value);
    }

    Result<> add_tree(const std::string& name, const std::filesystem::path& path) {
        VMETTE_TRY(auto tree, host_.trees.of(path, host_.cancelled));
        add(name, tree.digest);
        trees_.push_back(std::move(tree));
        return {};
    }

    Result<> add_image(const rootfs::Resolved& root) {
        const auto& config = root.config;
        if (config != rootfs::ImageConfig{})
            add("image.config", json{config.entrypoint, config.command, config.env, config.user, config.workdir}.dump(
                                    -1, ' ', false, json::error_handler_t::replace));
        if (root.kind == rootfs::RootKind::directory) return add_tree("image", root.path);
        add("image", root.digest);
        return {};
    }

    Result<> add_guest() {
        VMETTE_TRY(auto assets, chosen_assets(sandbox_.vm, find_assets()));
        VMETTE_TRY(auto kernel, remembered_digest(host_.store, assets.kernel));
        VMETTE_TRY(auto initramfs, remembered_digest(host_.store, assets.initramfs));
        add("vm.kernel", kernel);
        add("vm.initramfs", initramfs);
        VMETTE_TRY(auto setup, guest_setup(sandbox_, host_.layout, host_.environment));
        Sha256 certificates;
        for (const auto& text : setup.ca_certs) certificates.update(fmt::format("{}:{}", text.size(), text));
        if (!setup.ca_certs.empty()) add("vm.ca_certs", "sha256:" + certificates.hex());
        return {};
    }

    Result<> add_storage() {
        for (const auto& share : sandbox_.shares) {
            std::string name = "shares." + share.tag;
            add(name + ".guest", share.guest);
            add(name + ".mode", share.mode == manifest::ShareMode::ro ? "ro" : "overlay");
            if (share.mode == manifest::ShareMode::rw)
                return fail(ErrorCode::unsupported, "the share {} can be written", share.tag);
            VMETTE_CHECK_OK(add_tree(name, share.host));
        }
        for (std::size_t i = 0; i < sandbox_.disks.size(); ++i) {
            const auto& disk = sandbox_.disks[i];
            if (!disk.read_only) return fail(ErrorCode::unsupported, "the disk {} can be written", disk.path.string());
            add(fmt::format("disks[{}].guest", i), disk.guest);
            VMETTE_CHECK_OK(add_tree(fmt::format("disks[{}]", i), disk.path));
        }
        return {};
    }

    Result<> add_stdin() {
        if (sandbox_.stdin_source.mode == manifest::StdinMode::file)
            return add_tree("stdin", sandbox_.stdin_source.file);
        // A batch has nothing to inherit: its jobs find their stdin closed.
        add("stdin", sandbox_.stdin_source.mode == manifest::StdinMode::none ? "none" : "inherit");
        return {};
    }

    Result<> add_secrets() {
        for (const auto& secret : sandbox_.secrets) {
            auto value = secret.env.empty() ? std::nullopt : host_.environment(secret.env);
            if (!value) return fail(ErrorCode::bad_input, "the secret {} has no value", secret.name);
            add("secrets." + secret.name, "hmac:" + hmac_sha256_hex(host_.salt, secret.name + "\n" + *value));
        }
        return {};
    }

    const InputHost& host_;
    const manifest::Sandbox& sandbox_;
    std::map<std::string, std::string> found_;
    std::vector<TreeDigest> trees_;
};

}  // namespace

std::string to_json(const CacheInputs& inputs) {
    json out = json::array();
    for (const auto& [name, value] : inputs) out.push_back({name, value});
    return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<CacheInputs> cache_inputs_from_json(std::string_view text) {
    auto document = json::parse(text, nullptr, false);
    auto damaged = [] { return fail(ErrorCode::bad_input, "the inputs of a stored result are damaged"); };
    if (!document.is_array()) return damaged();
    CacheInputs inputs;
    for (const auto& pair : document) {
        if (!pair.is_array() || pair.size() != 2 || !pair[0].is_string() || !pair[1].is_string()) return damaged();
        inputs.push_back({pair[0].get<std::string>(), pair[1].get<std::string>()});
        if (inputs.size() > 1 && inputs[inputs.size() - 2].name >= inputs.back().name) return damaged();
    }
    return inputs;
}

std::string cache_key(const CacheInputs& inputs) {
    Sha256 hash;
    hash.update(kKeyVersion);
    for (const auto& [name, value] : inputs)
        hash.update(fmt::format("{}:{}{}:{}", name.size(), name, value.size(), value));
    return "sha256:" + hash.hex();
}

std::vector<InputChange> compare(const CacheInputs& before, const CacheInputs& after) {
    std::vector<InputChange> out;
    auto old = before.begin();
    auto fresh = after.begin();
    while (old != before.end() || fresh != after.end()) {
        bool only_old = fresh == after.end() || (old != before.end() && old->name < fresh->name);
        bool only_fresh = old == before.end() || (fresh != after.end() && fresh->name < old->name);
        if (only_old)
            out.push_back({old->name, old->value, ""});
        else if (only_fresh)
            out.push_back({fresh->name, "", fresh->value});
        else if (old->value != fresh->value)
            out.push_back({old->name, old->value, fresh->value});
        if (!only_fresh) ++old;
        if (!only_old) ++fresh;
    }
    return out;
}

Result<GatheredInputs> gather_inputs(const InputHost& host, const manifest::Sandbox& sandbox,
                                     const rootfs::Resolved& root) {
    return Gathering(host, sandbox).gather(root);
}

}  // namespace vmette::scheduler
