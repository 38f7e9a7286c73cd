#include "vm/guest_protocol.h"

#include <algorithm>

#include "base/text.h"

namespace vmette::vm {
namespace {

using wire::Type;

/// A hello is a few numbers and a kernel's name: nothing larger is buffered for a peer that has not introduced itself.
constexpr std::uint32_t kMaxHello = 1024;

std::string_view name_of(Type type) {
    switch (type) {
        case Type::hello:
            return "hello";
        case Type::ready:
            return "ready";
        case Type::started:
            return "started";
        case Type::out:
            return "out";
        case Type::err:
            return "err";
        case Type::exited:
            return "exited";
        case Type::failed:
            return "failed";
        case Type::finished:
            return "finished";
        case Type::beat:
            return "beat";
        case Type::credit:
            return "credit";
        case Type::artifacts:
            return "artifacts";
        case Type::call:
            return "call";
        case Type::out_end:
            return "out_end";
        case Type::gone:
            return "gone";
        default:
            return {};
    }
}

std::uint32_t max_payload(Type type) {
    switch (type) {
        case Type::hello:
            return kMaxHello;
        case Type::out:
        case Type::err:
        case Type::artifacts:
            return wire::kMaxChunk;
        default:
            return wire::kMaxPayload;
    }
}

bool belongs_to_session(Type type) {
    return type == Type::hello || type == Type::ready || type == Type::finished || type == Type::beat ||
           type == Type::artifacts;
}

bool belongs_to_call(const wire::Header& header) {
    return header.stream >= wire::kFirstCallStream && !belongs_to_session(header.type);
}

/// Why a frame of this type cannot come now; empty when it can.
std::string_view out_of_order(const wire::Header& header, Phase phase, bool failed, bool finishing, bool artifacts) {
    if (phase == Phase::awaiting_hello) return header.type == Type::hello ? "" : "before hello";
    switch (header.type) {
        case Type::hello:
            return "a second time";
        case Type::ready:
            if (phase == Phase::greeted) return "before it was set up";
            if (failed) return "after failed";
            return phase == Phase::setting_up ? "" : "a second time";
        case Type::started:
            if (phase < Phase::launching) return "before a command was given";
            return phase == Phase::launching ? "" : "a second time";
        case Type::failed:
            if (header.stream == 0) return failed ? "a second time" : "";
            if (phase < Phase::launching) return "before a command was given";
            return phase == Phase::launching ? "" : "after started";
        case Type::out:
        case Type::err:
        case Type::exited:
            if (phase < Phase::running) return "before started";
            return phase == Phase::running ? "" : "after exited";
        case Type::credit:
            return phase < Phase::launching ? "before a command was given" : "";
        case Type::finished:
            return finishing ? "" : "without being asked";
        case Type::artifacts:
            return finishing && artifacts ? "" : "without being asked";
        default:
            return "";
    }
}

template <class T>
Result<T> decoded(Type type, std::string_view payload) {
    T message;
    if (!wire::decode(payload, message))
        return fail(ErrorCode::protocol, "the guest sent a malformed '{}' of {} bytes", name_of(type), payload.size());
    return message;
}

}  // namespace

Result<> GuestProtocol::feed(std::string_view bytes) {
    // Most reads hold whole frames: only what is left of the last one is copied.
    std::string joined;
    if (!pending_.empty()) {
        joined = std::move(pending_);
        joined.append(bytes);
        bytes = joined;
    }
    while (!stopped_) {
        VMETTE_TRY(std::size_t taken, take_frame(bytes));
        if (taken == 0) break;
        bytes.remove_prefix(taken);
    }
    if (bytes.data() == joined.data() && !joined.empty())
        pending_ = std::move(joined);
    else
        pending_.assign(bytes);
    return {};
}

Result<> GuestProtocol::end() const {
    if (pending_.empty()) return {};
    return fail(ErrorCode::protocol, "the guest's channel ended inside a frame, after {} of its bytes",
                pending_.size());
}

/// Returns the bytes of the frame that was there, 0 when it is not whole yet.
Result<std::size_t> GuestProtocol::take_frame(std::string_view bytes) {
    if (bytes.size() < wire::kHeaderSize) return 0;
    wire::Header header;
    const char* start = bytes.data();
    bool sound = wire::decode_header(start, header);
    if (!sound && header.length <= wire::kMaxPayload)
        return fail(ErrorCode::protocol, "the guest sent a frame with unknown flags");
    // Judged by its header alone, so that nothing unwanted is ever buffered.
    VMETTE_CHECK_OK(check_header(header));
    std::size_t size = wire::kHeaderSize + header.length;
    if (bytes.size() < size) return 0;
    events_.heard();
    if (!stopped_) VMETTE_CHECK_OK(dispatch(header, bytes.substr(wire::kHeaderSize, header.length)));
    return size;
}

Result<> GuestProtocol::check_header(const wire::Header& header) const {
    auto name = name_of(header.type);
    if (name.empty())
        return fail(ErrorCode::protocol, "the guest sent a frame of unknown type {}",
                    static_cast<unsigned>(header.type));
    if (header.length > max_payload(header.type))
        return fail(ErrorCode::protocol, "the guest sent '{}' with {} bytes, where {} are allowed", name, header.length,
                    max_payload(header.type));
    if (belongs_to_call(header)) {
        if (phase_ >= Phase::launching) return calls_.check(header, name);
        return fail(ErrorCode::protocol, "the guest sent '{}' before a command was given", name);
    }
    if (header.stream >= kFirstSideStream && !belongs_to_session(header.type)) return sides_.check(header, name);
    bool only_of_calls = header.type == Type::call || header.type == Type::out_end || header.type == Type::gone;
    if (only_of_calls) return fail(ErrorCode::protocol, "the guest sent '{}' on stream {}", name, header.stream);
    bool known_stream = header.stream == 0 ? belongs_to_session(header.type) || header.type == Type::failed
                                           : header.stream == kCommandStream && !belongs_to_session(header.type);
    if (!known_stream) return fail(ErrorCode::protocol, "the guest sent '{}' on stream {}", name, header.stream);
    auto reason = out_of_order(header, phase_, failed_, finishing_, artifacts_.has_value());
    if (!reason.empty()) return fail(ErrorCode::protocol, "the guest sent '{}' {}", name, reason);
    return {};
}

Result<> GuestProtocol::dispatch(const wire::Header& header, std::string_view payload) {
    if (header.stream >= wire::kFirstCallStream) return calls_.take(header, payload);
    if (header.stream >= kFirstSideStream) return sides_.take(header, payload);
    switch (header.type) {
        case Type::hello:
            return take_hello(payload);
        case Type::ready: {
            VMETTE_TRY(auto message, decoded<wire::Ready>(header.type, payload));
            phase_ = Phase::ready;
            events_.ready(message);
            return {};
        }
        case Type::started: {
            VMETTE_CHECK_OK(decoded<wire::Started>(header.type, payload));
            phase_ = Phase::running;
            events_.started();
            return {};
        }
        case Type::out:
            return take_output(Stream::out, payload);
        case Type::err:
            return take_output(Stream::err, payload);
        case Type::exited: {
            VMETTE_TRY(auto message, decoded<wire::Exited>(header.type, payload));
            // As of wait(2): what the kernel cannot have said is not recorded.
            if (message.signaled ? message.code < 1 || message.code > 64 : message.code > 255)
                return fail(ErrorCode::protocol, "the guest told of an end that no command can have ({} {})",
                            message.signaled ? "signal" : "exit code", message.code);
            phase_ = Phase::exited;
            events_.exited(message);
            return {};
        }
        case Type::failed: {
            VMETTE_TRY(auto message, decoded<wire::Failure>(header.type, payload));
            if (header.stream == kCommandStream) phase_ = Phase::exited;
            if (header.stream == 0) failed_ = true;
            events_.failed(message);
            return {};
        }
        case Type::artifacts:
            return take_artifacts(payload);
        case Type::finished:
            return take_finished(payload);
        case Type::credit:
            return take_credit(payload);
        default:
            return take_beat();
    }
}

Result<> GuestProtocol::take_hello(std::string_view payload) {
    // Magic and version come first, so that another version's hello is known for what it is.
    wire::Reader reader(payload);
    std::uint32_t magic = reader.u32(), version = reader.u32();
    if (magic != wire::kMagic)
        return fail(ErrorCode::protocol,
                    "the guest does not speak vmette's protocol (magic {:#010x} instead of {:#010x})", magic,
                    wire::kMagic);
    if (version != wire::kVersion)
        return fail(ErrorCode::protocol,
                    "the guest speaks version {} of the protocol and this vmette version {}: the initramfs belongs to "
                    "another vmette",
                    version, wire::kVersion);
    VMETTE_TRY(auto message, decoded<wire::GuestHello>(Type::hello, payload));
    phase_ = Phase::greeted;
    events_.hello(message);
    return {};
}

Result<> GuestProtocol::take_output(Stream stream, std::string_view payload) {
    std::size_t& window = window_[index(stream)];
    auto name = name_of(stream == Stream::out ? Type::out : Type::err);
    if (payload.empty()) return fail(ErrorCode::protocol, "the guest sent an empty '{}'", name);
    if (payload.size() > window)
        return fail(ErrorCode::protocol, "the guest sent {} bytes of '{}' with credit for {}", payload.size(), name,
                    window);
    window -= payload.size();
    events_.output(stream, payload);
    return {};
}

void GuestProtocol::sent_finish(const ArtifactRequest& artifacts) {
    finishing_ = true;
    if (artifacts.wishes.empty()) return;
    sink_ = artifacts.sink;
    artifacts_.emplace(artifacts);
}

Result<> GuestProtocol::take_artifacts(std::string_view payload) {
    if (payload.empty()) return fail(ErrorCode::protocol, "the guest sent an empty 'artifacts'");
    if (payload.size() > artifact_window_)
        return fail(ErrorCode::protocol, "the guest sent {} bytes of 'artifacts' with credit for {}", payload.size(),
                    artifact_window_);
    artifact_window_ -= payload.size();
    return artifacts_->feed(payload);
}

std::size_t GuestProtocol::take_artifact_grant() {
    std::size_t owed = wire::kInitialCredit - artifact_window_;
    if (!artifacts_ || !artifacts_->awaits_more() || owed < wire::kInitialCredit / 4) return 0;
    artifact_window_ += owed;
    return owed;
}

Result<> GuestProtocol::take_finished(std::string_view payload) {
    VMETTE_TRY(auto message, decoded<wire::Usage>(Type::finished, payload));
    finishing_ = false;
    if (artifacts_ && artifacts_->awaits_more()) sink_->cut();
    events_.finished(message);
    return {};
}

Result<> GuestProtocol::take_credit(std::string_view payload) {
    VMETTE_TRY(auto message, decoded<wire::Credit>(Type::credit, payload));
    if (message.channel != static_cast<std::uint8_t>(Type::in))
        return fail(ErrorCode::protocol, "the guest granted credit for channel {}, which is not ours to fill",
                    message.channel);
    // It can only give back what it has taken; this also bounds the number of such frames.
    if (message.bytes == 0 || message.bytes > wire::kInitialCredit - stdin_room_)
        return fail(ErrorCode::protocol, "the guest granted {} bytes of credit for stdin, having taken {}",
                    message.bytes, wire::kInitialCredit - stdin_room_);
    stdin_room_ += message.bytes;
    events_.stdin_room();
    return {};
}

Result<> GuestProtocol::take_beat() {
    if (!beats_.take(clock_.monotonic()))
        return fail(ErrorCode::protocol, "the guest floods the channel with beats");
    return {};
}

}  // namespace vmette::vm
