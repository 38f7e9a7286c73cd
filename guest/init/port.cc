#include "port.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../protocol.h"

namespace vmette::guest {

namespace {

Fd look_for_port() {
    DIR* ports = opendir("/sys/class/virtio-ports");
    if (ports == nullptr) return {};
    Fd found;
    while (dirent* entry = readdir(ports)) {
        std::string_view name = entry->d_name;
        if (name.starts_with('.')) continue;
        std::string label = read_file(text("/sys/class/virtio-ports/", name, "/name").c_str(), 64);
        if (label != text(wire::kPortName, "\n")) continue;
        found = Fd(open(text("/dev/", name).c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
        break;
    }
    closedir(ports);
    return found;
}

/// A socket on which the kernel tells of devices that come and change.
Fd open_device_events() {
    Fd events(socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT));
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    address.nl_groups = 1;
    if (events && bind(events.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) events.reset();
    return events;
}

}  // namespace

Outcome<Fd> open_port(int limit_ms) {
    if (Fd port = look_for_port()) return port;
    Fd events = open_device_events();
    if (!events) return fail_errno("listen to the kernel's events");
    const std::uint64_t deadline = uptime_us() + static_cast<std::uint64_t>(limit_ms) * 1000;
    for (;;) {
        if (Fd port = look_for_port()) return port;
        std::uint64_t now = uptime_us();
        if (now >= deadline) return fail("no virtio-serial port named ", wire::kPortName);
        pollfd wait{events.get(), POLLIN, 0};
        poll(&wait, 1, static_cast<int>((deadline - now) / 1000) + 1);
        char event[4096];
        while (recv(events.get(), event, sizeof event, 0) > 0) {
        }
    }
}

}  // namespace vmette::guest
