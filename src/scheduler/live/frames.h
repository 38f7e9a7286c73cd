#pragma once
/// What is said on a run's control socket: frames, as bytes and back. Both ends belong to one user; all the same
/// nothing of a peer is trusted: sizes are checked by the header, before anything is kept.
///
/// A frame is `u32 length of the payload | u8 type | 3 zero bytes`, little-endian, and its payload. The client's first
/// frame is `request`, which begins with magic and version; the server answers `accepted` or `refused`.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace vmette::scheduler::live {

constexpr std::uint32_t kMagic = 0x6c746d76;  // "vmtl"
/// Raised with every change of a frame's meaning.
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kHeaderSize = 8;
/// A command with its arguments and environment; the guest takes no longer one.
constexpr std::size_t kMaxRequest = std::size_t{1} << 20;
/// Bytes of a stream go in pieces of at most so much.
constexpr std::size_t kMaxChunk = std::size_t{64} << 10;
/// Everything else.
constexpr std::size_t kMaxControl = 4096;

enum class Type : std::uint8_t {
    // client to server
    request = 1,
    in = 2,      ///< bytes for the command's stdin; only as many as there is credit for
    in_end = 3,  ///< its end
    signal = 4,  ///< u32: to the command's process group
    resize = 5,  ///< Size
    // server to client
    accepted = 32,  ///< Accepted
    refused = 33,   ///< Refused; the connection ends
    started = 34,   ///< the command runs
    out = 35,       ///< bytes it wrote
    err = 36,
    credit = 37,  ///< u32: so many bytes more of `in`
    exited = 38,  ///< CommandExit; the last frame of a command
    failed = 39,  ///< Refused: it could not be started, or its machine is gone
    ended = 40,   ///< u32: the run has ended, and `vmette up` ended with this code
};

/// What a client wants.
enum class Kind : std::uint8_t {
    watch = 1,   ///< nothing but to be told of the end
    stop = 2,    ///< end the run with grace (again: at once); then as watch
    exec = 3,    ///< a command beside the run's own
    pack = 4,    ///< a tree of the guest as a tar stream on `out`
    unpack = 5,  ///< a tar stream on `in`, put into the guest
};

struct Request {
    std::uint32_t magic = kMagic;
    std::uint32_t version = kVersion;
    std::uint8_t kind = 0;
    bool now = false;  ///< stop: without grace
    /// exec: the command. pack: the path. unpack: the destination, and the name of the tree in the stream (empty: any
    /// names).
    std::vector<std::string> argv;
    std::vector<std::string> env;              ///< "K=V", over that of the run's command
    std::optional<std::string> workdir, user;  ///< absent: those of the run's command
    bool tty = false;
    std::uint32_t columns = 80, rows = 24;
    bool stdin_open = false;
    bool operator==(const Request&) const = default;

    template <class C>
    void fields(C& c) {
        c(magic), c(version), c(kind), c(now), c(argv), c(env), c(workdir), c(user), c(tty), c(columns), c(rows),
            c(stdin_open);
    }
};

struct Accepted {
    std::uint32_t credit = 0;  ///< bytes of `in` that may be sent at once
    template <class C>
    void fields(C& c) {
        c(credit);
    }
};

/// Why not: a code of base/error.h by its number, and one line.
struct Refused {
    std::uint8_t code = 0;
    std::uint8_t exit_code = 0;  ///< of a command that could not be started: 125, 126 or 127; else 0
    std::string message;
    template <class C>
    void fields(C& c) {
        c(code), c(exit_code), c(message);
    }
};

struct Size {
    std::uint32_t columns = 0, rows = 0;
    template <class C>
    void fields(C& c) {
        c(columns), c(rows);
    }
};

struct Number {
    std::uint32_t value = 0;
    template <class C>
    void fields(C& c) {
        c(value);
    }
};

struct CommandExit {
    bool signaled = false;
    std::uint32_t code = 0;  ///< exit code, or the signal's number
    bool oom = false;
    template <class C>
    void fields(C& c) {
        c(signaled), c(code), c(oom);
    }
};

struct Frame {
    Type type{};
    std::string payload;
    bool operator==(const Frame&) const = default;
};

/// Header and payload. Requires that the payload is no longer than limit_of(type).
std::string encode_frame(Type type, std::string_view payload);
/// The longest payload of that type; nothing for a type that does not exist.
std::optional<std::size_t> limit_of(Type type);

/// Bytes in, frames out. One peer.
class FrameReader {
public:
    /// `from_client`: only a client's types are taken, else only a server's.
    explicit FrameReader(bool from_client) : from_client_(from_client) {}
    void feed(std::string_view bytes) { buffer_.append(bytes); }
    /// The next whole frame; nothing when more bytes are needed. `protocol` when the peer does not speak this: nothing
    /// may be fed after that.
    Result<std::optional<Frame>> next();
    /// True inside a frame.
    bool is_cut() const { return !buffer_.empty(); }

private:
    bool from_client_;
    std::string buffer_;
};

namespace detail {

class Packer {
public:
    void operator()(const bool& v) { bytes_.push_back(v ? 1 : 0); }
    void operator()(const std::uint8_t& v) { bytes_.push_back(static_cast<char>(v)); }
    void operator()(const std::uint32_t& v) {
        for (int i = 0; i < 4; ++i) bytes_.push_back(static_cast<char>(v >> (8 * i) & 0xFF));
    }
    void operator()(const std::string& v) {
        (*this)(static_cast<std::uint32_t>(v.size()));
        bytes_ += v;
    }
    void operator()(const std::optional<std::string>& v) {
        (*this)(v.has_value());
        if (v) (*this)(*v);
    }
    void operator()(const std::vector<std::string>& v) {
        (*this)(static_cast<std::uint32_t>(v.size()));
        for (const auto& item : v) (*this)(item);
    }
    std::string take() { return std::move(bytes_); }

private:
    std::string bytes_;
};

/// The first thing that does not fit makes it bad, and all that follows empty.
class Unpacker {
public:
    explicit Unpacker(std::string_view bytes) : rest_(bytes) {}
    void operator()(bool& v);
    void operator()(std::uint8_t& v);
    void operator()(std::uint32_t& v);
    void operator()(std::string& v);
    void operator()(std::optional<std::string>& v);
    void operator()(std::vector<std::string>& v);
    bool done() const { return !bad_ && rest_.empty(); }

private:
    std::string_view take(std::size_t size);
    std::string_view rest_;
    bool bad_ = false;
};

}  // namespace detail

template <class T>
std::string pack(T message) {
    detail::Packer packer;
    message.fields(packer);
    return packer.take();
}

/// Nothing when the bytes are not exactly such a message.
template <class T>
std::optional<T> unpack(std::string_view bytes) {
    T message;
    detail::Unpacker unpacker(bytes);
    message.fields(unpacker);
    if (!unpacker.done()) return std::nullopt;
    return message;
}

template <class T>
std::string encode_frame(Type type, const T& message)
    requires requires(T copy, detail::Packer& packer) { copy.fields(packer); }
{
    return encode_frame(type, std::string_view(pack(message)));
}

}  // namespace vmette::scheduler::live
