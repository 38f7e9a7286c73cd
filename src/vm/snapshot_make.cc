#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>

#include "base/log.h"
#include "base/text.h"
#include "vm/channel.h"
#include "vm/console.h"
#include "vm/guarded.h"
#include "vm/kept_files.h"
#include "vm/parts.h"
#include "vm/qmp.h"
#include "vm/snapshots.h"

namespace vmette::vm {
namespace {

/// From the guest's hello to the whole file.
constexpr std::chrono::seconds kFreezeLimit{5};
/// Two of the wire's beats say that the guest has nothing left to do but to wait for its set-up.
constexpr int kBeatsToWait = 2;
/// What has to be free beside the guest's memory: a full disk would end QEMU, and others on the host.
constexpr std::uint64_t kSpareBytes = 1 * kGiB;

/// Boots a guest and has QEMU write down its state once it waits for the set-up. Held by shared_ptr alone.
class Freezer final : public ChannelEvents, public std::enable_shared_from_this<Freezer> {
public:
    Freezer(asio::io_context& io, const SessionHost& host, Parts& parts, int state_fd)
        : io_(io),
          state_fd_(state_fd),
          channel_(io, std::move(parts.connections.channel), host.clock, *this),
          console_(io, std::move(parts.connections.console), [](std::string_view) {}),
          qmp_(io, std::move(parts.connections.qmp), [this](const QmpEvent& event) { on_qmp(event); }) {}

    void start() {
        channel_.start(weak_from_this());
        console_.start(weak_from_this());
        qmp_.start(weak_from_this());
    }
    void close() {
        channel_.close();
        console_.close();
        qmp_.close();
    }
    bool greeted() const { return greeted_; }
    bool frozen() const { return frozen_; }
    const std::string& problem() const { return problem_; }

private:
    void hello(const wire::GuestHello&) override {
        greeted_ = true;
        io_.stop();
    }
    void heard() override {
        if (!greeted_ || freezing_ || ++beats_ < kBeatsToWait) return;
        freezing_ = true;
        // The machine runs on until its state is taken, so that the copies run at once, too.
        qmp_.execute(R"({"execute":"migrate-set-capabilities","arguments":{"capabilities":[)"
                     R"({"capability":"x-ignore-shared","state":true},{"capability":"events","state":true}]}})");
        if (auto handed = qmp_.hand_over(state_fd_, "state"); !handed) return give_up(handed.error().text());
        qmp_.execute(R"({"execute":"migrate","arguments":{"uri":"fd:state"}})");
    }
    void on_qmp(const QmpEvent& event) {
        if (event.kind == QmpEventKind::refused || event.kind == QmpEventKind::shutdown) give_up(event.detail);
        if (event.kind != QmpEventKind::migration) return;
        if (event.detail == "failed") give_up("QEMU cannot write the machine's state");
        if (event.detail != "completed") return;
        frozen_ = true;
        io_.stop();
    }
    void give_up(std::string why) {
        problem_ = std::move(why);
        io_.stop();
    }
    void channel_ended(const Result<>&) override { give_up("QEMU ended"); }
    void channel_broken(const Error& error) override { give_up(error.message); }
    void ready(const wire::Ready&) override {}
    void started() override {}
    void output(Stream, std::string_view) override {}
    void exited(const wire::Exited&) override {}
    void failed(const wire::Failure& failure) override { give_up(harmless_line(failure.message)); }
    void finished(const wire::Usage&) override {}
    void stdin_room() override {}

    asio::io_context& io_;
    int state_fd_;
    Channel channel_;
    Console console_;
    Qmp qmp_;
    std::string problem_;
    int beats_ = 0;
    bool greeted_ = false, freezing_ = false, frozen_ = false;
};

Result<> check_space(const Fd& staged, std::uint64_t bytes) {
    struct statvfs disk{};
    if (::fstatvfs(staged.get(), &disk) != 0) return fail_errno("look at the cache's filesystem");
    std::uint64_t free = static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize;
    if (free >= bytes + kSpareBytes) return {};
    return fail(ErrorCode::no_space, "a snapshot may take {}, and {} are free", human_size(bytes), human_size(free));
}

void stop_when_readable(asio::io_context& io, asio::posix::stream_descriptor& watch, bool& stopped) {
    watch.async_wait(asio::posix::stream_descriptor::wait_read, [&io, &watch, &stopped](asio::error_code failed) {
        if (failed) return;
        if (!is_readable(watch.native_handle())) return stop_when_readable(io, watch, stopped);
        stopped = true;
        io.stop();
    });
}

/// Ends the loop when there is something to read on `fd`.
Result<> stop_when_readable(asio::io_context& io, asio::posix::stream_descriptor& watch, int fd, bool& stopped) {
    if (fd < 0) return {};
    VMETTE_TRY(Fd copy, duplicate(fd));
    watch.assign(copy.release());
    stop_when_readable(io, watch, stopped);
    return {};
}

Result<> freeze(const SessionHost& host, const VmSpec& spec, const Fd& staged, Duration boot_limit, int stop_fd) {
    VMETTE_TRY(Parts parts, Parts::make(host, spec, staged));
    asio::io_context io;
    asio::posix::stream_descriptor watch(io);
    bool stopped = false;
    VMETTE_CHECK_OK(stop_when_readable(io, watch, stop_fd, stopped));
    auto freezer = std::make_shared<Freezer>(io, host, parts, staged.get());
    freezer->start();
    io.run_for(boot_limit);
    if (freezer->greeted() && !stopped) {
        io.restart();
        io.run_for(kFreezeLimit);
    }
    freezer->close();
    parts.release();
    if (stopped) return fail(ErrorCode::cancelled, "interrupted");
    if (freezer->frozen()) return {};
    std::string why = freezer->problem().empty() ? "the guest took too long" : freezer->problem();
    return fail(ErrorCode::vm, "no snapshot was made: {}", why);
}

bool is_whole(int fd, std::uint64_t memory_bytes) {
    struct stat status{};
    return ::fstat(fd, &status) == 0 && static_cast<std::uint64_t>(status.st_size) > memory_bytes;
}

/// Held while a snapshot is being made, so that others boot meanwhile and don't make it twice.
Result<Fd> lock_maker(const std::filesystem::path& folder) {
    VMETTE_CHECK_OK(make_cache_dir(folder));
    VMETTE_TRY(Fd lock, open_file(folder / "making.lock", O_RDWR | O_CREAT | O_NOFOLLOW));
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return lock;
    if (errno == EWOULDBLOCK) return fail(ErrorCode::busy, "another process is making a snapshot");
    return fail_errno("lock the snapshots");
}

}  // namespace

Result<> Snapshots::make(const SessionHost& host, const VmSpec& spec, Duration boot_limit, int stop_fd) const {
    auto path = place(spec);
    if (!path) return fail(ErrorCode::unsupported, "such a machine cannot start from a snapshot");
    VMETTE_TRY(Fd lock, lock_maker(folder_));
    if (open(spec)) return {};
    std::uint64_t bytes = whole_memory_bytes(spec);
    VMETTE_TRY(Fd staged, stage_file(folder_));
    VMETTE_CHECK_OK(check_space(staged, bytes));
    if (::ftruncate(staged.get(), static_cast<off_t>(bytes)) != 0 ||
        ::lseek(staged.get(), 0, SEEK_END) != static_cast<off_t>(bytes))
        return fail_errno("make a file of " + human_size(bytes));
    if (auto frozen = freeze(host, spec, staged, boot_limit, stop_fd); !frozen) {
        if (frozen.error().code != ErrorCode::cancelled) distrust_snapshot(*path);
        return Failure(frozen.error());
    }
    VMETTE_CHECK_OK(name_file(staged, *path, [bytes](int theirs) { return is_whole(theirs, bytes); }));
    remove_old();
    return {};
}

}  // namespace vmette::vm
