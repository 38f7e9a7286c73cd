#include "rootfs/worker/layer_download.h"

#include <algorithm>
#include <memory>
#include <optional>

#include "base/text.h"
#include "rootfs/worker/part_file.h"

namespace vmette::rootfs {
namespace {

using Steady = std::chrono::steady_clock;

constexpr std::size_t kMaxAtOnce = 6;
constexpr std::chrono::milliseconds kLockPoll{100};

class LayerDownload final : public BodyTaker {
public:
    LayerDownload(RegistrySession& session, int folder, WantedLayer layer, std::function<void(std::uint64_t)> progress)
        : session_(session), folder_(folder), layer_(std::move(layer)), progress_(std::move(progress)) {}

    bool done() const { return stage_ == Stage::done; }
    bool active() const { return stage_ == Stage::hashing || stage_ == Stage::fetching; }
    bool hashing() const { return stage_ == Stage::hashing; }
    Result<> step(bool may_begin);

    std::uint64_t offset() const override { return part_->bytes(); }
    bool full() const override { return part_->bytes() == layer_.size; }
    Result<> begin(const HttpAnswer& answer, std::optional<std::uint64_t> length) override;
    Result<> take(std::string_view piece) override;
    Result<bool> finish() override;

private:
    enum class Stage { waiting, hashing, fetching, done };
    Result<> try_to_begin();
    Result<> start_fetching();
    Failure wrong(std::string_view what) const { return fail(ErrorCode::bad_image, "{} {}", subject(), what); }
    std::string subject() const { return "the layer sha256:" + layer_.hex; }

    RegistrySession& session_;
    int folder_;
    WantedLayer layer_;
    std::function<void(std::uint64_t)> progress_;
    Stage stage_ = Stage::waiting;
    MonotonicTime next_look_{};
    std::optional<PartFile> part_;
    bool joined_ = false;     ///< the part holds bytes of more than one answer
    bool restarted_ = false;  ///< because what was joined did not fit
    std::unique_ptr<RegistryGet> get_;
};

Result<> LayerDownload::try_to_begin() {
    next_look_ = Steady::now() + kLockPoll;
    VMETTE_TRY(auto opened, PartFile::open(folder_, layer_.hex, layer_.size));
    if (opened.state == PartFile::State::busy) return {};
    if (opened.state == PartFile::State::whole) {
        stage_ = Stage::done;
        progress_(layer_.size);
        return {};
    }
    part_ = std::move(opened.part);
    stage_ = Stage::hashing;
    return {};
}

/// What is there has been hashed.
Result<> LayerDownload::start_fetching() {
    stage_ = Stage::fetching;
    if (part_->bytes() == layer_.size) {
        // An earlier process has ended after its last byte.
        joined_ = true;
        VMETTE_TRY(bool whole, finish());
        if (whole) {
            stage_ = Stage::done;
            return {};
        }
    }
    get_ = std::make_unique<RegistryGet>(session_, subject(), "/blobs/sha256:" + layer_.hex,
                                         std::vector<std::string>{"Accept: */*"}, *this);
    return {};
}

Result<> LayerDownload::step(bool may_begin) {
    if (stage_ == Stage::waiting && may_begin && Steady::now() >= next_look_) VMETTE_CHECK_OK(try_to_begin());
    if (stage_ == Stage::hashing) {
        VMETTE_TRY(bool hashed, part_->rehash_some());
        if (hashed) VMETTE_CHECK_OK(start_fetching());
    }
    if (stage_ != Stage::fetching) return {};
    get_->step();
    if (!get_->done()) return {};
    if (get_->error()) return Failure(*get_->error());
    stage_ = Stage::done;
    part_.reset();
    return {};
}

Result<> LayerDownload::begin(const HttpAnswer& answer, std::optional<std::uint64_t> length) {
    if (answer.status == 206) {
        auto range = answer.headers.find("content-range");
        std::string said = range != answer.headers.end() ? range->second : "";
        if (!said.starts_with(fmt::format("bytes {}-", part_->bytes())))
            return fail(ErrorCode::network, "{} is answered with another range than the one asked for ({})", subject(),
                        harmless_line(said, 80));
    } else if (part_->bytes() > 0) {
        VMETTE_CHECK_OK(part_->clear());
    }
    joined_ = part_->bytes() > 0;
    if (length && *length != layer_.size - part_->bytes())
        return wrong(fmt::format("is of {} bytes, but its manifest says {}", part_->bytes() + *length, layer_.size));
    return {};
}

Result<> LayerDownload::take(std::string_view piece) {
    if (piece.size() > layer_.size - part_->bytes()) {
        VMETTE_CHECK_OK(part_->clear());
        return wrong(fmt::format("does not end after the {} bytes that its manifest says", layer_.size));
    }
    VMETTE_CHECK_OK(part_->append(piece));
    progress_(part_->bytes());
    return {};
}

Result<bool> LayerDownload::finish() {
    if (part_->bytes() < layer_.size) return false;
    if (part_->matches()) {
        VMETTE_CHECK_OK(part_->publish());
        progress_(layer_.size);
        return true;
    }
    VMETTE_CHECK_OK(part_->clear());
    // It may be an earlier piece that is wrong: of an earlier process, or of a mirror.
    if (joined_ && !std::exchange(restarted_, true)) return false;
    return wrong("has another content than its digest says");
}

}  // namespace

Result<> download_layers(RegistrySession& session, int folder, const std::vector<WantedLayer>& layers,
                         const LayerProgress& progress) {
    constexpr std::chrono::milliseconds kTick{50};
    std::vector<std::unique_ptr<LayerDownload>> downloads;
    downloads.reserve(layers.size());
    for (std::size_t i = 0; i < layers.size(); ++i)
        downloads.push_back(std::make_unique<LayerDownload>(
            session, folder, layers[i], [&progress, i](std::uint64_t bytes) { progress(i, bytes); }));
    while (true) {
        for (auto& download : downloads) {
            // None waits for a lock while it keeps others from what it holds: so no two processes wait for each other.
            auto active = std::count_if(downloads.begin(), downloads.end(), [](const auto& d) { return d->active(); });
            VMETTE_CHECK_OK(download->step(static_cast<std::size_t>(active) < kMaxAtOnce));
        }
        if (std::all_of(downloads.begin(), downloads.end(), [](const auto& d) { return d->done(); })) return {};
        bool hashing = std::any_of(downloads.begin(), downloads.end(), [](const auto& d) { return d->hashing(); });
        session.http->step(hashing ? std::chrono::milliseconds(0) : kTick);
    }
}

}  // namespace vmette::rootfs
