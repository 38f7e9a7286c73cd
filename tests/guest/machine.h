#pragma once
/// A real guest for tests, driven frame by frame: nothing between the test and the wire.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/process.h"
#include "guest/protocol.h"

namespace vmette::guest_test {

using Milliseconds = std::chrono::milliseconds;

struct Frame {
    wire::Type type{};
    std::uint16_t stream = 0;
    std::string payload;
};

/// A disk of the machine: a file, or a name for what mksquashfs made.
struct TestDisk {
    std::string serial;
    std::filesystem::path path;
    bool read_only = true;
};

struct TestFolder {
    std::string tag;
    std::filesystem::path path;
    bool read_only = true;
};

struct MachineOptions {
    std::uint32_t memory_mib = 256;
    std::uint32_t vcpus = 1;
    std::vector<TestDisk> disks;
    std::vector<TestFolder> folders;  ///< by 9p
    bool network = false;
    bool bare = false;  ///< no port, and "vmette.bare" on the command line
    std::string extra_cmdline;
};

/// Where the kernel and initramfs under test are; nothing when they are not built (the message says how).
struct Assets {
    std::filesystem::path kernel, initramfs;
};
Result<Assets> find_assets();

/// QEMU with a guest in it. It is killed with the object.
class Machine {
public:
    static Result<std::unique_ptr<Machine>> start(const Assets& assets, const MachineOptions& options);

    void send(wire::Type type, std::uint16_t stream, std::string_view payload = {});
    void send_raw(std::string_view bytes);
    /// The next frame that is no beat; nothing when none came in time or the guest is gone.
    std::optional<Frame> next(Milliseconds limit = Milliseconds(10000));
    /// The next frame of any kind.
    std::optional<Frame> next_of_all(Milliseconds limit);
    /// Hangs up.
    void close_channel() { channel_.reset(); }
    /// Beats read so far.
    int beats() const { return beats_; }
    /// What the kernel and init said on the console so far.
    std::string console();
    Process& qemu() { return qemu_; }

private:
    Machine(Process qemu, Fd channel, Fd console)
        : qemu_(std::move(qemu)), channel_(std::move(channel)), console_(std::move(console)) {}
    std::optional<Frame> take_frame();

    Process qemu_;
    Fd channel_, console_;
    std::string input_, console_text_;
    int beats_ = 0;
};

/// How one command went, with its output and credit given back as it comes.
struct CommandResult {
    std::string out, err;
    std::optional<wire::Exited> exited;
    std::optional<wire::Failure> failure;
};

/// Sends an exec on `stream` and reads to its end.
CommandResult run(Machine& machine, const wire::Exec& exec, std::uint16_t stream = 1,
                  Milliseconds limit = Milliseconds(20000));
/// Reads a command that was started to its end.
CommandResult read_to_end(Machine& machine, std::uint16_t stream, Milliseconds limit = Milliseconds(20000));

/// `/bin/sh -c script` with an empty environment.
wire::Exec shell(std::string_view script);

}  // namespace vmette::guest_test
