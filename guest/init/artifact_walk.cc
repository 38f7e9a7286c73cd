#include "artifact_walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>

namespace vmette::guest {

namespace {

using wire::ArtifactRecord;

/// Written at once; small files share a write.
constexpr std::size_t kBuffer = std::size_t{64} << 10;
/// MQUEUE_MAGIC, ipc/mqueue.c: no userspace header has it.
constexpr long kMqueueMagic = 0x19800202;

bool is_system_folder(std::string_view path) { return path == "proc" || path == "sys" || path == "dev"; }

/// Nobody keeps results there, and to read there may wait for ever.
bool is_kernels_own(int folder) {
    struct statfs status{};
    if (fstatfs(folder, &status) != 0) return true;
    constexpr long kMagics[] = {PROC_SUPER_MAGIC,   SYSFS_MAGIC,   CGROUP2_SUPER_MAGIC, CGROUP_SUPER_MAGIC,
                                DEVPTS_SUPER_MAGIC, DEBUGFS_MAGIC, TRACEFS_MAGIC,       SECURITYFS_MAGIC,
                                BPF_FS_MAGIC,       NSFS_MAGIC,    PIPEFS_MAGIC,        SOCKFS_MAGIC,
                                BINFMTFS_MAGIC,     kMqueueMagic};
    return std::ranges::find(kMagics, static_cast<long>(status.f_type)) != std::end(kMagics);
}

void add_up(std::uint64_t& sum, std::uint64_t more) { sum = sum > UINT64_MAX - more ? UINT64_MAX : sum + more; }

}  // namespace

ArtifactWalk::ArtifactWalk(const wire::Finish& wanted, int out) : out_(out) {
    for (const wire::ArtifactGlob& glob : wanted.artifacts) {
        globs_.emplace_back(glob.path);
        room_.push_back(glob.max_bytes);
    }
    report_.matched.resize(globs_.size());
    report_.beyond.resize(globs_.size());
}

bool ArtifactWalk::run(Fd top) {
    Positions at;
    for (const auto& glob : globs_) at.push_back(glob.start());
    struct stat status{};
    if (!top || fstat(top.get(), &status) != 0)
        lose(report_.unreadable);
    else
        search(std::move(top), status.st_dev, at);
    put(ArtifactRecord::report, wire::encode(report_));
    flush();
    return !reader_gone_;
}

void ArtifactWalk::search(Fd folder, dev_t device, const Positions& at) {
    bool spelt = true;
    const std::vector<std::string> names = candidates(folder.get(), at, spelt);
    for (const std::string& name : names) {
        if (stopped_) return;
        if (++searched_ > wire::kMaxArtifactSearch) {
            report_.gave_up = stopped_ = true;
            return;
        }
        Positions next;
        bool alive = false;
        for (std::size_t i = 0; i < globs_.size(); ++i) {
            next.push_back(at[i] != 0 ? globs_[i].step(at[i], name) : 0);
            alive = alive || next.back() != 0;
        }
        if (!alive) continue;
        const std::size_t length = path_.size();
        if (length > 0) path_ += '/';
        path_ += name;
        visit(folder.get(), name, device, next, spelt);
        path_.resize(length);
    }
}

std::vector<std::string> ArtifactWalk::candidates(int folder, const Positions& at, bool& spelt) {
    std::vector<std::string> names;
    for (std::size_t i = 0; spelt && i < globs_.size(); ++i) spelt = globs_[i].spell(at[i], names);
    if (!spelt) {
        names.clear();
        const int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR* entries = copy >= 0 ? fdopendir(copy) : nullptr;
        if (entries == nullptr) lose(report_.unreadable);
        // One more than there is room for, so that giving up is noticed.
        while (entries != nullptr && names.size() <= wire::kMaxArtifactSearch - searched_) {
            const dirent* entry = readdir(entries);
            if (entry == nullptr) break;
            const std::string_view name = entry->d_name;
            if (name != "." && name != "..") names.emplace_back(name);
        }
        if (entries != nullptr) closedir(entries);
    }
    std::ranges::sort(names);
    const auto repeated = std::ranges::unique(names);
    names.erase(repeated.begin(), repeated.end());
    return names;
}

void ArtifactWalk::visit(int folder, const std::string& name, dev_t device, const Positions& at, bool spelt) {
    if (is_system_folder(path_)) return;
    struct stat status{};
    if (fstatat(folder, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno != ENOENT) lose(report_.unreadable);
        return;
    }
    std::size_t entry = 0;
    while (entry < globs_.size() && !globs_[entry].accepts(at[entry])) ++entry;
    if (S_ISDIR(status.st_mode)) return descend(folder, name, device, at);
    // Where a folder was spelt out, a link in its place hides what was asked for: that is said.
    const bool in_the_way = spelt && S_ISLNK(status.st_mode);
    if (entry == globs_.size() && !in_the_way) return;
    if (!S_ISREG(status.st_mode)) return lose(report_.irregular);
    take_file(folder, name, status, entry);
}

void ArtifactWalk::descend(int folder, const std::string& name, dev_t device, const Positions& at) {
    bool goes_on = false;
    for (std::size_t i = 0; i < globs_.size(); ++i) goes_on = goes_on || globs_[i].goes_on(at[i]);
    if (!goes_on) return;
    // What lies below could not be named either.
    if (!wire::artifact_path_problem(path_).empty()) return lose(report_.unnamable);
    Fd inner(openat(folder, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat status{};
    if (!inner || fstat(inner.get(), &status) != 0) return lose(report_.unreadable);
    if (status.st_dev != device && is_kernels_own(inner.get())) return;
    search(std::move(inner), status.st_dev, at);
}

void ArtifactWalk::take_file(int folder, const std::string& name, const struct stat& status, std::size_t entry) {
    if (!wire::artifact_path_problem(path_).empty()) return lose(report_.unnamable);
    const auto expected = static_cast<std::uint64_t>(status.st_size);
    if (!has_room(entry, expected)) return lose(report_.beyond[entry], expected);
    Fd file(openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    struct stat opened{};
    if (!file || fstat(file.get(), &opened) != 0 || !S_ISREG(opened.st_mode)) return lose(report_.unreadable);
    const auto bytes = static_cast<std::uint64_t>(opened.st_size);
    if (!has_room(entry, bytes)) return lose(report_.beyond[entry], bytes);
    send_file(std::move(file), entry, bytes);
}

bool ArtifactWalk::has_room(std::size_t entry, std::uint64_t bytes) const {
    return bytes <= room_[entry] && files_ < wire::kMaxArtifactFiles &&
           path_.size() <= wire::kMaxArtifactNames - names_;
}

void ArtifactWalk::send_file(Fd file, std::size_t entry, std::uint64_t bytes) {
    room_[entry] -= bytes;
    ++files_;
    names_ += path_.size();
    wire::ArtifactFile begin;
    begin.entry = static_cast<std::uint32_t>(entry);
    begin.path = path_;
    begin.bytes = bytes;
    put(ArtifactRecord::file, wire::encode(begin));
    wire::ArtifactEnd end;
    // Left out of the stack of a search 64 folders deep.
    std::string chunk(static_cast<std::size_t>(std::min<std::uint64_t>(bytes, wire::kMaxChunk)), '\0');
    for (std::uint64_t left = bytes; left > 0 && !reader_gone_;) {
        const ssize_t n = read(file.get(), chunk.data(), std::min<std::uint64_t>(left, chunk.size()));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) end.problem = describe_errno(errno);
        if (n == 0) end.problem = "it became shorter while it was read";
        if (n <= 0) break;
        put(ArtifactRecord::data, std::string_view(chunk).substr(0, static_cast<std::size_t>(n)));
        left -= static_cast<std::uint64_t>(n);
    }
    put(ArtifactRecord::end, wire::encode(end));
    if (end.problem.empty())
        ++report_.matched[entry];
    else
        lose(report_.unreadable, bytes);
}

void ArtifactWalk::lose(wire::ArtifactLoss& loss, std::uint64_t bytes) {
    ++loss.files;
    add_up(loss.bytes, bytes);
    if (loss.example.empty()) loss.example = path_.substr(0, wire::kMaxArtifactPath);
}

void ArtifactWalk::put(ArtifactRecord record, std::string_view payload) {
    wire::append_artifact_record(buffer_, record, payload);
    if (buffer_.size() >= kBuffer) flush();
}

void ArtifactWalk::flush() {
    if (!reader_gone_ && !write_all(out_, buffer_)) stopped_ = reader_gone_ = true;
    buffer_.clear();
}

}  // namespace vmette::guest
