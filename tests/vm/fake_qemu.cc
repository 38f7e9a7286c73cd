/// Stands in for QEMU in tests of the session: it takes QEMU's command line, finds the descriptors of channel, console
/// and monitor in it, and then plays the part that the kernel's file name asks for.

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <string_view>

#include "guest/protocol.h"

extern char** environ;

namespace {

using namespace vmette;
using wire::Type;

int channel = -1, console = -1, monitor = -1;

int descriptor_of(int count, char** arguments, std::string_view chardev) {
    std::string start = "socket,id=" + std::string(chardev) + ",fd=";
    for (int i = 0; i < count; ++i)
        if (std::string_view(arguments[i]).starts_with(start)) return std::atoi(arguments[i] + start.size());
    return -1;
}

std::string value_of(int count, char** arguments, std::string_view option) {
    for (int i = 0; i + 1 < count; ++i)
        if (arguments[i] == option) return arguments[i + 1];
    return {};
}

void say(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n <= 0) ::_exit(70);
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
}

void hello() {
    wire::GuestHello message;
    message.kernel = "fake";
    say(channel, wire::frame(Type::hello, 0, wire::encode(message)));
}

/// The next frame that is not credit.
wire::Header hear(std::string& payload) {
    wire::Header header;
    do {
        char head[wire::kHeaderSize];
        if (::recv(channel, head, sizeof head, MSG_WAITALL) != sizeof head) ::_exit(71);
        if (!wire::decode_header(head, header)) ::_exit(72);
        payload.resize(header.length);
        if (header.length > 0 && ::recv(channel, payload.data(), header.length, MSG_WAITALL) != header.length)
            ::_exit(73);
    } while (header.type == Type::credit);
    return header;
}

[[noreturn]] void stay() {
    while (true) ::pause();
}

/// What this process was given: "fds 0 1 2 3 …" and its environment.
std::string inheritance() {
    std::string out = "fds";
    for (int fd = 0; fd < 64; ++fd)
        if (::fcntl(fd, F_GETFD) >= 0) out += " " + std::to_string(fd);
    for (char** entry = environ; *entry != nullptr; ++entry) out += std::string("\n") + *entry;
    return out;
}

/// A guest that does all as it should; the command's output says what QEMU was given.
[[noreturn]] void play_whole_run() {
    std::string given = inheritance(), payload;
    hello();
    if (hear(payload).type != Type::setup) ::_exit(74);
    wire::Setup setup;
    if (!wire::decode(payload, setup)) ::_exit(75);
    wire::Ready ready;
    ready.warnings = {"a warning with \x1b[31mcolour"};
    say(channel, wire::frame(Type::ready, 0, wire::encode(ready)));
    if (hear(payload).type != Type::exec) ::_exit(76);
    say(channel, wire::frame(Type::started, 1, wire::encode(wire::Started{})));
    say(channel, wire::frame(Type::out, 1, given));
    say(channel, wire::frame(Type::err, 1, setup.hostname + " " + std::to_string(setup.entropy.size())));
    wire::Exited exited;
    exited.code = 3;
    say(channel, wire::frame(Type::exited, 1, wire::encode(exited)));
    if (hear(payload).type != Type::finish) ::_exit(77);
    wire::Usage usage;
    usage.cpu_us = 12;
    say(channel, wire::frame(Type::finished, 0, wire::encode(usage)));
    stay();
}

void complain(std::string_view text) { [[maybe_unused]] auto n = ::write(2, text.data(), text.size()); }

void play_early_end(std::string_view part) {
    if (part == "dies") {
        complain("a first line\nqemu: could not set up the \x1b[2Jmachine\n");
        ::_exit(1);
    }
    if (part == "crashes") {
        std::signal(SIGSEGV, SIG_DFL);
        std::raise(SIGSEGV);
    }
    if (part == "chatters") {
        std::string line(1000, 'e');
        line += '\n';
        for (int i = 0; i < 1000; ++i) complain(line);
        ::_exit(1);
    }
}

void play_broken_wire(std::string_view part) {
    if (part == "garbage") say(channel, "GET / HTTP/1.1\r\n\r\n");
    if (part == "oversized") {
        hello();
        std::string header(wire::kHeaderSize, '\0');
        wire::encode_header(header.data(), {0x7fffffff, Type::beat, 0});
        say(channel, header);
    }
    if (part == "truncated" || part == "truncated-exit") {
        hello();
        say(channel, wire::frame(Type::beat, 0, {}).substr(0, 5));
        if (part == "truncated-exit") ::_exit(0);
        ::shutdown(channel, SHUT_RDWR);
    }
    if (part == "hangs-up") ::shutdown(channel, SHUT_RDWR);
    if (part == "old-version") {
        wire::GuestHello message;
        message.version = 0;
        say(channel, wire::frame(Type::hello, 0, wire::encode(message)));
    }
}

void play_guests_end(std::string_view part) {
    if (part == "panics") {
        say(console, "[    1.0] Kernel panic - not syncing: Attempted to kill init!\r\n[    1.0] CPU: 0\r\n");
        say(monitor, "{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true, \"reason\": \"guest-reset\"}}\r\n");
        ::_exit(0);
    }
    if (part == "reboots") {
        say(monitor, "{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true, \"reason\": \"guest-reset\"}}\r\n");
        ::_exit(0);
    }
    if (part == "bad-monitor") {
        say(monitor, "this is no JSON\r\n");
        play_whole_run();
    }
}

}  // namespace

int main(int count, char** arguments) {
    std::string kernel = value_of(count, arguments, "-kernel");
    std::string part = kernel.substr(kernel.rfind('/') + 1);
    channel = descriptor_of(count, arguments, "channel");
    console = descriptor_of(count, arguments, "console");
    monitor = descriptor_of(count, arguments, "qmp");
    if (part == "whole-run") play_whole_run();
    play_early_end(part);
    play_broken_wire(part);
    play_guests_end(part);
    stay();
}
