#pragma once
/// What a virtual machine is made of, as plain values that need no more decisions: the scheduler makes them from a
/// manifest, `qemu_arguments` and Session only carry them out.

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/units.h"

namespace vmette::vm {

/// What executes the guest, decided (see accel.h).
enum class Accel { tcg, kvm };
std::string_view to_string(Accel accel);

enum class RootSource { block_image, directory };
/// Where the root's writes go.
enum class Upper { none, memory, scratch };

struct RootSpec {
    RootSource source = RootSource::block_image;
    std::filesystem::path path;  ///< the image (opened read-only) or the folder
    Upper upper = Upper::memory;
    bool operator==(const RootSpec&) const = default;
};

struct DiskSpec {
    std::filesystem::path path;
    std::string guest_path;  ///< empty: not mounted
    bool read_only = false;
    bool operator==(const DiskSpec&) const = default;
};

enum class ShareMode { ro, rw, overlay };

struct ShareSpec {
    std::string tag;
    std::filesystem::path host;  ///< a folder, absolute, symlinks resolved
    std::string guest_path;
    ShareMode mode = ShareMode::ro;
    bool operator==(const ShareSpec&) const = default;
};

enum class NetMode { none, nat };

/// How a host folder reaches the guest; defined in shares.h.
enum class ShareTransport;

/// One machine.
struct VmSpec {
    std::string run_id;
    std::filesystem::path kernel;
    std::filesystem::path initramfs;
    /// The kernel was built with guest/kernel/tcg-timer.patch: under TCG its parameters may be used.
    bool kernel_has_timer_patch = false;
    /// The kernel finds virtio-mmio devices named on its command line, so ACPI may be off where 8 devices are enough.
    bool kernel_has_mmio_cmdline = false;
    std::string extra_cmdline;
    Accel accel = Accel::tcg;
    std::uint64_t tsc_khz = 0;  ///< of the host, for TCG (accel.h); 0: not known
    std::uint32_t vcpus = 1;
    std::uint64_t memory_bytes = 512 * kMiB;
    RootSpec root;
    std::uint64_t scratch_bytes = 0;  ///< with Upper::scratch
    std::vector<DiskSpec> disks;
    std::vector<ShareSpec> shares;
    /// What choose_share_transport() found, when the caller remembers it; else each session with shares asks anew.
    std::optional<ShareTransport> share_transport;
    NetMode net = NetMode::none;
    /// Under which programs of the guest call the host; 0: any number. None: they cannot.
    std::optional<std::uint32_t> call_port;
    /// They can by AF_VSOCK too: the machine has a device for it, where the host still has one by then.
    bool vsock = false;
    /// Start from a snapshot of a booted guest where there is one (snapshots.h); the machine is the same.
    bool warm = false;
    bool operator==(const VmSpec&) const = default;
};

/// What the guest is told once it is up.
struct GuestSetup {
    std::string hostname;
    bool switch_root = false;
    std::vector<std::string> ca_certs;                              ///< PEM texts
    std::vector<std::pair<std::string, std::string>> secret_files;  ///< name, value
    std::uint32_t pids = 0;
};

/// What runs in the guest: a program of the image, or one end of a copy (guest/copy), which the guest brings itself.
enum class GuestTool { program, pack, unpack };

/// One command in the guest.
struct GuestCommand {
    GuestTool tool = GuestTool::program;
    std::vector<std::string> argv;
    std::vector<std::pair<std::string, std::string>> env;
    std::string workdir;
    std::string user;
    bool tty = false;
    std::uint32_t columns = 80, rows = 24;
    bool stdin_open = false;
};

/// Devices that one machine type can hold, counted before anything is started.
struct DeviceBudget {
    std::uint32_t used = 0;
    std::uint32_t limit = 0;
};
DeviceBudget device_budget(const VmSpec& spec);

}  // namespace vmette::vm
