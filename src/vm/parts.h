#pragma once
/// What one machine consists of on the host: processes, descriptors, its network. Made in one go, released in one go.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/process.h"
#include "vm/last_words.h"
#include "vm/net.h"
#include "vm/qemu_args.h"
#include "vm/session.h"
#include "vm/shares.h"
#include "vm/vsock.h"

namespace vmette::vm {

/// A share, and what serves it: its virtiofsd, or for 9p the folder that QEMU was given.
struct ServedShare {
    std::string tag;
    ShareTransport transport{};
    std::optional<ShareServer> server;
    Fd folder;
};

/// Our ends of QEMU's sockets.
struct Connections {
    Fd channel, console, qmp;
};

/// Move-only. Dropping it kills all of it; release() does so in order and says what failed.
class Parts {
public:
    /// Opens disks and image, makes scratch, shares and network, and starts QEMU; from a snapshot when the spec allows
    /// it and there is one. Errors: as of Session::start.
    static Result<Parts> make(const SessionHost& host, const VmSpec& spec);
    /// The same, booting and without a link, with the guest's memory in this file: for a snapshot to be. In place of
    /// the root image there is a blank disk of its size, for the snapshot must serve every image.
    static Result<Parts> make(const SessionHost& host, const VmSpec& spec, const Fd& memory);
    Parts(Parts&&) noexcept = default;
    Parts& operator=(Parts&&) noexcept = delete;
    ~Parts() { release(); }

    Process qemu;
    LastWords qemu_words;
    Connections connections;
    std::vector<ServedShare> shares;
    std::optional<NetNamespace> net;
    std::optional<Vsock> vsock;
    std::uint32_t call_port = 0;     ///< 0: programs of the guest cannot call the host
    std::filesystem::path snapshot;  ///< that QEMU starts from; empty: it boots
    int snapshot_fd = -1;            ///< its number in QEMU's process

    /// Kills and reaps every process, strikes them out of the resource log, frees the rest. Each step is taken whatever
    /// became of the others; returns what failed. A second call does nothing.
    std::vector<std::string> release();

private:
    Parts() = default;
    /// Decides the port, and whether the machine gets the vsock that its spec allows.
    void open_calls(VmSpec& spec);
    static Result<QemuPlan> plan(const VmSpec& spec);
    Result<> open_disks(const SessionHost& host, const VmSpec& spec, Fd root, QemuPlan& plan);
    Result<> serve_shares(const VmSpec& spec, QemuPlan& plan);
    Result<> start_network(const VmSpec& spec, QemuPlan& plan);
    Result<> start_qemu(QemuPlan plan);
    int inherit(int fd);
    void record(const Process& process, std::string_view what);

    /// Every descriptor that QEMU inherits, with its number there.
    std::vector<std::pair<int, int>> inherited_;
    std::vector<Fd> disks_;
    Fd scratch_;
    ResourceLog* resources_ = nullptr;
    std::vector<std::int64_t> recorded_;
};

}  // namespace vmette::vm
