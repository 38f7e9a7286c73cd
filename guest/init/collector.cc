#include "collector.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>

#include "artifact_walk.h"
#include "console.h"

namespace vmette::guest {

namespace {

/// Room for the search to go on while init waits for the port.
constexpr int kPipeSize = 256 << 10;

[[noreturn]] void collect(const wire::Finish& wanted, int out) {
    Fd top(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    _exit(ArtifactWalk(wanted, out).run(std::move(top)) ? 0 : 1);
}

}  // namespace

void Collector::start(const wire::Finish& wanted) {
    if (wanted.artifacts.empty()) return observer_.on_collected();
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        say("artifacts: ", describe_errno(errno));
        return observer_.on_collected();
    }
    stream_ = Fd(ends[0]);
    Fd writing(ends[1]);
    fcntl(stream_.get(), F_SETFL, O_NONBLOCK);
    fcntl(stream_.get(), F_SETPIPE_SZ, kPipeSize);
    const pid_t child = fork();
    if (child == 0) {
        stream_.reset();
        collect(wanted, writing.get());
    }
    if (child < 0) say("artifacts: ", describe_errno(errno));
    writing.reset();
    update();
}

void Collector::stop() {
    if (watched_) loop_.remove(stream_.get());
    watched_ = false;
    stream_.reset();
}

void Collector::on_credit(std::uint32_t bytes) {
    credit_ += bytes;
    update();
}

void Collector::update() {
    const bool wanted = stream_ && credit_ > 0 && channel_.has_room();
    if (wanted == watched_) return;
    if (wanted)
        loop_.add(stream_.get(), EPOLLIN, watcher_);
    else
        loop_.remove(stream_.get());
    watched_ = wanted;
}

void Collector::on_stream() {
    char buffer[wire::kMaxChunk];
    const ssize_t n = read(stream_.get(), buffer, std::min<std::uint64_t>(sizeof buffer, credit_));
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) return end();
    credit_ -= static_cast<std::uint64_t>(n);
    channel_.send(wire::Type::artifacts, 0, std::string_view(buffer, static_cast<std::size_t>(n)));
    update();
}

void Collector::end() {
    stop();
    observer_.on_collected();
}

}  // namespace vmette::guest
