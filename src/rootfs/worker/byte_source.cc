#include "rootfs/worker/byte_source.h"

#include <lzma.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "base/units.h"

namespace vmette::rootfs {
namespace {

constexpr std::size_t kOutput = 256 * kKiB;
/// What a compressed archive may make its reader hold: the windows of `xz -9` (64 MiB) and `zstd --long` (128 MiB) fit.
constexpr std::uint64_t kMaxWindowMemory = 160 * kMiB;
constexpr int kMaxZstdWindowLog = 27;

Failure cut_short(std::string_view format) {
    return fail(ErrorCode::bad_image, "is cut short: its {} stream does not end", format);
}

Failure damaged(std::string_view format, std::string_view detail) {
    return fail(ErrorCode::bad_image, "is damaged: its {} stream is not valid ({})", format, detail);
}

Failure trailing_bytes(std::string_view format) {
    return fail(ErrorCode::bad_image, "is damaged: other bytes follow its {} stream", format);
}

/// A source with its first piece put back.
class Peeked final : public ByteSource {
public:
    Peeked(std::unique_ptr<ByteSource> inner, std::span<const std::byte> first)
        : inner_(std::move(inner)), first_(first) {}
    Result<std::span<const std::byte>> next() override {
        if (!first_.empty()) return std::exchange(first_, {});
        return inner_->next();
    }

private:
    std::unique_ptr<ByteSource> inner_;
    std::span<const std::byte> first_;
};

/// Shared by the decompressors: their input and their output buffer.
class Decompressor : public ByteSource {
protected:
    explicit Decompressor(std::unique_ptr<ByteSource> raw) : raw_(std::move(raw)), output_(kOutput) {}

    /// Makes input_ non-empty unless the raw stream is at its end.
    Result<> refill() {
        if (!input_.empty() || ended_) return {};
        VMETTE_TRY(input_, raw_->next());
        ended_ = input_.empty();
        return {};
    }
    /// Skips zero bytes, with which some media pad; true when there is nothing else left.
    Result<bool> only_padding_left() {
        while (true) {
            VMETTE_CHECK_OK(refill());
            auto other = std::find_if(input_.begin(), input_.end(), [](std::byte b) { return b != std::byte{0}; });
            input_ = input_.subspan(static_cast<std::size_t>(other - input_.begin()));
            if (!input_.empty()) return false;
            if (ended_) return true;
        }
    }

    std::unique_ptr<ByteSource> raw_;
    std::span<const std::byte> input_;
    bool ended_ = false;
    std::vector<std::byte> output_;
};

class GzipSource final : public Decompressor {
public:
    explicit GzipSource(std::unique_ptr<ByteSource> raw) : Decompressor(std::move(raw)) {
        // 15: the largest window; +16: gzip's header and checksum.
        ready_ = ::inflateInit2(&stream_, 15 + 16) == Z_OK;
    }
    ~GzipSource() override { ::inflateEnd(&stream_); }

    Result<std::span<const std::byte>> next() override {
        if (!ready_) return fail(ErrorCode::io, "cannot be decompressed: out of memory");
        stream_.next_out = reinterpret_cast<Bytef*>(output_.data());
        stream_.avail_out = static_cast<uInt>(output_.size());
        while (!done_ && stream_.avail_out > 0) {
            VMETTE_CHECK_OK(refill());
            if (input_.empty()) return cut_short("gzip");
            stream_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(input_.data()));
            stream_.avail_in = static_cast<uInt>(input_.size());
            int result = ::inflate(&stream_, Z_NO_FLUSH);
            input_ = input_.last(stream_.avail_in);
            if (result == Z_STREAM_END) {
                VMETTE_TRY(done_, only_padding_left());
                if (!done_ && input_[0] != std::byte{0x1f}) return trailing_bytes("gzip");
                if (!done_ && ::inflateReset(&stream_) != Z_OK) return damaged("gzip", "reset");
            } else if (result != Z_OK && result != Z_BUF_ERROR) {
                return damaged("gzip", stream_.msg != nullptr ? stream_.msg : "unknown error");
            }
        }
        return std::span<const std::byte>(output_).first(output_.size() - stream_.avail_out);
    }

private:
    z_stream stream_{};
    bool ready_ = false;
    bool done_ = false;
};

class ZstdSource final : public Decompressor {
public:
    explicit ZstdSource(std::unique_ptr<ByteSource> raw) : Decompressor(std::move(raw)), stream_(::ZSTD_createDCtx()) {
        if (stream_ != nullptr) ::ZSTD_DCtx_setParameter(stream_, ZSTD_d_windowLogMax, kMaxZstdWindowLog);
    }
    ~ZstdSource() override { ::ZSTD_freeDCtx(stream_); }

    Result<std::span<const std::byte>> next() override {
        if (stream_ == nullptr) return fail(ErrorCode::io, "cannot be decompressed: out of memory");
        ZSTD_outBuffer out{output_.data(), output_.size(), 0};
        while (out.pos < out.size) {
            VMETTE_CHECK_OK(refill());
            // Without input there may still be output left in the decoder, but only inside a frame.
            if (input_.empty() && !frame_open_) break;
            ZSTD_inBuffer in{input_.data(), input_.size(), 0};
            std::size_t before = out.pos;
            std::size_t result = ::ZSTD_decompressStream(stream_, &out, &in);
            input_ = input_.subspan(in.pos);
            if (::ZSTD_isError(result) != 0) return explain(result);
            frame_open_ = result != 0;
            if (in.pos == 0 && out.pos == before) break;
        }
        if (out.pos == 0 && frame_open_) return cut_short("zstd");
        return std::span<const std::byte>(output_).first(out.pos);
    }

private:
    static Failure explain(std::size_t result) {
        if (::ZSTD_getErrorCode(result) == ZSTD_error_frameParameter_windowTooLarge)
            return fail(ErrorCode::bad_image, "needs a window of more than {} to be decompressed",
                        human_size(std::uint64_t{1} << kMaxZstdWindowLog));
        return damaged("zstd", ::ZSTD_getErrorName(result));
    }

    ZSTD_DCtx* stream_;
    bool frame_open_ = false;
};

class XzSource final : public Decompressor {
public:
    explicit XzSource(std::unique_ptr<ByteSource> raw) : Decompressor(std::move(raw)) {
        ready_ = ::lzma_stream_decoder(&stream_, kMaxWindowMemory, LZMA_CONCATENATED) == LZMA_OK;
    }
    ~XzSource() override { ::lzma_end(&stream_); }

    Result<std::span<const std::byte>> next() override {
        if (!ready_) return fail(ErrorCode::io, "cannot be decompressed: out of memory");
        stream_.next_out = reinterpret_cast<std::uint8_t*>(output_.data());
        stream_.avail_out = output_.size();
        while (!done_ && stream_.avail_out > 0) {
            VMETTE_CHECK_OK(refill());
            stream_.next_in = reinterpret_cast<const std::uint8_t*>(input_.data());
            stream_.avail_in = input_.size();
            lzma_ret result = ::lzma_code(&stream_, ended_ ? LZMA_FINISH : LZMA_RUN);
            input_ = input_.last(stream_.avail_in);
            if (result == LZMA_STREAM_END) {
                done_ = true;
            } else if (result == LZMA_BUF_ERROR && ended_) {
                return cut_short("xz");
            } else if (result == LZMA_MEMLIMIT_ERROR) {
                return fail(ErrorCode::bad_image, "needs more than {} of memory to be decompressed",
                            human_size(kMaxWindowMemory));
            } else if (result != LZMA_OK && result != LZMA_BUF_ERROR) {
                return damaged("xz", fmt::format("error {}", static_cast<int>(result)));
            }
        }
        return std::span<const std::byte>(output_).first(output_.size() - stream_.avail_out);
    }

private:
    lzma_stream stream_ = LZMA_STREAM_INIT;
    bool ready_ = false;
    bool done_ = false;
};

bool starts_with(std::span<const std::byte> data, std::string_view magic) {
    return data.size() >= magic.size() && std::memcmp(data.data(), magic.data(), magic.size()) == 0;
}

}  // namespace

Result<std::span<const std::byte>> FdSource::next() {
    std::size_t filled = 0, wanted = std::min<std::uint64_t>(buffer_.size(), left_);
    while (filled < wanted) {
        ssize_t n = ::read(fd_, buffer_.data() + filled, wanted - filled);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno("read the archive");
        if (n == 0) break;
        filled += static_cast<std::size_t>(n);
    }
    left_ -= filled;
    return std::span<const std::byte>(buffer_).first(filled);
}

Result<std::unique_ptr<ByteSource>> decompressed(std::unique_ptr<ByteSource> raw) {
    VMETTE_TRY(auto first, raw->next());
    auto source = std::make_unique<Peeked>(std::move(raw), first);
    using namespace std::string_view_literals;
    if (starts_with(first, "\x1f\x8b"sv)) return std::make_unique<GzipSource>(std::move(source));
    if (starts_with(first, "\x28\xb5\x2f\xfd"sv)) return std::make_unique<ZstdSource>(std::move(source));
    if (starts_with(first,
                    "\xfd"
                    "7zXZ\0"sv))
        return std::make_unique<XzSource>(std::move(source));
    return source;
}

}  // namespace vmette::rootfs
