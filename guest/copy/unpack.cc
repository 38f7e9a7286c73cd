#include "unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "tar.h"

namespace vmette::copying {

namespace {

constexpr std::size_t kBuffer = std::size_t{64} << 10;
constexpr int kNewFile = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
/// Names and records that stand before an entry; far beyond what any file system takes.
constexpr std::uint64_t kMaxExtension = std::uint64_t{64} << 10;
constexpr std::size_t kMaxName = 4096, kMaxComponent = 255, kMaxDepth = 300;

struct Closer {
    int fd = -1;
    ~Closer() {
        if (fd >= 0) close(fd);
    }
};

/// "./a//b/" as a, b. False for what climbs, or is longer than any file system takes.
bool split(const std::string& name, std::vector<std::string>& parts) {
    if (name.size() > kMaxName || name.find('\0') != name.npos) return false;
    for (std::size_t at = 0; at < name.size();) {
        std::size_t end = name.find('/', at);
        if (end == name.npos) end = name.size();
        std::string part = name.substr(at, end - at);
        at = end + 1;
        if (part.empty() || part == ".") continue;
        if (part == ".." || part.size() > kMaxComponent || parts.size() == kMaxDepth) return false;
        parts.push_back(std::move(part));
    }
    return true;
}

/// Whether a symlink that lies `depth` folders below the top of its tree stays in it. Only `..` that come first are
/// counted: behind a name, which may be a symlink itself, nobody knows where they lead.
bool leads_out(const std::string& target, std::size_t depth) {
    if (target.empty() || target.front() == '/') return true;
    bool named = false;
    for (std::size_t at = 0; at < target.size();) {
        std::size_t end = target.find('/', at);
        if (end == target.npos) end = target.size();
        std::string part = target.substr(at, end - at);
        at = end + 1;
        if (part == "..") {
            if (named || depth == 0) return true;
            --depth;
        } else if (!part.empty() && part != ".") {
            named = true;
        }
    }
    return false;
}

class Unpacker {
public:
    Unpacker(int in, const UnpackRules& rules, Listener& listener)
        : in_(in), rules_(rules), listener_(listener), buffer_(new char[kBuffer]), ahead_(new char[kBuffer]) {}
    ~Unpacker() {
        if (folder_fd_ >= 0) close(folder_fd_);
    }
    Unpacker(const Unpacker&) = delete;
    Unpacker& operator=(const Unpacker&) = delete;

    Outcome run() {
        while (!broken_ && next()) {
        }
        while (!folders_.empty()) leave_folder();
        if (empty_) return Outcome::empty;
        if (broken_) return Outcome::nothing;
        while (get(buffer_.get(), kBuffer) > 0) {
        }
        return whole_ ? Outcome::whole : Outcome::partial;
    }

private:
    /// A folder that was made here gets its mode and time when the last thing has been put into it.
    struct Pending {
        std::vector<std::string> path;
        std::uint32_t mode;
        std::int64_t mtime;
    };

    bool break_off(const std::string& why) {
        listener_.on_problem(why);
        broken_ = true;
        return false;
    }

    void skip(const std::string& name, const std::string& why) {
        whole_ = false;
        listener_.on_problem(name + ": " + why);
    }
    void skip_errno(const std::string& name) { skip(name, strerrordesc_np(errno)); }

    /// As read_fully() of the stream, which is read in large pieces: most entries are small.
    long get(char* into, std::size_t size) {
        std::size_t done = 0;
        while (done < size) {
            if (ahead_at_ == ahead_end_) {
                ssize_t n = read(in_, ahead_.get(), kBuffer);
                if (n < 0 && errno == EINTR) continue;
                if (n < 0) return -1;
                if (n == 0) break;
                ahead_at_ = 0;
                ahead_end_ = static_cast<std::size_t>(n);
            }
            std::size_t part = ahead_end_ - ahead_at_ < size - done ? ahead_end_ - ahead_at_ : size - done;
            memcpy(into + done, ahead_.get() + ahead_at_, part);
            ahead_at_ += part;
            done += part;
        }
        return static_cast<long>(done);
    }

    bool read_block(char* block) {
        long got = get(block, kBlock);
        if (got == 0 && first_) {
            empty_ = broken_ = true;
            return false;
        }
        first_ = false;
        return got == static_cast<long>(kBlock) || break_off("the stream ends before the archive does");
    }

    bool read_extension(std::uint64_t size, std::string& into) {
        if (size > kMaxExtension) return break_off("the archive has a name longer than 64 KiB");
        into.resize(static_cast<std::size_t>(size + padding(size)));
        if (get(into.data(), into.size()) != static_cast<long>(into.size()))
            return break_off("the stream ends before the archive does");
        into.resize(static_cast<std::size_t>(size));
        return true;
    }

    bool drop(std::uint64_t size) {
        for (std::uint64_t left = size + padding(size); left > 0;) {
            std::size_t want = left < kBuffer ? static_cast<std::size_t>(left) : kBuffer;
            if (get(buffer_.get(), want) != static_cast<long>(want))
                return break_off("the stream ends before the archive does");
            left -= want;
        }
        return true;
    }

    /// One entry with all that stands before it. False at the end.
    bool next() {
        std::string records, name, target;
        for (unsigned extensions = 0;; ++extensions) {
            if (extensions > 16) return break_off("the archive has names without an entry");
            char block[kBlock];
            Entry entry;
            if (!read_block(block)) return false;
            switch (decode_header(block, entry)) {
                case Found::end:
                    return false;
                case Found::garbage:
                    return break_off("this is no tar archive, or a damaged one");
                case Found::pax:
                    if (!read_extension(entry.size, records)) return false;
                    continue;
                case Found::long_name:
                    if (!read_extension(entry.size, name)) return false;
                    continue;
                case Found::long_link:
                    if (!read_extension(entry.size, target)) return false;
                    continue;
                case Found::pax_global:
                    if (!drop(entry.size)) return false;
                    continue;
                case Found::unknown:
                    skip(entry.name, "left out, its kind is not known");
                    return drop(entry.size);
                case Found::entry:
                    break;
            }
            if (!name.empty()) entry.name = name.c_str();  // with its zero
            if (!target.empty()) entry.target = target.c_str();
            if (!apply_pax(records, entry)) {
                skip(entry.name, "left out, its pax records cannot be read, or it is sparse");
                return drop(entry.size);
            }
            return take(entry);
        }
    }

    bool take(const Entry& entry) {
        if (++entries_ > rules_.max_entries) return break_off("more entries than are allowed");
        bytes_ += entry.size;
        if (bytes_ > rules_.max_bytes || entry.size > rules_.max_bytes)
            return break_off("more than the bytes that are allowed");
        std::vector<std::string> path;
        if (!place(entry.name, path)) {
            skip(entry.name, "refused, it lies outside of the archive's tree");
            return drop(entry.size);
        }
        if (path.empty()) return drop(entry.size);  // the folder itself
        enter(path);
        int parent = folder_of(path, entry.name);
        if (parent < 0) return drop(entry.size);
        const char* last = path.back().c_str();
        switch (entry.kind) {
            case Kind::file:
                return file(parent, last, entry);
            case Kind::folder:
                folder(parent, path, entry);
                break;
            case Kind::symlink:
                symlink(parent, last, entry, path.size());
                break;
            case Kind::hard_link:
                hard_link(parent, last, entry, path.size());
                break;
            default:
                skip(entry.name, "left out, a device or FIFO");
        }
        return true;
    }

    /// Where a name of the archive lies below the root.
    bool place(const std::string& name, std::vector<std::string>& path) const {
        if (name.empty() || name.front() == '/' || !split(name, path)) return false;
        if (rules_.rename.empty()) return true;
        // "." has no component that could be replaced.
        bool nameless = name == "." || name.starts_with("./");
        if (nameless)
            path.insert(path.begin(), rules_.rename);
        else
            path.front() = rules_.rename;
        return true;
    }

    static bool is_below(const std::vector<std::string>& path, const std::vector<std::string>& folder) {
        if (path.size() <= folder.size()) return false;
        for (std::size_t i = 0; i < folder.size(); ++i)
            if (path[i] != folder[i]) return false;
        return true;
    }

    void enter(const std::vector<std::string>& path) {
        while (!folders_.empty() && !is_below(path, folders_.back().path)) leave_folder();
    }

    void leave_folder() {
        Pending done = std::move(folders_.back());
        folders_.pop_back();
        int parent = folder_of(done.path, done.path.back());
        if (parent < 0) return;
        Closer folder{openat(parent, done.path.back().c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
        if (folder.fd < 0 || fchmod(folder.fd, done.mode) != 0) return skip_errno(done.path.back());
        set_time(folder.fd, done.mtime);
    }

    static void set_time(int fd, std::int64_t mtime) {
        const timespec times[2] = {{0, UTIME_OMIT}, {mtime, 0}};
        futimens(fd, times);
    }

    int open_below(const std::string& path) const {
        if (path.empty()) return fcntl(rules_.root, F_DUPFD_CLOEXEC, 3);
        open_how how{};
        how.flags = O_DIRECTORY | O_CLOEXEC | O_RDONLY;
        how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
        if (!rules_.follow_links) how.resolve |= RESOLVE_NO_SYMLINKS;
        return static_cast<int>(syscall(SYS_openat2, rules_.root, path.c_str(), &how, sizeof how));
    }

    /// The folder that holds the last of these components, made where it is missing. -1 when that cannot be; said.
    int folder_of(const std::vector<std::string>& path, const std::string& name) {
        std::string wanted;
        for (std::size_t i = 0; i + 1 < path.size(); ++i) wanted += (i == 0 ? "" : "/") + path[i];
        if (folder_fd_ >= 0 && wanted == folder_) return folder_fd_;
        int fd = open_below(wanted);
        if (fd < 0 && errno == ENOENT) fd = make_folders(path);
        if (fd < 0) {
            skip_errno(name);
            return -1;
        }
        if (folder_fd_ >= 0) close(folder_fd_);
        folder_fd_ = fd;
        folder_ = wanted;
        return fd;
    }

    int make_folders(const std::vector<std::string>& path) {
        std::string so_far;
        for (std::size_t i = 0; i + 1 < path.size(); ++i) {
            Closer parent{open_below(so_far)};
            if (parent.fd < 0) return -1;
            if (mkdirat(parent.fd, path[i].c_str(), 0755) == 0)
                own(parent.fd, path[i].c_str());
            else if (errno != EEXIST)
                return -1;
            so_far += (i == 0 ? "" : "/") + path[i];
        }
        return open_below(so_far);
    }

    /// What is made is ours already.
    bool must_own() const { return rules_.set_owner && (rules_.uid != geteuid() || rules_.gid != getegid()); }

    void own(int parent, const char* last) const {
        // Of a folder or link that stays ours nothing is lost but its owner.
        if (must_own()) [[maybe_unused]]
            int owned = fchownat(parent, last, rules_.uid, rules_.gid, AT_SYMLINK_NOFOLLOW);
    }

    /// Makes room for something that is not a folder.
    static bool clear(int parent, const char* last) { return unlinkat(parent, last, 0) == 0 || errno == ENOENT; }

    bool file(int parent, const char* last, const Entry& entry) {
        std::size_t want = piece(entry.size);
        // What is small is here as a whole before anything is touched, and needs no other name meanwhile.
        bool whole = want == entry.size;
        if (whole && get(buffer_.get(), want) != static_cast<long>(want)) return end_inside(entry);
        Closer made{whole ? openat(parent, last, kNewFile, 0600) : -1};
        bool named = made.fd >= 0;
        if (!named) made.fd = make_part(parent);
        if (made.fd < 0) {
            skip_errno(entry.name);
            return whole ? drop_padding(entry) : drop(entry.size);
        }
        bool refused = false;
        for (std::uint64_t left = entry.size; left > 0;) {
            want = piece(left);
            if (!whole && get(buffer_.get(), want) != static_cast<long>(want)) {
                drop_part(parent);
                return end_inside(entry);
            }
            left -= want;
            if (refused || write_fully(made.fd, buffer_.get(), want)) continue;
            refused = true;
            skip_errno(entry.name);
            unlinkat(parent, named ? last : part_.c_str(), 0);
        }
        // The owner first: changing it takes the set-uid bit away.
        if (must_own() && fchown(made.fd, rules_.uid, rules_.gid) != 0) skip_errno(entry.name);
        if (fchmod(made.fd, entry.mode & rules_.mode_mask) != 0) skip_errno(entry.name);
        set_time(made.fd, entry.mtime);
        if (!refused && !named && renameat(parent, part_.c_str(), parent, last) != 0) {
            skip_errno(entry.name);
            drop_part(parent);
        }
        return drop_padding(entry);
    }

    static std::size_t piece(std::uint64_t left) { return left < kBuffer ? static_cast<std::size_t>(left) : kBuffer; }

    bool end_inside(const Entry& entry) { return break_off(entry.name + ": the stream ends inside of it"); }

    /// Behind a file's bytes.
    bool drop_padding(const Entry& entry) {
        char rest[kBlock];
        std::size_t pad = padding(entry.size);
        return get(rest, pad) == static_cast<long>(pad) || break_off("the stream ends before the archive does");
    }

    /// A file gets its name when it is whole: until then, and whatever ends us, what had that name stays as it was.
    int make_part(int parent) {
        constexpr int kTries = 100;  // each a file that was left by one who was killed
        int fd = -1;
        for (int i = 0; i < kTries && fd < 0; ++i) {
            part_ = ".vmette-part-" + std::to_string(getpid()) + "-" + std::to_string(parts_++);
            fd = openat(parent, part_.c_str(), kNewFile, 0600);
            if (fd < 0 && errno != EEXIST) break;
        }
        return fd;
    }
    void drop_part(int parent) const { unlinkat(parent, part_.c_str(), 0); }

    static bool write_fully(int fd, const char* from, std::size_t size) {
        for (std::size_t done = 0; done < size;) {
            ssize_t n = write(fd, from + done, size - done);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) return false;
            done += static_cast<std::size_t>(n);
        }
        return true;
    }

    void folder(int parent, const std::vector<std::string>& path, const Entry& entry) {
        const char* last = path.back().c_str();
        if (mkdirat(parent, last, 0700) == 0) {
            own(parent, last);
            folders_.push_back({path, entry.mode & rules_.mode_mask, entry.mtime});
            return;
        }
        struct stat info{};
        int flags = rules_.follow_links ? 0 : AT_SYMLINK_NOFOLLOW;
        if (errno != EEXIST || fstatat(parent, last, &info, flags) != 0) return skip_errno(entry.name);
        if (!S_ISDIR(info.st_mode)) skip(entry.name, "something else than a folder is in its place");
    }

    /// Whether a symlink at a path of so many components may have this target; said when not.
    bool may_lead(const std::string& target, const Entry& entry, std::size_t components) {
        // With a new name, the tree begins below its first component.
        std::size_t depth = components - 1;
        if (!rules_.rename.empty()) depth = depth > 0 ? depth - 1 : 0;
        if (!rules_.refuse_outside_links || !leads_out(target, depth)) return true;
        skip(entry.name, "refused, a link that leads out of the tree (" + target + ")");
        return false;
    }

    void symlink(int parent, const char* last, const Entry& entry, std::size_t components) {
        if (!may_lead(entry.target, entry, components)) return;
        if (symlinkat(entry.target.c_str(), parent, last) != 0 &&
            (errno != EEXIST || !clear(parent, last) || symlinkat(entry.target.c_str(), parent, last) != 0))
            return skip_errno(entry.name);
        own(parent, last);
    }

    void hard_link(int parent, const char* last, const Entry& entry, std::size_t components) {
        std::vector<std::string> path;
        if (!place(entry.target, path) || path.empty())
            return skip(entry.name, "refused, a link to something outside of the archive's tree");
        std::string folder;
        for (std::size_t i = 0; i + 1 < path.size(); ++i) folder += (i == 0 ? "" : "/") + path[i];
        Closer from{open_below(folder)};
        if (from.fd < 0) return skip_errno(entry.name);
        // Another name of a symlink is a symlink elsewhere, and its target another one.
        char target[PATH_MAX];
        ssize_t length = readlinkat(from.fd, path.back().c_str(), target, sizeof target);
        if (length >= 0 && !may_lead(std::string(target, static_cast<std::size_t>(length)), entry, components)) return;
        if (linkat(from.fd, path.back().c_str(), parent, last, 0) == 0) return;
        if (errno != EEXIST || !clear(parent, last) || linkat(from.fd, path.back().c_str(), parent, last, 0) != 0)
            skip_errno(entry.name);
    }

    int in_;
    const UnpackRules& rules_;
    Listener& listener_;
    std::unique_ptr<char[]> buffer_;
    std::unique_ptr<char[]> ahead_;  ///< read and not used yet, from ahead_at_ to ahead_end_
    std::size_t ahead_at_ = 0, ahead_end_ = 0;
    bool whole_ = true, broken_ = false;
    bool first_ = true, empty_ = false;
    std::uint64_t entries_ = 0, bytes_ = 0;
    std::vector<Pending> folders_;  ///< each below the one before
    /// The folder that was used last: most entries lie beside the one before.
    int folder_fd_ = -1;
    std::string folder_;
    std::string part_;  ///< the name of what is being written, in its folder
    unsigned parts_ = 0;
};

}  // namespace

long read_fully(int fd, char* into, std::size_t size) {
    std::size_t done = 0;
    while (done < size) {
        ssize_t n = read(fd, into + done, size - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        if (n == 0) break;
        done += static_cast<std::size_t>(n);
    }
    return static_cast<long>(done);
}

Outcome unpack(int in, const UnpackRules& rules, Listener& listener) { return Unpacker(in, rules, listener).run(); }

bool open_destination(const std::string& destination, const std::string& name, UnpackRules& rules) {
    constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    rules.root = open(destination.c_str(), kFlags);
    if (rules.root >= 0) {
        rules.rename = name == "." ? "" : name;
        return true;
    }
    // A trailing slash asks for a folder.
    if (errno != ENOENT && errno != ENOTDIR) return false;
    if (name.empty() || destination.empty() || destination.back() == '/') return false;
    std::size_t slash = destination.rfind('/');
    std::string last = slash == destination.npos ? destination : destination.substr(slash + 1);
    if (last == "." || last == "..") return false;
    std::string parent = slash == destination.npos ? "." : destination.substr(0, slash + 1);
    rules.root = open(parent.c_str(), kFlags);
    rules.rename = last;
    return rules.root >= 0;
}

}  // namespace vmette::copying
