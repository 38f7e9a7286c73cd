#pragma once
/// The wire between host and guest: one header for both sides, so that they cannot differ.
///
/// One virtio-serial port (named kPortName) carries frames both ways. A frame is a header of 8 bytes, little-endian,
///
///     u32 payload length (at most kMaxPayload) | u8 type | u8 flags (0) | u16 stream
///
/// and its payload. The guest's first frame is `hello`, the host's `setup`; both begin with magic and version, which
/// stay where they are in every version. Stream 0 is the session; stream n > 0 belongs to command n; streams from
/// kFirstCallStream on are calls, which programs of the guest make to the host. Payloads are flat
/// sequences of integers (little-endian), and of strings and lists prefixed by a u32 length or count. Bulk data (stdin,
/// stdout, stderr, artifacts) is flow-controlled by credit: a side sends only what the other has granted, so that one
/// stream that nobody reads never holds up the others.
///
/// The guest is hostile: the host checks every length, count and state; so does the guest, because it is cheap.
/// No dependency but the standard library's headers that need no runtime: the guest has neither exceptions nor RTTI.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vmette::wire {

/// Raised with every change of a frame's meaning; a mismatch ends the run as vm-error.
constexpr std::uint32_t kVersion = 5;
constexpr std::uint32_t kMagic = 0x74746d76;  // "vmtt"
constexpr char kPortName[] = "vmette.ctl";
constexpr std::size_t kHeaderSize = 8;
constexpr std::size_t kMaxPayload = std::size_t{1} << 20;
/// Bulk data goes in pieces of at most so much, so that control frames never wait long.
constexpr std::size_t kMaxChunk = std::size_t{64} << 10;
/// Longest string of any message, and most elements of any list: both far beyond what a manifest can hold.
constexpr std::size_t kMaxString = std::size_t{512} << 10;
constexpr std::size_t kMaxList = 16384;
/// Credit that each bulk stream starts with, bytes.
constexpr std::uint32_t kInitialCredit = 256 * 1024;
/// Calls have the upper half of the streams' numbers, which the guest gives; no more than so many are open at a time.
constexpr std::uint16_t kFirstCallStream = 0x8000;
constexpr std::size_t kMaxCalls = 32;
/// The guest sends `beat` this often; the host reports silence after four missed ones.
constexpr int kBeatMilliseconds = 250;

enum class Type : std::uint8_t {
    // guest to host
    hello = 1,       ///< GuestHello: I am up; nothing per-run has happened
    ready = 2,       ///< Ready: the root and all it needs is in place
    started = 3,     ///< Started: the command of this stream runs
    out = 4,         ///< bytes of its stdout (or of its terminal)
    err = 5,         ///< bytes of its stderr
    exited = 6,      ///< Exited: after the last `out` and `err` of the stream
    failed = 7,      ///< Failure: what was asked cannot be done (stream 0: the set-up; else: that command)
    finished = 8,    ///< Usage: everything is synced; the machine may be pulled
    beat = 9,        ///< empty: I live
    artifacts = 10,  ///< bytes of the stream of artifacts (artifacts.h), between `finish` and `finished`
    call = 11,     ///< empty: a program calls the host, on the stream it opens. Its credit is 0 until the host answers
    out_end = 12,  ///< empty: no more `out` comes of this call
    gone = 13,     ///< empty: the program's end is closed; the last of this call that the guest sends
    // host to guest
    setup = 32,   ///< Setup
    exec = 33,    ///< Exec, on the stream it opens
    in = 34,      ///< bytes of its stdin
    in_end = 35,  ///< end of its stdin
    signal = 36,  ///< u32: deliver to the command's whole process group
    resize = 37,  ///< u32 columns, u32 rows
    credit = 38,  ///< either way: u8 channel (Type::out, err, in; on stream 0: artifacts), u32 more bytes
    finish = 39,  ///< Finish: no more commands: end them, hand out artifacts, sync, count, answer `finished`
    enough = 40,  ///< no more artifacts: go on with the end
    taken = 41,   ///< empty: all of a call up to `out_end` has reached whoever reads it
    /// empty: nobody is there (any more) for this call; the last of it that the host sends, to each call once. When
    /// `gone` has come too, the stream's number is free again.
    hang_up = 42,
};

/// Writes a payload.
class Writer {
public:
    void u8(std::uint8_t value) { bytes_.push_back(static_cast<char>(value)); }
    void u32(std::uint32_t value) { integer(value); }
    void u64(std::uint64_t value) { integer(value); }
    void boolean(bool value) { u8(value ? 1 : 0); }
    void text(std::string_view value) {
        u32(static_cast<std::uint32_t>(value.size()));
        bytes_.append(value);
    }
    const std::string& bytes() const { return bytes_; }

private:
    template <typename T>
    void integer(T value) {
        for (std::size_t i = 0; i < sizeof(T); ++i) bytes_.push_back(static_cast<char>(value >> (8 * i) & 0xFF));
    }
    std::string bytes_;
};

/// Reads a payload. The first thing that does not fit makes it `bad`, and all that follows zero or empty; the reader is
/// asked once, at the end, by `done()`.
class Reader {
public:
    explicit Reader(std::string_view bytes) : rest_(bytes) {}
    std::uint8_t u8() { return static_cast<std::uint8_t>(integer<std::uint8_t>()); }
    std::uint32_t u32() { return integer<std::uint32_t>(); }
    std::uint64_t u64() { return integer<std::uint64_t>(); }
    bool boolean() {
        std::uint8_t value = u8();
        if (value > 1) bad_ = true;
        return value == 1;
    }
    std::string text() {
        std::uint32_t size = u32();
        if (size > kMaxString || size > rest_.size()) bad_ = true;
        if (bad_) return {};
        std::string out(rest_.substr(0, size));
        rest_.remove_prefix(size);
        return out;
    }
    /// A list's count: never more than the bytes that are left could hold.
    std::uint32_t count() {
        std::uint32_t n = u32();
        if (n > kMaxList || n > rest_.size()) bad_ = true;
        return bad_ ? 0 : n;
    }
    /// True when everything fitted and nothing is left over.
    bool done() const { return !bad_ && rest_.empty(); }

private:
    template <typename T>
    T integer() {
        if (bad_ || rest_.size() < sizeof(T)) {
            bad_ = true;
            return 0;
        }
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < sizeof(T); ++i)
            value |= static_cast<std::uint64_t>(static_cast<std::uint8_t>(rest_[i])) << (8 * i);
        rest_.remove_prefix(sizeof(T));
        return static_cast<T>(value);
    }
    std::string_view rest_;
    bool bad_ = false;
};

/// Every message is a struct with one `fields` function, which both directions use: the order of fields stands once.
/// `Coder` below turns it into bytes or back.
struct Header {
    std::uint32_t length = 0;
    Type type{};
    std::uint16_t stream = 0;
};

inline void encode_header(char* out, Header header) {
    for (int i = 0; i < 4; ++i) out[i] = static_cast<char>(header.length >> (8 * i) & 0xFF);
    out[4] = static_cast<char>(header.type);
    out[5] = 0;
    out[6] = static_cast<char>(header.stream & 0xFF);
    out[7] = static_cast<char>(header.stream >> 8);
}

/// False when the length is beyond kMaxPayload or the flags are not 0: the peer does not speak this protocol.
inline bool decode_header(const char* in, Header& header) {
    auto byte = [&](int i) { return static_cast<std::uint32_t>(static_cast<std::uint8_t>(in[i])); };
    header.length = byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24;
    header.type = static_cast<Type>(in[4]);
    header.stream = static_cast<std::uint16_t>(byte(6) | byte(7) << 8);
    return header.length <= kMaxPayload && in[5] == 0;
}

struct Pair {
    std::string key, value;
    template <class C>
    void fields(C& c) {
        c(key), c(value);
    }
};

struct GuestHello {
    std::uint32_t magic = kMagic;
    std::uint32_t version = kVersion;
    std::string kernel;              ///< uname -r
    std::uint64_t memory_bytes = 0;  ///< MemTotal
    std::uint32_t cpus = 0;
    std::uint64_t uptime_us = 0;  ///< of the guest, when it said hello
    template <class C>
    void fields(C& c) {
        c(magic), c(version), c(kernel), c(memory_bytes), c(cpus), c(uptime_us);
    }
};

enum class RootKind : std::uint8_t { block = 0, virtiofs = 1, plan9 = 2 };
enum class UpperKind : std::uint8_t { none = 0, tmpfs = 1, scratch = 2 };
enum class ShareTransport : std::uint8_t { virtiofs = 1, plan9 = 2 };

struct ShareMount {
    std::string tag;             ///< the device's mount tag
    std::uint8_t transport = 0;  ///< ShareTransport
    std::string path;            ///< where it is mounted; made when missing
    bool read_only = true;
    bool overlay = false;  ///< writes go to the guest's memory or scratch
    template <class C>
    void fields(C& c) {
        c(tag), c(transport), c(path), c(read_only), c(overlay);
    }
};

struct DiskMount {
    std::string serial;  ///< the virtio-blk serial by which the guest finds it
    std::string path;    ///< empty: only there, not mounted
    bool read_only = false;
    template <class C>
    void fields(C& c) {
        c(serial), c(path), c(read_only);
    }
};

struct Network {
    bool present = false;
    std::string address, gateway, dns, mac;  ///< IPv4, dotted; `prefix` bits of network
    std::uint32_t prefix = 0;
    std::uint32_t mtu = 0;  ///< 0: leave it
    template <class C>
    void fields(C& c) {
        c(present), c(address), c(gateway), c(dns), c(mac), c(prefix), c(mtu);
    }
};

/// All that is per run and per machine. Sent once, after hello.
struct Setup {
    std::uint32_t magic = kMagic;
    std::uint32_t version = kVersion;
    std::string run_id;
    std::string hostname;
    std::uint64_t unix_time_ns = 0;
    std::string entropy;      ///< bytes for the kernel's pool
    std::uint8_t root = 0;    ///< RootKind
    std::string root_tag;     ///< mount tag, for a shared directory
    std::string root_serial;  ///< for a block image
    std::uint8_t upper = 0;   ///< UpperKind
    std::string scratch_serial;
    bool switch_root = false;
    std::vector<ShareMount> shares;
    std::vector<DiskMount> disks;
    Network network;
    std::vector<std::string> ca_certs;  ///< PEM texts, put where the image's bundles are
    std::vector<Pair> secret_files;     ///< /run/secrets/<key>, mode 0400, of the command's user
    std::uint64_t memory_reserve = 0;   ///< bytes kept back from the command's cgroup
    std::uint32_t pids = 0;             ///< pids.max of the command's cgroup; 0: no bound
    /// The machine comes from a snapshot: its disks have the same sizes as before, and may hold other bytes.
    bool restored = false;
    std::uint32_t call_port = 0;  ///< the number under which programs call the host; 0: they cannot
    template <class C>
    void fields(C& c) {
        c(magic), c(version), c(run_id), c(hostname), c(unix_time_ns), c(entropy), c(root), c(root_tag), c(root_serial),
            c(upper), c(scratch_serial), c(switch_root), c(shares), c(disks), c(network), c(ca_certs), c(secret_files),
            c(memory_reserve), c(pids), c(restored), c(call_port);
    }
};

struct Ready {
    std::uint64_t uptime_us = 0;
    std::vector<std::string> warnings;  ///< what could not be done and does not stop the run
    template <class C>
    void fields(C& c) {
        c(uptime_us), c(warnings);
    }
};

/// What an Exec runs.
enum class Tool : std::uint8_t {
    program = 0,  ///< argv[0], as the user
    pack = 1,     ///< init's own: the tree argv[0] as a tar stream on stdout, read as root
    unpack = 2,   ///< init's own: the tar stream on stdin, put where argv says; what it makes is the user's
};

struct Exec {
    std::uint8_t tool = 0;  ///< Tool
    std::vector<std::string> argv;
    std::vector<Pair> env;
    std::string workdir;
    std::string user;  ///< name or uid[:gid], looked up in the guest's /etc/passwd; empty: root
    bool tty = false;
    std::uint32_t columns = 80, rows = 24;
    bool stdin_open = false;  ///< false: /dev/null
    template <class C>
    void fields(C& c) {
        c(tool), c(argv), c(env), c(workdir), c(user), c(tty), c(columns), c(rows), c(stdin_open);
    }
};

struct Started {
    std::uint32_t pid = 0;  ///< of the guest
    std::uint64_t uptime_us = 0;
    template <class C>
    void fields(C& c) {
        c(pid), c(uptime_us);
    }
};

struct Exited {
    bool signaled = false;
    std::uint32_t code = 0;  ///< exit code, or the signal's number
    bool oom = false;        ///< the kernel's OOM killer struck in the command's cgroup
    std::uint64_t uptime_us = 0;
    template <class C>
    void fields(C& c) {
        c(signaled), c(code), c(oom), c(uptime_us);
    }
};

enum class FailureKind : std::uint8_t {
    setup = 1,           ///< the machine could not be arranged as asked
    not_found = 2,       ///< the command is not there (127)
    not_executable = 3,  ///< it cannot be executed (126)
    bad_user = 4,        ///< no such user in the image
    bad_workdir = 5,
    protocol = 6,  ///< the host sent what the guest does not understand
};

struct Failure {
    std::uint8_t kind = 0;  ///< FailureKind
    std::string message;
    template <class C>
    void fields(C& c) {
        c(kind), c(message);
    }
};

struct Usage {
    std::uint64_t cpu_us = 0;
    std::uint64_t peak_memory_bytes = 0;
    std::uint64_t scratch_bytes = 0;
    std::uint64_t net_rx_bytes = 0, net_tx_bytes = 0;
    std::uint64_t oom_kills = 0;
    std::vector<std::string> warnings;  ///< for instance a share that could not be synced
    template <class C>
    void fields(C& c) {
        c(cpu_us), c(peak_memory_bytes), c(scratch_bytes), c(net_rx_bytes), c(net_tx_bytes), c(oom_kills), c(warnings);
    }
};

struct ArtifactGlob {
    std::string path;             ///< a pattern of glob.h
    std::uint64_t max_bytes = 0;  ///< of all files together
    template <class C>
    void fields(C& c) {
        c(path), c(max_bytes);
    }
};

struct Finish {
    std::vector<ArtifactGlob> artifacts;  ///< empty: none, and no stream of them comes
    template <class C>
    void fields(C& c) {
        c(artifacts);
    }
};

struct SignalRequest {
    std::uint32_t number = 0;
    template <class C>
    void fields(C& c) {
        c(number);
    }
};

struct Resize {
    std::uint32_t columns = 0, rows = 0;
    template <class C>
    void fields(C& c) {
        c(columns), c(rows);
    }
};

struct Credit {
    std::uint8_t channel = 0;  ///< Type::out, Type::err, Type::in or Type::artifacts
    std::uint32_t bytes = 0;
    template <class C>
    void fields(C& c) {
        c(channel), c(bytes);
    }
};

namespace detail {

struct Encoder {
    Writer& writer;
    void operator()(bool& v) { writer.boolean(v); }
    void operator()(std::uint8_t& v) { writer.u8(v); }
    void operator()(std::uint32_t& v) { writer.u32(v); }
    void operator()(std::uint64_t& v) { writer.u64(v); }
    void operator()(std::string& v) { writer.text(v); }
    template <class T>
    void operator()(std::vector<T>& list) {
        writer.u32(static_cast<std::uint32_t>(list.size()));
        for (T& item : list) (*this)(item);
    }
    template <class T>
        requires requires(T& t, Encoder& e) { t.fields(e); }
    void operator()(T& message) {
        message.fields(*this);
    }
};

struct Decoder {
    Reader& reader;
    void operator()(bool& v) { v = reader.boolean(); }
    void operator()(std::uint8_t& v) { v = reader.u8(); }
    void operator()(std::uint32_t& v) { v = reader.u32(); }
    void operator()(std::uint64_t& v) { v = reader.u64(); }
    void operator()(std::string& v) { v = reader.text(); }
    template <class T>
    void operator()(std::vector<T>& list) {
        list.clear();
        for (std::uint32_t n = reader.count(); n > 0; --n) (*this)(list.emplace_back());
    }
    template <class T>
        requires requires(T& t, Decoder& d) { t.fields(d); }
    void operator()(T& message) {
        message.fields(*this);
    }
};

}  // namespace detail

/// The payload of a message.
template <class T>
std::string encode(const T& message) {
    Writer writer;
    detail::Encoder encoder{writer};
    T copy = message;
    copy.fields(encoder);
    return writer.bytes();
}

/// False when the bytes are not exactly such a message.
template <class T>
bool decode(std::string_view bytes, T& message) {
    Reader reader(bytes);
    detail::Decoder decoder{reader};
    message.fields(decoder);
    return reader.done();
}

/// A whole frame: header and payload. Requires payload.size() <= kMaxPayload.
inline std::string frame(Type type, std::uint16_t stream, std::string_view payload) {
    std::string out(kHeaderSize, '\0');
    encode_header(out.data(), Header{static_cast<std::uint32_t>(payload.size()), type, stream});
    out.append(payload);
    return out;
}

}  // namespace vmette::wire
