/// A guest that means harm: PID 1 of an initramfs of the tests. The kernel's command line says what it does
/// ("hostile=garbage": the kernel hands words that it does not know to init as environment).

#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "guest/protocol.h"

namespace {

using namespace vmette::wire;

int port = -1;

[[noreturn]] void hang() {
    for (;;) ::pause();
}

int open_port() {
    for (;;) {
        DIR* ports = ::opendir("/sys/class/virtio-ports");
        for (dirent* entry = nullptr; ports != nullptr && (entry = ::readdir(ports)) != nullptr;) {
            std::string name = entry->d_name;
            if (name.starts_with(".")) continue;
            char label[64] = {};
            int file = ::open(("/sys/class/virtio-ports/" + name + "/name").c_str(), O_RDONLY);
            ssize_t size = ::read(file, label, sizeof label - 1);
            ::close(file);
            if (size > 0 && std::string_view(label) == std::string(kPortName) + "\n")
                return ::open(("/dev/" + name).c_str(), O_RDWR);
        }
        if (ports != nullptr) ::closedir(ports);
        ::usleep(1000);
    }
}

void put(std::string_view bytes) {
    while (!bytes.empty()) {
        ssize_t n = ::write(port, bytes.data(), bytes.size());
        if (n <= 0) hang();
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
}

std::string get(std::size_t size) {
    std::string bytes(size, '\0');
    for (std::size_t at = 0; at < size;) {
        ssize_t n = ::read(port, bytes.data() + at, size - at);
        if (n > 0) at += static_cast<std::size_t>(n);
    }
    return bytes;
}

/// Reads frames of the host until one of this type.
void await(Type wanted) {
    for (;;) {
        Header header;
        if (!decode_header(get(kHeaderSize).data(), header)) hang();
        get(header.length);
        if (header.type == wanted) return;
    }
}

template <class T>
void say(Type type, std::uint16_t stream, const T& message) {
    put(frame(type, stream, encode(message)));
}

void beat() { put(frame(Type::beat, 0, "")); }

[[noreturn]] void beat_for_ever() {
    for (;;) {
        beat();
        ::usleep(kBeatMilliseconds * 1000);
    }
}

/// As a decent guest would.
void come_up() {
    GuestHello hello;
    hello.kernel = "6.1.0-hostile";
    say(Type::hello, 0, hello);
    await(Type::setup);
    say(Type::ready, 0, Ready{});
    await(Type::exec);
    say(Type::started, 1, Started{.pid = 2});
}

void before_hello(std::string_view deed) {
    if (deed == "garbage") {
        std::string noise;
        for (unsigned i = 0, x = 1; i < 100000; ++i) noise += static_cast<char>((x = x * 1664525 + 1013904223) >> 24);
        put(noise);
    } else if (deed == "oversized") {
        std::string header(kHeaderSize, '\0');
        encode_header(header.data(), {kMaxPayload + 1, Type::hello, 0});
        put(header);
    } else if (deed == "truncated") {
        put(frame(Type::hello, 0, encode(GuestHello{})).substr(0, kHeaderSize + 3));
    } else if (deed == "short-hello") {
        put(frame(Type::hello, 0, encode(GuestHello{}).substr(0, 8)));
    } else if (deed == "version") {
        say(Type::hello, 0, GuestHello{.version = kVersion + 1});
    } else if (deed == "early-exit") {
        say(Type::exited, 1, Exited{});
    } else {
        return;
    }
    hang();
}

void after_start(std::string_view deed) {
    if (deed == "flood") {  // data without credit
        for (;;) put(frame(Type::out, 1, std::string(kMaxChunk, 'x')));
    } else if (deed == "beats") {
        for (;;) beat();
    } else if (deed == "stream") {
        put(frame(Type::out, 77, "not of any command"));
    } else if (deed == "type") {
        put(frame(static_cast<Type>(200), 0, ""));
    } else if (deed == "credit") {  // far more than any sane guest, again and again
        for (int i = 0; i < 1000; ++i)
            say(Type::credit, 1, Credit{.channel = static_cast<std::uint8_t>(Type::in), .bytes = 0xFFFFFFFF});
    } else if (deed == "calls") {
        for (std::uint16_t stream = kFirstCallStream;; ++stream) put(frame(Type::call, stream, ""));
    } else if (deed == "call-flood") {  // at whoever is there, without asking
        put(frame(Type::call, kFirstCallStream, ""));
        for (;;) put(frame(Type::out, kFirstCallStream, std::string(kMaxChunk, 'x')));
    } else if (deed == "call-churn") {  // calls without end, and nothing of them is ever read
        for (;;) put(frame(Type::call, kFirstCallStream, "") + frame(Type::gone, kFirstCallStream, ""));
    } else if (deed == "text") {
        vmette::wire::Failure failure;
        failure.kind = static_cast<std::uint8_t>(FailureKind::setup);
        failure.message = "\x1b]0;owned\x07\x1b[2J\nvmette: all is well\n" + std::string(kMaxString - 100, 'z');
        say(Type::failed, 0, failure);
    } else if (deed == "usage") {
        say(Type::exited, 1, Exited{});
        await(Type::finish);
        Usage usage;
        usage.cpu_us = usage.peak_memory_bytes = usage.scratch_bytes = usage.net_rx_bytes = usage.net_tx_bytes = ~0ULL;
        usage.warnings.assign(8000, "\x1b[31mwarning\x1b[0m");
        say(Type::finished, 0, usage);
    } else if (deed == "never-finished") {
        say(Type::exited, 1, Exited{.code = 5});
        beat_for_ever();
    } else if (deed == "silent") {
        hang();
    }
    beat_for_ever();
}

}  // namespace

int main() {
    ::mkdir("/sys", 0755);
    ::mkdir("/dev", 0755);
    ::mount("sysfs", "/sys", "sysfs", 0, nullptr);
    ::mount("devtmpfs", "/dev", "devtmpfs", 0, nullptr);
    const char* word = std::getenv("hostile");
    std::string_view deed = word != nullptr ? word : "";
    if (deed == "hang") hang();
    port = open_port();
    before_hello(deed);
    come_up();
    after_start(deed);
}
