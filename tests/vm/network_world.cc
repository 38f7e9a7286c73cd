#include "network_world.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "base/process.h"

namespace vmette::vm {
namespace {

Result<> run(std::vector<std::string> argv) {
    ProcessSpec spec;
    spec.argv = std::move(argv);
    VMETTE_TRY(auto done, run_captured(spec, std::chrono::seconds(10)));
    if (!done.ok()) return fail(ErrorCode::io, "{}: {}", fmt::join(spec.argv, " "), done.err);
    return {};
}

sockaddr_in endpoint(const std::string& address, std::uint16_t port) {
    sockaddr_in out{};
    out.sin_family = AF_INET;
    out.sin_port = htons(port);
    ::inet_pton(AF_INET, address.c_str(), &out.sin_addr);
    return out;
}

const sockaddr* generic(const sockaddr_in& address) { return reinterpret_cast<const sockaddr*>(&address); }

Result<Fd> open_own_network() { return open_file("/proc/thread-self/ns/net", O_RDONLY); }

Result<Fd> make_tap() {
    VMETTE_TRY(Fd tap, open_file("/dev/net/tun", O_RDWR | O_NONBLOCK));
    ifreq request{};
    request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
    std::strncpy(request.ifr_name, "eth0", IFNAMSIZ - 1);
    if (::ioctl(tap.get(), TUNSETIFF, &request) != 0) return fail_errno("make a tap");
    return tap;
}

std::string await(int fd, short events, int milliseconds) {
    pollfd wait{fd, events, 0};
    if (::poll(&wait, 1, milliseconds) == 0) return "timeout";
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    return error == 0 ? "" : ::strerrorname_np(error);
}

}  // namespace

std::optional<std::string> become_host(const std::string& own_address) {
    int user = ::geteuid() == 0 ? 0 : CLONE_NEWUSER;
    std::string uid_map = fmt::format("0 {} 1\n", ::geteuid()), gid_map = fmt::format("0 {} 1\n", ::getegid());
    if (::unshare(user | CLONE_NEWNET) != 0) return fmt::format("no network namespace: {}", std::strerror(errno));
    if (user != 0) {
        for (auto& [path, text] : {std::pair("/proc/self/setgroups", std::string("deny")),
                                   {"/proc/self/uid_map", uid_map},
                                   {"/proc/self/gid_map", gid_map}}) {
            auto file = open_file(path, O_WRONLY);
            if (!file || !write_all(file->get(), text)) return fmt::format("cannot write {}", path);
        }
    }
    if (::access("/dev/net/tun", R_OK | W_OK) != 0) return "this user may not open /dev/net/tun";
    for (const auto& command :
         std::vector<std::vector<std::string>>{{"ip", "link", "set", "lo", "up"},
                                               {"ip", "address", "add", own_address + "/32", "dev", "lo"},
                                               {"ip", "route", "add", "local", "0.0.0.0/0", "dev", "lo"}})
        if (auto done = run(command); !done) return done.error().text();
    return std::nullopt;
}

Servers::Servers(std::uint16_t port) {
    tcp_ = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    udp_ = Fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    auto any = endpoint("0.0.0.0", port);
    int on = 1;
    // Connections of an earlier test may still linger on the port.
    bool ready = ::setsockopt(tcp_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
                 ::bind(tcp_.get(), generic(any), sizeof any) == 0 && ::listen(tcp_.get(), 64) == 0 &&
                 ::bind(udp_.get(), generic(any), sizeof any) == 0;
    if (!ready) throw std::system_error(errno, std::generic_category(), "serve a port");
    auto ends = make_pipe();
    stop_read_ = std::move(ends->at(0));
    stop_write_ = std::move(ends->at(1));
    thread_ = std::thread([this] { serve(); });
}

Servers::~Servers() {
    stop_write_.reset();
    thread_.join();
}

void Servers::serve() {
    while (true) {
        std::array<pollfd, 3> wait = {
            {{stop_read_.get(), POLLIN, 0}, {tcp_.get(), POLLIN, 0}, {udp_.get(), POLLIN, 0}}};
        ::poll(wait.data(), wait.size(), -1);
        if (wait[0].revents != 0) return;
        Fd accepted(::accept4(tcp_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        char datagram[2048];
        sockaddr_in from{};
        socklen_t size = sizeof from;
        ssize_t n = ::recvfrom(udp_.get(), datagram, sizeof datagram, 0, reinterpret_cast<sockaddr*>(&from), &size);
        if (n > 0) ::sendto(udp_.get(), datagram, static_cast<std::size_t>(n), 0, generic(from), size);
    }
}

Result<std::unique_ptr<FakeGuest>> FakeGuest::start(int tap, const std::string& address, const std::string& gateway,
                                                    std::uint32_t prefix, std::uint32_t mtu) {
    std::unique_ptr<FakeGuest> guest(new FakeGuest);
    guest->outer_tap_ = tap;
    VMETTE_TRY(Fd home, open_own_network());
    if (::unshare(CLONE_NEWNET) != 0) return fail_errno("make the guest's namespace");
    auto configured = [&]() -> Result<> {
        VMETTE_TRY(guest->namespace_, open_own_network());
        VMETTE_TRY(guest->tap_, make_tap());
        VMETTE_CHECK_OK(run({"ip", "address", "add", fmt::format("{}/{}", address, prefix), "dev", "eth0"}));
        VMETTE_CHECK_OK(run({"ip", "link", "set", "eth0", "mtu", std::to_string(mtu), "up"}));
        return run({"ip", "route", "add", "default", "via", gateway});
    }();
    if (::setns(home.get(), CLONE_NEWNET) != 0) return fail_errno("come back from the guest's namespace");
    if (!configured) return Failure(configured.error());
    VMETTE_TRY(auto ends, make_pipe());
    guest->stop_read_ = std::move(ends[0]);
    guest->stop_write_ = std::move(ends[1]);
    guest->inwards_ = std::thread([g = guest.get()] { g->pump(g->outer_tap_, g->tap_.get()); });
    guest->outwards_ = std::thread([g = guest.get()] { g->pump(g->tap_.get(), g->outer_tap_); });
    return guest;
}

FakeGuest::~FakeGuest() {
    stop_write_.reset();
    if (inwards_.joinable()) inwards_.join();
    if (outwards_.joinable()) outwards_.join();
}

void FakeGuest::pump(int from, int to) {
    std::vector<char> frame(70000);
    while (true) {
        pollfd wait[2] = {{stop_read_.get(), POLLIN, 0}, {from, POLLIN, 0}};
        ::poll(wait, 2, -1);
        if (wait[0].revents != 0) return;
        ssize_t n = ::read(from, frame.data(), frame.size());
        if (n > 0 && ::write(to, frame.data(), static_cast<std::size_t>(n)) < 0 && errno == EBADFD) return;
    }
}

Result<Fd> FakeGuest::socket_inside(int type) const {
    VMETTE_TRY(Fd home, open_own_network());
    if (::setns(namespace_.get(), CLONE_NEWNET) != 0) return fail_errno("enter the guest's namespace");
    Fd made(::socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (::setns(home.get(), CLONE_NEWNET) != 0) return fail_errno("come back from the guest's namespace");
    return made;
}

std::string FakeGuest::connect(const std::string& address, std::uint16_t port) const {
    auto socket = socket_inside(SOCK_STREAM);
    if (!socket) return socket.error().text();
    auto target = endpoint(address, port);
    if (::connect(socket->get(), generic(target), sizeof target) == 0) return "connected";
    if (errno != EINPROGRESS) return ::strerrorname_np(errno);
    std::string failed = await(socket->get(), POLLOUT, 2000);
    return failed.empty() ? "connected" : failed;
}

std::string FakeGuest::ask(const std::string& address, std::uint16_t port) const {
    auto socket = socket_inside(SOCK_DGRAM);
    if (!socket) return socket.error().text();
    auto target = endpoint(address, port);
    if (::connect(socket->get(), generic(target), sizeof target) != 0) return ::strerrorname_np(errno);
    if (::send(socket->get(), "question", 8, 0) != 8) return ::strerrorname_np(errno);
    std::string failed = await(socket->get(), POLLIN, 1000);
    return failed.empty() ? "answered" : failed;
}

}  // namespace vmette::vm
