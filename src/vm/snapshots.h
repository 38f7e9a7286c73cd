#pragma once
/// Booted guests, frozen at their hello, from which machines of the same build start at once. Nothing of a run is in
/// them: identity, entropy, clock and command come over the channel afterwards, as after a boot.
///
/// One file each: the guest's memory, and from there on QEMU's migration stream of the devices. QEMU maps the memory
/// privately, so any number of machines start from one file and share what they do not write.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/layout.h"
#include "vm/session.h"
#include "vm/spec.h"

namespace vmette::vm {

/// How many are kept; each takes what a booted guest has touched of its memory, some 50 MiB with 512 MiB.
constexpr std::size_t kMaxSnapshots = 8;

struct Snapshot {
    std::filesystem::path path;
    Fd file;  ///< positioned at the devices' state
};

/// The snapshots of one user on this host, since its boot: what the host's memory had not yet written to the disk when
/// it went down is worth nothing.
class Snapshots {
public:
    explicit Snapshots(const Layout& layout) : folder_(layout.snapshots_dir()) {}

    /// Where the snapshot of such a machine is kept: its name stands for all that went into the guest so far (QEMU with
    /// its arguments, kernel, initramfs, the disks' sizes). Nothing for machines that always boot: with folders of the
    /// host (virtio-fs does not migrate), with disks of the user's (whose partitions were read already), under KVM
    /// and with a vsock (not tried).
    std::optional<std::filesystem::path> place(const VmSpec& spec) const;
    /// `io` when others can write their folder, or own it: then none is used, and none is made.
    Result<> check_folder() const;
    /// The one that the machine can start from. One that others own or can write is removed, with a warning.
    std::optional<Snapshot> open(const VmSpec& spec) const;
    /// Notes that such a machine has booted.
    void note_boot(const VmSpec& spec) const;
    /// Such a machine has booted before, and its snapshot has not failed: one will be of use.
    bool worth_making(const VmSpec& spec) const;
    /// Makes one unless it is there or being made by another process, in about the time of a boot. A byte to read on
    /// `stop_fd` (-1: none) ends the attempt with `cancelled`. Errors: vm (the guest did not come up within
    /// `boot_limit`, QEMU failed), no_space, io, busy (another process is at it).
    Result<> make(const SessionHost& host, const VmSpec& spec, Duration boot_limit, int stop_fd) const;

private:
    /// All but the most recently used, and those of an earlier boot of the host.
    void remove_old() const;

    std::filesystem::path folder_;
};

/// A snapshot that did not get a guest ready is removed, and for some minutes not made again.
void distrust_snapshot(const std::filesystem::path& path);

/// Size of guest memory as QEMU is given it: whole MiB.
std::uint64_t whole_memory_bytes(const VmSpec& spec);

}  // namespace vmette::vm
