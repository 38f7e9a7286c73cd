#include "rootfs/oci/layer_fetch.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "rootfs/oci/pull_protocol.h"

namespace vmette::rootfs::oci {
namespace {

constexpr std::string_view kDigestPrefix = "sha256:";
/// Another process may remove a layer between its download and its opening, once it has merged it.
constexpr int kMaxRounds = 3;

std::string hex_of(const std::string& digest) { return digest.substr(kDigestPrefix.size()); }

/// No descriptor when it is not there.
Result<Fd> open_if_there(const std::filesystem::path& path) {
    auto fd = open_file(path, O_RDONLY | O_NOFOLLOW);
    if (!fd && fd.error().code == ErrorCode::not_found) return Fd();
    return fd;
}

}  // namespace

LayerFetch::LayerFetch(RegistryClient& client, std::vector<Descriptor> layers) : client_(client) {
    for (Descriptor& layer : layers) layers_.push_back({std::move(layer), {}, {}});
    client_.on_progress([this](const ProgressLine& line) {
        auto at = parse_number(line.item);
        if (!at || *at >= asked_.size()) return;
        const Descriptor& layer = asked_[*at];
        if (line.done == layer.size) look_again_ = true;
        const auto& progress = client_.context().progress;
        if (progress) progress(Progress{"download", line.done, layer.size, layer.digest});
    });
}

LayerFetch::~LayerFetch() { client_.on_progress({}); }

/// No descriptor when it is not there, or not whole.
Result<Fd> LayerFetch::open_layer(const Descriptor& layer) const {
    VMETTE_TRY(Fd fd, open_if_there(client_.context().layout.layers_dir() / hex_of(layer.digest)));
    if (!fd) return fd;
    struct stat info{};
    if (::fstat(fd.get(), &info) != 0) return fail_errno("look at a layer");
    bool whole = S_ISREG(info.st_mode) && static_cast<std::uint64_t>(info.st_size) == layer.size;
    return whole ? std::move(fd) : Fd();
}

/// As early as can be: another process may remove a layer as soon as it has merged it.
Result<> LayerFetch::open_whole() {
    look_again_ = false;
    for (Wanted& layer : layers_) {
        if (layer.whole) continue;
        VMETTE_TRY(layer.whole, open_layer(layer.descriptor));
    }
    return {};
}

Result<> LayerFetch::ask_for_missing() {
    if (rounds_++ == kMaxRounds) return fail(ErrorCode::io, "{}: its layers vanish from the cache", client_.name());
    Fields request{{words::kDo, words::kLayers}};
    for (const Wanted& layer : layers_) {
        auto same = [&](const auto& other) { return other.digest == layer.descriptor.digest; };
        if (layer.whole || std::any_of(asked_.begin(), asked_.end(), same)) continue;
        request[words::kLayer + std::to_string(asked_.size())] =
            fmt::format("{} {}", hex_of(layer.descriptor.digest), layer.descriptor.size);
        asked_.push_back(layer.descriptor);
    }
    return client_.begin(request);
}

Result<bool> LayerFetch::advance() {
    if (!asked_.empty()) {
        VMETTE_TRY(auto answer, client_.answer());
        if (look_again_) VMETTE_CHECK_OK(open_whole());
        if (!answer) return false;
        asked_.clear();
    }
    VMETTE_CHECK_OK(open_whole());
    if (std::all_of(layers_.begin(), layers_.end(), [](const auto& layer) { return bool(layer.whole); })) return true;
    VMETTE_CHECK_OK(ask_for_missing());
    return false;
}

Result<bool> LayerFetch::step() {
    if (failed_) return Failure(*failed_);
    auto whole = advance();
    if (!whole) failed_ = whole.error();
    return whole;
}

Result<> LayerFetch::wait() {
    while (true) {
        VMETTE_TRY(bool whole, step());
        if (whole) return {};
        auto answer = client_.wait();
        if (!answer) {
            failed_ = answer.error();
            return Failure(*failed_);
        }
        asked_.clear();
    }
}

Result<int> LayerFetch::look(std::size_t index) {
    Wanted& layer = layers_.at(index);
    if (!layer.whole && !layer.part) {
        VMETTE_TRY(layer.whole, open_layer(layer.descriptor));
    }
    if (!layer.whole && !layer.part) {
        auto name = hex_of(layer.descriptor.digest) + ".part";
        VMETTE_TRY(layer.part, open_if_there(client_.context().layout.layers_dir() / name));
    }
    return layer.whole ? layer.whole.get() : layer.part.get();
}

void forget_layers(const Manifest& manifest, const Layout& layout) {
    for (const Descriptor& layer : manifest.layers) ::unlink((layout.layers_dir() / hex_of(layer.digest)).c_str());
}

}  // namespace vmette::rootfs::oci
