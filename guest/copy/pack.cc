#include "pack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tar.h"

namespace vmette::copying {

namespace {

constexpr int kMaxDepth = 256;
constexpr std::size_t kBuffer = std::size_t{64} << 10;

class Packer {
public:
    Packer(int out, Listener& listener) : out_(out), listener_(listener) { buffer_.reserve(2 * kBuffer); }

    Outcome run(const std::string& path) {
        // Not to wait for the writer of a FIFO.
        int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        struct stat info{};
        if (fd < 0 || fstat(fd, &info) != 0) {
            say(path);
            if (fd >= 0) close(fd);
            return Outcome::nothing;
        }
        if (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)) {
            close(fd);
            listener_.on_problem(path + ": neither a file nor a folder");
            return Outcome::nothing;
        }
        take(fd, info, last_component(path), 0);
        buffer_.append(2 * kBlock, '\0');
        flush();
        if (broken_) return Outcome::nothing;
        return whole_ ? Outcome::whole : Outcome::partial;
    }

private:
    /// "." for what has no name: the root folder, "x/.".
    static std::string last_component(const std::string& path) {
        std::size_t end = path.find_last_not_of('/');
        if (end == path.npos) return ".";
        std::size_t slash = path.rfind('/', end);
        std::string name =
            path.substr(slash == path.npos ? 0 : slash + 1, end - (slash == path.npos ? 0 : slash + 1) + 1);
        return name == ".." ? "." : name;
    }

    void say(const std::string& name) {
        int number = errno;
        whole_ = false;
        listener_.on_problem(name + ": " + strerrordesc_np(number));
    }

    static Entry entry_of(Kind kind, const std::string& name, const struct stat& info) {
        Entry entry;
        entry.kind = kind;
        entry.name = name;
        entry.mode = info.st_mode & 07777;
        entry.mtime = info.st_mtime;
        return entry;
    }

    /// Owns `fd`, an open file or folder.
    void take(int fd, const struct stat& info, const std::string& name, int depth) {
        if (S_ISREG(info.st_mode)) return file(fd, info, name);
        Entry entry = entry_of(Kind::folder, name + "/", info);
        buffer_ += encode_header(entry);
        folder(fd, name, depth);
    }

    void file(int fd, const struct stat& info, const std::string& name) {
        Entry entry = entry_of(Kind::file, name, info);
        entry.size = static_cast<std::uint64_t>(info.st_size);
        buffer_ += encode_header(entry);
        bool cut = false;
        for (std::uint64_t left = entry.size; left > 0 && !broken_;) {
            std::size_t at = buffer_.size();
            std::size_t want = left < kBuffer ? static_cast<std::size_t>(left) : kBuffer;
            // What the header has promised must come, or the rest of the archive is lost: zeros.
            buffer_.resize(at + want, '\0');
            if (!cut && read_fully(fd, buffer_.data() + at, want) < static_cast<long>(want)) {
                cut = true;
                whole_ = false;
                listener_.on_problem(name + ": it became shorter, or cannot be read; there are zeros in its place");
            }
            left -= want;
            drain();
        }
        close(fd);
        buffer_.append(padding(entry.size), '\0');
        drain();
    }

    void folder(int fd, const std::string& name, int depth) {
        DIR* folder = fdopendir(fd);
        if (folder == nullptr) {
            say(name);
            close(fd);
            return;
        }
        errno = 0;
        while (!broken_) {
            errno = 0;
            const dirent* item = readdir(folder);
            if (item == nullptr) break;
            if (strcmp(item->d_name, ".") != 0 && strcmp(item->d_name, "..") != 0)
                below(fd, item->d_name, name == "." ? "./" + std::string(item->d_name) : name + "/" + item->d_name,
                      depth + 1);
        }
        if (errno != 0 && !broken_) say(name);
        closedir(folder);
    }

    void below(int parent, const char* item, const std::string& name, int depth) {
        struct stat info{};
        if (fstatat(parent, item, &info, AT_SYMLINK_NOFOLLOW) != 0) return say(name);
        if (S_ISLNK(info.st_mode)) return symlink(parent, item, name, info);
        if (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)) return left_out(name, "a device, socket or FIFO");
        if (depth > kMaxDepth) return left_out(name, "too deep");
        int fd = openat(parent, item, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
        // Looked at again: it may have been another thing a moment ago.
        if (fd < 0 || fstat(fd, &info) != 0) {
            say(name);
            if (fd >= 0) close(fd);
            return;
        }
        if (S_ISREG(info.st_mode) || S_ISDIR(info.st_mode)) return take(fd, info, name, depth);
        close(fd);
        left_out(name, "a device, socket or FIFO");
    }

    void left_out(const std::string& name, const char* why) {
        whole_ = false;
        listener_.on_problem(name + ": left out, " + why);
    }

    void symlink(int parent, const char* item, const std::string& name, const struct stat& info) {
        char target[4096];
        ssize_t length = readlinkat(parent, item, target, sizeof target);
        if (length < 0) return say(name);
        if (length == static_cast<ssize_t>(sizeof target)) return left_out(name, "its target is too long");
        Entry entry = entry_of(Kind::symlink, name, info);
        entry.target.assign(target, static_cast<std::size_t>(length));
        buffer_ += encode_header(entry);
        drain();
    }

    void drain() {
        if (buffer_.size() >= kBuffer) flush();
    }

    void flush() {
        for (std::size_t done = 0; done < buffer_.size() && !broken_;) {
            ssize_t n = write(out_, buffer_.data() + done, buffer_.size() - done);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) {
                if (errno != EPIPE)
                    listener_.on_problem(std::string("the stream cannot be written: ") + strerrordesc_np(errno));
                broken_ = true;
                break;
            }
            done += static_cast<std::size_t>(n);
        }
        buffer_.clear();
    }

    int out_;
    Listener& listener_;
    std::string buffer_;
    bool whole_ = true, broken_ = false;
};

}  // namespace

Outcome pack(const std::string& path, int out, Listener& listener) { return Packer(out, listener).run(path); }

}  // namespace vmette::copying
