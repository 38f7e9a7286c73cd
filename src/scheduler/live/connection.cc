#include "scheduler/live/connection.h"

#include <sys/socket.h>

#include <chrono>

#include <asio/buffer.hpp>
#include <asio/write.hpp>

#include "base/log.h"
#include "scheduler/live/server.h"
#include "scheduler/run.h"

namespace vmette::scheduler::live {
namespace {

/// A client says what it wants as soon as it has connected.
constexpr std::chrono::seconds kRequestLimit{10};
/// What was refused is to be read before the end, by a client that reads at all.
constexpr std::chrono::seconds kFarewellLimit{2};
/// More than this is queued only for a client that has stopped reading what is not paced by credit.
constexpr std::size_t kMaxQueued = std::size_t{2} << 20;

constexpr std::string_view kNoPlace = "the run serves as many clients as it can";

/// One frame that fits any socket's buffer, written now or never.
void send_at_once(int socket, const std::string& frame) {
    [[maybe_unused]] auto sent = ::send(socket, frame.data(), frame.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

}  // namespace

Connection::Connection(Server& server, asio::local::stream_protocol::socket socket)
    : server_(server), socket_(std::move(socket)), patience_(server.io()) {
    asio::error_code ignored;
    socket_.non_blocking(true, ignored);
}

void Connection::start(bool has_place) {
    has_place_ = has_place;
    patience_.expires_after(kRequestLimit);
    patience_.async_wait([self = shared_from_this()](asio::error_code stopped) {
        if (!stopped) self->drop("it asked for nothing");
    });
    read();
}

void Connection::turn_away() {
    Refused refused{static_cast<std::uint8_t>(ErrorCode::busy), 0, std::string(kNoPlace)};
    send_at_once(socket_.native_handle(), encode_frame(Type::refused, refused));
}

void Connection::close() {
    state_ = State::closed;
    patience_.cancel();
    relay_.reset();
    asio::error_code ignored;
    socket_.close(ignored);
}

void Connection::drop(std::string_view why) {
    if (state_ == State::closed) return;
    if (!why.empty()) log(LogLevel::info, "a client of the run's socket was dropped: {}", why);
    close();
    server_.forget(shared_from_this());
}

void Connection::read() {
    socket_.async_read_some(asio::buffer(buffer_),
                            [self = shared_from_this()](asio::error_code failed, std::size_t bytes) {
                                if (self->state_ == State::closed) return;
                                if (failed) return self->drop("");
                                self->reader_.feed({self->buffer_.data(), bytes});
                                for (;;) {
                                    auto frame = self->reader_.next();
                                    if (!frame) return self->drop(frame.error().message);
                                    if (!*frame) break;
                                    self->take(**frame);
                                    if (self->state_ == State::closed) return;
                                }
                                self->read();
                            });
}

void Connection::take(const Frame& frame) {
    if (state_ == State::greeting && !last_sent_) return take_request(frame);
    auto offence = relay_ ? relay_->take(frame) : "it said what it may not say now";
    if (!offence.empty()) drop(offence);
}

void Connection::take_request(const Frame& frame) {
    if (frame.type != Type::request) return drop("it began with something else than a request");
    // Magic and version come first, so that another version's request is known for what it is.
    detail::Unpacker start(frame.payload);
    std::uint32_t magic = 0, version = 0;
    start(magic), start(version);
    if (magic != kMagic) return drop("its request has another magic");
    if (version != kVersion)
        return refuse(Error{ErrorCode::unsupported,
                            fmt::format("this run was started by another vmette (it speaks version {} of the protocol, "
                                        "not {})",
                                        kVersion, version),
                            nullptr});
    auto request = unpack<Request>(frame.payload);
    if (!request) return drop("its request cannot be read");
    patience_.cancel();
    if (!has_place_ && static_cast<Kind>(request->kind) != Kind::stop)
        return refuse(Error{ErrorCode::busy, std::string(kNoPlace), nullptr});
    switch (static_cast<Kind>(request->kind)) {
        case Kind::watch:
            return watch();
        case Kind::stop:
            return stop(*request);
        case Kind::exec:
        case Kind::pack:
        case Kind::unpack:
            return open_command(*request);
        default:
            return refuse(Error{ErrorCode::unsupported, "the run does not know how to do that", nullptr});
    }
}

void Connection::watch() {
    state_ = State::watching;
    send(Type::accepted, pack(Accepted{}));
}

void Connection::stop(const Request& request) {
    if (auto* run = server_.run()) run->on_stop_request(request.now);
    watch();
}

void Connection::refuse(const Error& error) {
    send_last(Type::refused, pack(Refused{static_cast<std::uint8_t>(error.code), 0, error.text()}));
    if (state_ == State::closed) return;
    patience_.expires_after(kFarewellLimit);
    patience_.async_wait([self = shared_from_this()](asio::error_code stopped) {
        if (!stopped) self->drop("");
    });
}

void Connection::open_command(const Request& request) {
    auto* run = server_.run();
    if (run == nullptr) return refuse(Error{ErrorCode::not_found, "the run has ended", nullptr});
    auto relay = std::make_unique<Relay>(server_.io(), *this);
    auto command = run->open_command(request, *relay);
    if (!command) return refuse(command.error());
    state_ = State::commanding;
    relay_ = std::move(relay);
    send(Type::accepted, pack(Accepted{relay_->begin(*std::move(command))}));
}

void Connection::machine_gone() {
    if (state_ != State::commanding || relay_->is_over()) return;
    auto code = static_cast<std::uint8_t>(ErrorCode::vm);
    send_last(Type::failed, pack(Refused{code, kExitFailure, "the run has ended"}));
}

void Connection::tell_end(int exit_code) {
    if (state_ != State::watching || !queue_.empty()) return;
    send_at_once(socket_.native_handle(), encode_frame(Type::ended, Number{static_cast<std::uint32_t>(exit_code)}));
}

void Connection::send_last(Type type, std::string_view payload) {
    send(type, payload);
    last_sent_ = true;
    if (queue_.empty()) drop("");
}

void Connection::written(const Queued& queued) {
    if (queued.kind && relay_) relay_->consumed(*queued.kind, queued.size);
}

void Connection::send_frame(Type type, std::string_view payload, std::optional<vm::Stream> kind) {
    if (state_ == State::closed) return;
    std::string frame = encode_frame(type, payload);
    if (queue_.empty()) {
        // Mostly it is taken at once: no turn of the loop is spent on it.
        ssize_t sent = ::send(socket_.native_handle(), frame.data(), frame.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0) frame.erase(0, static_cast<std::size_t>(sent));
    }
    if (frame.empty()) return written({{}, kind, payload.size()});
    queued_ += frame.size();
    queue_.push_back({std::move(frame), kind, payload.size()});
    if (queued_ > kMaxQueued) return drop("it has stopped reading");
    if (!writing_) write();
}

void Connection::write() {
    writing_ = true;
    asio::async_write(socket_, asio::buffer(queue_.front().bytes),
                      [self = shared_from_this()](asio::error_code failed, std::size_t) {
                          self->writing_ = false;
                          if (self->state_ == State::closed) return;
                          if (failed) return self->drop("");
                          Queued done = std::move(self->queue_.front());
                          self->queued_ -= done.bytes.size();
                          self->queue_.pop_front();
                          self->written(done);
                          if (self->state_ == State::closed || self->writing_) return;
                          if (!self->queue_.empty()) return self->write();
                          if (self->last_sent_) self->drop("");
                          self->server_.flushed();
                      });
}

}  // namespace vmette::scheduler::live
