#include "finish.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

namespace vmette::guest {

namespace {

[[noreturn]] void sync_all(const std::vector<WrittenThrough>& written, int report) {
    for (const WrittenThrough& mount : written)
        if (syncfs(mount.folder.get()) != 0)
            write_all(report, text("sync ", mount.path, ": ", describe_errno(errno), "\n"));
    _exit(0);
}

}  // namespace

void Syncer::start(const std::vector<WrittenThrough>& written) {
    int ends[2];
    if (written.empty() || pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
        end();
        return;
    }
    report_ = Fd(ends[0]);
    Fd writing(ends[1]);
    pid_t child = fork();
    if (child == 0) sync_all(written, writing.get());
    if (child < 0) received_ = text("sync: ", describe_errno(errno), "\n");
    writing.reset();
    loop_.add(report_.get(), EPOLLIN, watcher_);
}

void Syncer::on_report() {
    char buffer[4096];
    ssize_t n = read(report_.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EAGAIN) return;
    if (n > 0) {
        received_.append(buffer, static_cast<std::size_t>(n));
        return;
    }
    loop_.remove(report_.get());
    report_.reset();
    end();
}

void Syncer::end() {
    std::vector<std::string> warnings;
    for (std::string_view rest = received_; !rest.empty();) warnings.emplace_back(take_field(rest, '\n'));
    observer_.on_synced(std::move(warnings));
}

}  // namespace vmette::guest
