#pragma once
/// The network of a guest with `net.mode = "nat"`: a network namespace of its own, joined to the outside by
/// slirp4netns, with the rules of net_rules.h in force in it before there is an outside. Nothing of it has a name on
/// the host, and all of it goes when the descriptors and the one process are gone.

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/process.h"
#include "vm/last_words.h"

namespace vmette::vm {

/// What the guest configures its interface with; IPv4, dotted.
struct NetSettings {
    std::string address, gateway, dns, mac;
    std::uint32_t prefix = 0;
    std::uint32_t mtu = 0;
    bool operator==(const NetSettings&) const = default;
};

/// Locally administered; one is enough for all guests, since no two share a link.
constexpr char kGuestMac[] = "52:54:00:76:6d:01";

/// One destination that the rules refused to the guest.
struct DeniedTarget {
    std::string host;      ///< IPv4, dotted
    std::string protocol;  ///< "tcp" or "udp"
    std::uint16_t port = 0;
    std::uint64_t packets = 0;
    bool operator==(const DeniedTarget&) const = default;
};

struct DeniedTraffic {
    std::uint64_t packets = 0;          ///< all of them, ICMP included
    std::vector<DeniedTarget> targets;  ///< at most kMaxDeniedTargets, by host and port
};
constexpr std::uint32_t kMaxDeniedTargets = 256;

/// One guest's network. Destroying it cuts the guest off and frees everything. Move-only; one thread.
class NetNamespace {
public:
    /// Makes the namespace and the guest's tap device; returns as soon as the tap is there (some 5 ms), while the rules
    /// and the way out are still being made: see ready_fd(). As root in a network namespace alone, else in a user
    /// namespace too. Errors: not_found (slirp4netns or nft is missing; the message names the package), unsupported (no
    /// /dev/net/tun, no user namespaces; the message says what to do), vm.
    static Result<NetNamespace> start();

    /// For QEMU's -netdev tap,fd=N, which finds out about vnet_hdr itself. QEMU needs a copy; ours may stay open.
    int tap_fd() const { return tap_.get(); }
    const NetSettings& settings() const { return settings_; }
    /// Readable once the outside is joined, or once that failed: then call joined(). Non-blocking.
    int ready_fd() const { return ready_.get(); }
    /// Requires that ready_fd() is readable. Fails with `vm` and what the helper said when the network did not come up:
    /// the guest then has none.
    Result<> joined();
    /// slirp4netns (before ready_fd(): the helper that becomes it, under the same pid). Watch its pidfd.
    Process& process() { return process_; }
    const Process& process() const { return process_; }
    /// What it said last on stderr, for the message about its death.
    std::string last_words() { return words_.take(); }
    /// What was refused so far. Runs nft in the namespace: some 10 ms, at most a second. Requires joined().
    Result<DeniedTraffic> denied() const;

private:
    NetNamespace() = default;
    NetSettings settings_;
    LastWords words_;
    Fd tap_, network_, user_, ready_;
    Fd leash_;  ///< slirp4netns ends when the other end sees this closed
    Process process_;
};

}  // namespace vmette::vm
