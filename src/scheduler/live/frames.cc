#include "scheduler/live/frames.h"

namespace vmette::scheduler::live {
namespace {

std::uint32_t number_at(std::string_view bytes) {
    std::uint32_t value = 0;
    for (unsigned i = 0; i < 4; ++i) value |= std::uint32_t{static_cast<std::uint8_t>(bytes[i])} << (8 * i);
    return value;
}

bool is_clients(Type type) { return static_cast<std::uint8_t>(type) < static_cast<std::uint8_t>(Type::accepted); }

}  // namespace

std::optional<std::size_t> limit_of(Type type) {
    switch (type) {
        case Type::request:
            return kMaxRequest;
        case Type::in:
        case Type::out:
        case Type::err:
            return kMaxChunk;
        case Type::in_end:
        case Type::signal:
        case Type::resize:
        case Type::accepted:
        case Type::refused:
        case Type::started:
        case Type::credit:
        case Type::exited:
        case Type::failed:
        case Type::ended:
            return kMaxControl;
    }
    return std::nullopt;
}

std::string encode_frame(Type type, std::string_view payload) {
    detail::Packer packer;
    packer(static_cast<std::uint32_t>(payload.size()));
    std::string out = packer.take();
    out += static_cast<char>(type);
    out.append(3, '\0');
    out += payload;
    return out;
}

Result<std::optional<Frame>> FrameReader::next() {
    if (buffer_.size() < kHeaderSize) return std::nullopt;
    std::size_t length = number_at(buffer_);
    auto type = static_cast<Type>(buffer_[4]);
    auto limit = limit_of(type);
    if (!limit || is_clients(type) != from_client_ || buffer_.compare(5, 3, std::string_view("\0\0\0", 3)) != 0)
        return fail(ErrorCode::protocol, "the peer does not speak the protocol of a run's socket");
    if (length > *limit) return fail(ErrorCode::protocol, "a frame of {} bytes, where {} are allowed", length, *limit);
    if (buffer_.size() < kHeaderSize + length) return std::nullopt;
    Frame frame{type, buffer_.substr(kHeaderSize, length)};
    buffer_.erase(0, kHeaderSize + length);
    return frame;
}

namespace detail {

std::string_view Unpacker::take(std::size_t size) {
    if (size > rest_.size()) bad_ = true;
    if (bad_) return {};
    auto out = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return out;
}

void Unpacker::operator()(std::uint8_t& v) {
    auto bytes = take(1);
    v = bytes.empty() ? 0 : static_cast<std::uint8_t>(bytes[0]);
}

void Unpacker::operator()(bool& v) {
    std::uint8_t byte = 0;
    (*this)(byte);
    if (byte > 1) bad_ = true;
    v = byte == 1;
}

void Unpacker::operator()(std::uint32_t& v) {
    auto bytes = take(4);
    v = bytes.empty() ? 0 : number_at(bytes);
}

void Unpacker::operator()(std::string& v) {
    std::uint32_t size = 0;
    (*this)(size);
    v = take(size);
}

void Unpacker::operator()(std::optional<std::string>& v) {
    bool there = false;
    (*this)(there);
    v.reset();
    if (there) (*this)(v.emplace());
}

void Unpacker::operator()(std::vector<std::string>& v) {
    std::uint32_t count = 0;
    (*this)(count);
    // Each takes four bytes at least: a count beyond that is a lie, and nothing is set aside for it.
    if (count > rest_.size() / 4) bad_ = true;
    v.clear();
    for (; !bad_ && count > 0; --count) (*this)(v.emplace_back());
}

}  // namespace detail
}  // namespace vmette::scheduler::live
