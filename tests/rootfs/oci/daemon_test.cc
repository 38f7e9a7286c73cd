/// Images out of a container daemon: a socket that says what a test tells it to, in the words of Docker's API.

#include "rootfs/oci/daemon.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <map>
#include <mutex>
#include <thread>

#include "base/process.h"
#include "rootfs/fixture.h"

namespace vmette::rootfs::oci {
namespace {

constexpr char kId[] = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Answers each connection's first request with what stands for its path, byte for byte, and closes.
class FakeDaemon {
public:
    explicit FakeDaemon(const std::filesystem::path& path)
        : listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.native().copy(address.sun_path, sizeof address.sun_path - 1);
        EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
        EXPECT_EQ(::listen(listener_.get(), 8), 0);
        thread_ = std::thread([this] { serve(); });
    }
    ~FakeDaemon() {
        ::shutdown(listener_.get(), SHUT_RDWR);
        thread_.join();
    }
    void answer(const std::string& path, std::string_view status, const std::string& body) {
        raw(path, fmt::format("HTTP/1.1 {}\r\nContent-Length: {}\r\n\r\n{}", status, body.size(), body));
    }
    void raw(const std::string& path, std::string bytes) {
        std::lock_guard lock(mutex_);
        answers_[path] = std::move(bytes);
    }

private:
    void serve() {
        for (;;) {
            Fd peer(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
            if (!peer) return;
            std::string request(4096, '\0');
            ssize_t n = ::recv(peer.get(), request.data(), request.size(), 0);
            request.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
            if (!request.starts_with("GET ")) continue;
            std::string path = request.substr(4, request.find(' ', 4) - 4);
            std::string bytes = "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}";
            {
                std::lock_guard lock(mutex_);
                if (auto found = answers_.find(path); found != answers_.end()) bytes = found->second;
            }
            for (std::size_t at = 0; at < bytes.size();) {
                ssize_t sent = ::send(peer.get(), bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
                if (sent <= 0) break;
                at += static_cast<std::size_t>(sent);
            }
        }
    }

    Fd listener_;
    std::mutex mutex_;
    std::map<std::string, std::string> answers_;
    std::thread thread_;
};

class DaemonTest : public RootfsTest {
protected:
    Daemon found() {
        auto daemon = Daemon::find({.docker_host = "unix://" + socket_.string(), .xdg_runtime_dir = {}});
        EXPECT_TRUE(daemon) << daemon.error().text();
        return *std::move(daemon);
    }
    /// The ID, or the error; with the socket's path taken out.
    std::string id_of(const std::string& name) {
        auto source = parse_local_source("docker-daemon:" + name);
        EXPECT_TRUE(source) << source.error().text();
        auto id = found().image_id(*source, context());
        return id ? *id : without_socket(id.error().text());
    }
    std::string saved() {
        auto file = found().save(kId, context());
        if (!file) return without_socket(file.error().text());
        EXPECT_EQ(::lseek(file->get(), 0, SEEK_SET), 0);
    return read_all(file->get(), 1 << 20, "saved").value_or("unreadable");
    }
    std::string without_socket(std::string text) const {
        for (auto at = text.find(socket_.native()); at != text.npos; at = text.find(socket_.native()))
            text.replace(at, socket_.native().size(), "SOCKET");
        return text;
    }

    std::filesystem::path socket_ = dir / "docker.sock";
    FakeDaemon daemon_{socket_};
    const std::string about_ = "/images/docker.io/acme/app:1/json";
    const std::string archive_ = fmt::format("/images/{}/get", kId);
};

TEST_F(DaemonTest, NamesAnImageByItsId) {
    daemon_.answer(about_, "200 OK", fmt::format(R"({{"Id":"{}","RepoTags":["acme/app:1"]}})", kId));
    EXPECT_EQ(id_of("acme/app:1"), kId);
    daemon_.answer(about_, "200 OK", fmt::format(R"({{"Id":"{}"}})", std::string(kId).substr(7)));
    EXPECT_EQ(id_of("acme/app:1"), kId) << "as Podman writes it";
}

TEST_F(DaemonTest, MissingImageIsToldWithThoseThatAreThere) {
    daemon_.answer("/images/json", "200 OK", R"([{"RepoTags":["acme/app:2","x\u001b[1m:1"]},{"RepoTags":null}])");
    auto told = id_of("acme/app:1");
    EXPECT_TRUE(
        told.starts_with("the container daemon at SOCKET has no image docker.io/acme/app:1 (there are: acme/app:2"))
        << told;
    EXPECT_EQ(told.find('\x1b'), told.npos);
}

TEST_F(DaemonTest, NonsenseIsRefused) {
    for (const char* body : {"", "[]", "{", R"({"Id":5})", R"({"Id":"../../etc/passwd"})", R"({"Id":"sha256:12"})"}) {
        daemon_.answer(about_, "200 OK", body);
        EXPECT_TRUE(id_of("acme/app:1").starts_with("the container daemon at SOCKET")) << body;
    }
}

TEST_F(DaemonTest, ErrorOfTheDaemonIsToldOnOneLine) {
    daemon_.answer(about_, "500 Internal Server Error", R"({"message":"disk\nbroken \u001b[2J"})");
    auto told = id_of("acme/app:1");
    EXPECT_NE(told.find("answered 500 (disk"), told.npos) << told;
    EXPECT_EQ(told.find('\n'), told.npos);
    EXPECT_EQ(told.find('\x1b'), told.npos);
}

TEST_F(DaemonTest, SavesTheArchiveOfTheIdAndLeavesNoFile) {
    daemon_.answer(archive_, "200 OK", "the archive");
    EXPECT_EQ(saved(), "the archive");
    for (const auto& entry : std::filesystem::recursive_directory_iterator(layout.cache))
        EXPECT_FALSE(entry.is_regular_file()) << entry.path();
}

TEST_F(DaemonTest, CutArchiveIsAnError) {
    daemon_.raw(archive_, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf");
    EXPECT_TRUE(saved().starts_with("the container daemon at SOCKET")) << saved();
    daemon_.raw(archive_, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal");
    EXPECT_TRUE(saved().starts_with("the container daemon at SOCKET")) << saved();
    daemon_.raw(archive_, "no HTTP at all\r\n");
    EXPECT_TRUE(saved().starts_with("the container daemon at SOCKET")) << saved();
}

TEST_F(DaemonTest, ArchiveLargerThanTheLimitIsNotKept) {
    daemon_.answer(archive_, "200 OK", std::string(100'000, 'x'));
    auto limited = context();
    limited.limits.max_unpacked = 50'000;
    auto file = found().save(kId, limited);
    ASSERT_FALSE(file);
    EXPECT_NE(file.error().text().find("it sends more than"), std::string::npos) << file.error().text();
}

TEST(DaemonSocketsTest, DockerHostRulesAlone) {
    EXPECT_EQ(daemon_sockets({.docker_host = "unix:///run/x.sock", .xdg_runtime_dir = "/run/user/1"})->size(), 1u);
    EXPECT_EQ(daemon_sockets({.docker_host = "tcp://127.0.0.1:2375", .xdg_runtime_dir = {}}).error().code,
              ErrorCode::unsupported);
    EXPECT_EQ(daemon_sockets({.docker_host = "unix://relative", .xdg_runtime_dir = {}}).error().code,
              ErrorCode::bad_input);
    auto usual = daemon_sockets({.docker_host = {}, .xdg_runtime_dir = "/run/user/1"});
    ASSERT_TRUE(usual);
    EXPECT_EQ(usual->front(), "/var/run/docker.sock");
    EXPECT_GE(usual->size(), 3u);
}

TEST(DaemonSocketsTest, NobodyThereIsToldForEachPlace) {
    auto none = Daemon::find({.docker_host = "unix:///nowhere/docker.sock", .xdg_runtime_dir = {}});
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().message, "no container daemon answers (/nowhere/docker.sock: No such file or directory)");
}

}  // namespace
}  // namespace vmette::rootfs::oci
