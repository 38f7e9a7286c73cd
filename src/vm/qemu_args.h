#pragma once
/// QEMU's command line: a pure function of plain values.

#include <filesystem>
#include <string>
#include <vector>

#include "vm/devices.h"
#include "vm/disks.h"
#include "vm/shares.h"
#include "vm/spec.h"

namespace vmette::vm {

/// A device and what lies behind it. Descriptors are named by their number in QEMU's process.
struct QemuDevice {
    Device device;
    int fd = -1;  ///< block: the opened disk; share: vhost-user socket, or the folder (O_PATH); vsock
    DiskFormat format = DiskFormat::raw;  ///< block
    bool discard_contents = false;        ///< block: nothing in it outlives the run, so flushes need not reach the host
    ShareTransport transport{};           ///< share
    std::string mac;                      ///< net; its fd is the tap's, or -1: no link
    std::uint32_t cid = 0;                ///< vsock: the guest's address
};

/// Where the guest's memory comes from.
enum class MemorySource {
    fresh,
    kept,     ///< fresh, in a file that a snapshot is made of
    snapshot  ///< that file's, written to by copies of its pages alone; the machine waits for its state, by QMP
};

struct QemuPlan {
    std::filesystem::path program;
    VmSpec spec;
    Machine machine;
    std::vector<QemuDevice> devices;  ///< in the order of device_list()
    MemorySource memory = MemorySource::fresh;
    int memory_fd = -1;  ///< of a kept memory or a snapshot
    int qmp_fd = -1;     ///< stream sockets, one end each
    int channel_fd = -1;
    int console_fd = -1;
};

/// argv, argv[0] included.
std::vector<std::string> qemu_arguments(const QemuPlan& plan);

/// The kernel's command line. Only what the kernel needs: nothing of it is per run.
std::string kernel_command_line(const VmSpec& spec);

}  // namespace vmette::vm
