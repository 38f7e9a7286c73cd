#include "machine.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

namespace vmette::guest_test {

namespace {

using Clock = std::chrono::steady_clock;

/// The rate of the host's time-stamp counter, which the guest's kernel cannot measure under TCG.
std::uint64_t measure_tsc_khz() {
    const auto start = Clock::now();
    const std::uint64_t ticks = __builtin_ia32_rdtsc();
    while (Clock::now() - start < Milliseconds(20)) {
    }
    const std::uint64_t passed = __builtin_ia32_rdtsc() - ticks;
    const auto us = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start).count();
    return passed * 1000 / static_cast<std::uint64_t>(us);
}

std::string kernel_command_line(const MachineOptions& options) {
    std::string line = fmt::format(
        "console=ttyS0 quiet random.trust_cpu=on panic=-1 tsc_early_khz={} tsc=reliable no_timer_check noreplace-smp "
        "lapic_timer_hz=1000000000 reboot=t",
        measure_tsc_khz());
    if (options.bare) line += " vmette.bare";
    if (!options.extra_cmdline.empty()) line.append(" ").append(options.extra_cmdline);
    return line;
}

/// The words of `text`, which are separated by single blanks.
std::vector<std::string> words(std::string_view text) {
    std::vector<std::string> out;
    for (std::size_t end = 0; !text.empty(); text.remove_prefix(std::min(end + 1, text.size()))) {
        end = std::min(text.find(' '), text.size());
        out.emplace_back(text.substr(0, end));
    }
    return out;
}

std::vector<std::string> qemu_arguments(const Assets& assets, const MachineOptions& options) {
    std::vector<std::string> argv = words(
        "qemu-system-x86_64 -M microvm,x-option-roms=off,acpi=off,pit=off,pic=off,rtc=on,isa-serial=on -accel tcg "
        "-cpu max -no-reboot -nodefaults -no-user-config -display none -global virtio-mmio.force-legacy=false "
        "-chardev socket,id=console,fd=4 -serial chardev:console");
    auto add = [&argv](std::initializer_list<std::string> more) { argv.insert(argv.end(), more); };
    add({"-m", std::to_string(options.memory_mib), "-smp", std::to_string(options.vcpus), "-kernel", assets.kernel,
         "-initrd", assets.initramfs, "-append", kernel_command_line(options)});
    if (!options.bare)
        add({"-device", "virtio-serial-device,max_ports=2", "-chardev", "socket,id=ctl,fd=3", "-device",
             "virtserialport,chardev=ctl,name=vmette.ctl,id=ctl,nr=1"});
    for (std::size_t i = 0; i < options.disks.size(); ++i) {
        const TestDisk& disk = options.disks[i];
        add({"-drive",
             fmt::format("if=none,id=d{},format=raw,file={}{}", i, disk.path.string(),
                         disk.read_only ? ",readonly=on" : ""),
             "-device", fmt::format("virtio-blk-device,drive=d{},serial={}", i, disk.serial)});
    }
    for (std::size_t i = 0; i < options.folders.size(); ++i) {
        const TestFolder& folder = options.folders[i];
        add({"-fsdev",
             fmt::format("local,id=f{},path={},security_model=none{}", i, folder.path.string(),
                         folder.read_only ? ",readonly=on" : ""),
             "-device", fmt::format("virtio-9p-device,fsdev=f{},mount_tag={}", i, folder.tag)});
    }
    if (options.network)
        add({"-netdev", "user,id=n0,restrict=on,ipv6=off", "-device",
             "virtio-net-device,netdev=n0,mac=52:54:00:00:00:01"});
    return argv;
}

}  // namespace

Result<Assets> find_assets() {
    const char* folder = std::getenv("VMETTE_ASSETS_DIR");
    const char* build = std::getenv("VMETTE_BUILD_DIR");
    Assets assets;
    if (build != nullptr) {
        assets.kernel = std::filesystem::path(build) / "share/vmette/x86_64/vmlinux";
        assets.initramfs = std::filesystem::path(build) / "share/vmette/x86_64/initramfs.cpio";
    }
    if (folder != nullptr) {
        assets.kernel = std::filesystem::path(folder) / "vmlinux";
        assets.initramfs = std::filesystem::path(folder) / "initramfs.cpio";
    }
    if (!std::filesystem::exists(assets.kernel) || !std::filesystem::exists(assets.initramfs))
        return fail(ErrorCode::not_found, "no guest kernel and initramfs: run `guest/assets {}`",
                    build != nullptr ? build : "BUILD");
    return assets;
}

Result<std::unique_ptr<Machine>> Machine::start(const Assets& assets, const MachineOptions& options) {
    VMETTE_TRY(auto channel, make_socketpair());
    VMETTE_TRY(auto console, make_socketpair());
    ProcessSpec spec;
    spec.argv = qemu_arguments(assets, options);
    spec.descriptors = {{channel[1].get(), 3}, {console[1].get(), 4}};
    spec.descriptors.emplace_back(2, 2);
    VMETTE_TRY(Process qemu, spawn(spec));
    VMETTE_CHECK_OK(set_non_blocking(console[0].get(), true));
    return std::unique_ptr<Machine>(new Machine(std::move(qemu), std::move(channel[0]), std::move(console[0])));
}

void Machine::send(wire::Type type, std::uint16_t stream, std::string_view payload) {
    send_raw(wire::frame(type, stream, payload));
}

void Machine::send_raw(std::string_view bytes) {
    while (!bytes.empty()) {
        ssize_t n = ::send(channel_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n <= 0) return;
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
}

std::optional<Frame> Machine::take_frame() {
    wire::Header header;
    if (input_.size() < wire::kHeaderSize || !wire::decode_header(input_.data(), header)) return std::nullopt;
    if (input_.size() < wire::kHeaderSize + header.length) return std::nullopt;
    Frame frame{header.type, header.stream, input_.substr(wire::kHeaderSize, header.length)};
    input_.erase(0, wire::kHeaderSize + header.length);
    return frame;
}

std::optional<Frame> Machine::next_of_all(Milliseconds limit) {
    const auto deadline = Clock::now() + limit;
    for (;;) {
        if (auto frame = take_frame()) {
            if (frame->type == wire::Type::beat) ++beats_;
            return frame;
        }
        auto left = std::chrono::duration_cast<Milliseconds>(deadline - Clock::now());
        pollfd wait[2] = {{channel_.get(), POLLIN, 0}, {console_.get(), POLLIN, 0}};
        if (left.count() <= 0 || poll(wait, 2, static_cast<int>(left.count())) <= 0) return std::nullopt;
        console();
        if (wait[0].revents == 0) {
            if ((wait[1].revents & POLLHUP) != 0) return std::nullopt;
            continue;
        }
        char buffer[65536];
        ssize_t n = recv(channel_.get(), buffer, sizeof buffer, 0);
        if (n <= 0) return std::nullopt;
        input_.append(buffer, static_cast<std::size_t>(n));
    }
}

std::optional<Frame> Machine::next(Milliseconds limit) {
    const auto deadline = Clock::now() + limit;
    for (;;) {
        auto left = std::chrono::duration_cast<Milliseconds>(deadline - Clock::now());
        if (left.count() <= 0) return std::nullopt;
        auto frame = next_of_all(left);
        if (!frame || frame->type != wire::Type::beat) return frame;
    }
}

std::string Machine::console() {
    char buffer[4096];
    for (ssize_t n; (n = read(console_.get(), buffer, sizeof buffer)) > 0;)
        console_text_.append(buffer, static_cast<std::size_t>(n));
    return console_text_;
}

CommandResult read_to_end(Machine& machine, std::uint16_t stream, Milliseconds limit) {
    CommandResult result;
    const auto deadline = Clock::now() + limit;
    while (!result.exited && !result.failure) {
        auto frame = machine.next(std::chrono::duration_cast<Milliseconds>(deadline - Clock::now()));
        if (!frame) break;
        if (frame->stream != stream && frame->type != wire::Type::failed) continue;
        if (frame->type == wire::Type::out || frame->type == wire::Type::err) {
            (frame->type == wire::Type::out ? result.out : result.err) += frame->payload;
            wire::Credit credit{static_cast<std::uint8_t>(frame->type),
                                static_cast<std::uint32_t>(frame->payload.size())};
            machine.send(wire::Type::credit, stream, wire::encode(credit));
        }
        wire::Exited exited;
        wire::Failure failure;
        if (frame->type == wire::Type::exited && wire::decode(frame->payload, exited)) result.exited = exited;
        if (frame->type == wire::Type::failed && wire::decode(frame->payload, failure)) result.failure = failure;
    }
    return result;
}

CommandResult run(Machine& machine, const wire::Exec& exec, std::uint16_t stream, Milliseconds limit) {
    machine.send(wire::Type::exec, stream, wire::encode(exec));
    return read_to_end(machine, stream, limit);
}

wire::Exec shell(std::string_view script) {
    wire::Exec exec;
    exec.argv = {"/bin/sh", "-c", std::string(script)};
    return exec;
}

}  // namespace vmette::guest_test
