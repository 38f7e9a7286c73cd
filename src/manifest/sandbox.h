#pragma once
/// What a sandbox manifest says, as plain values. Made by manifest/load.h, which has validated every one of them;
/// nothing here touches the host.

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/units.h"

namespace vmette::manifest {

/// `exec`: a string runs under /bin/sh -c, an array is an argv. Absent: the image's own command.
struct ShellCommand {
    std::string text;
    bool operator==(const ShellCommand&) const = default;
};
struct Argv {
    std::vector<std::string> words;  ///< never empty
    bool operator==(const Argv&) const = default;
};
using Exec = std::variant<ShellCommand, Argv>;

enum class Pull { missing, always, never };

struct Rootfs {
    /// As written, but a path-shaped local part made absolute. Which provider takes it is the rootfs library's matter.
    std::string source;
    bool read_only = false;
    Pull pull = Pull::missing;
    bool operator==(const Rootfs&) const = default;
};

enum class ShareMode { ro, rw, overlay };

struct Share {
    std::string tag;             ///< unique; [a-z0-9][a-z0-9_-]{0,30}
    std::filesystem::path host;  ///< absolute, symlinks resolved when the file was loaded for a run
    std::string guest;           ///< absolute path in the guest
    ShareMode mode = ShareMode::ro;
    bool operator==(const Share&) const = default;
};

struct Disk {
    std::filesystem::path path;  ///< absolute
    std::string guest;           ///< mount point; empty: not mounted
    bool read_only = false;
    bool operator==(const Disk&) const = default;
};

enum class PortProtocol { tcp, udp };

struct Port {
    std::string host_ip = "127.0.0.1";
    std::uint16_t host_port = 0;
    std::uint16_t guest_port = 0;
    PortProtocol protocol = PortProtocol::tcp;
    bool operator==(const Port&) const = default;
};

enum class NetMode { none, allowlist, nat };

/// One entry of `net.allow`, split but not resolved.
struct AllowRule {
    std::string host;                   ///< a name (with a leading "*." perhaps), an address, or address/prefix
    std::optional<std::uint16_t> port;  ///< absent: 443 and 80
    bool operator==(const AllowRule&) const = default;
};

struct Net {
    NetMode mode = NetMode::none;
    std::vector<AllowRule> allow;
    bool operator==(const Net&) const = default;
};

/// Where a secret comes from; its value is never held here.
struct Secret {
    std::string name;
    std::string env;  ///< the host's environment variable; empty when `file` is set
    std::filesystem::path file;
    bool expose_as_file = false;  ///< /run/secrets/NAME instead of an environment variable
    bool operator==(const Secret&) const = default;
};

struct Limits {
    std::uint32_t vcpus = 1;
    std::uint64_t memory = 512 * kMiB;            ///< bytes, a multiple of 1 MiB
    Duration timeout = std::chrono::minutes(10);  ///< 0: none. Of the command, from its start
    Duration boot_timeout = std::chrono::seconds(30);
    Duration idle_timeout{0};          ///< 0: none
    std::uint64_t output = 16 * kMiB;  ///< kept per stream, bytes
    std::uint32_t pids = 4096;
    Duration grace = std::chrono::seconds(5);
    bool operator==(const Limits&) const = default;
};

struct Artifact {
    std::string path;  ///< a glob in the guest
    std::uint64_t max = 64 * kMiB;
    bool operator==(const Artifact&) const = default;
};

struct Snapshot {
    std::optional<bool> warm;  ///< absent: from the second such run on
    std::vector<std::string> setup;
    bool operator==(const Snapshot&) const = default;
};

enum class Accel { automatic, kvm, tcg, hvf };

enum class VsockMode { automatic, off, port };

struct Vm {
    Accel accel = Accel::automatic;
    std::filesystem::path kernel;     ///< empty: the discovered one
    std::filesystem::path initramfs;  ///< empty: the discovered one
    std::string cmdline;              ///< appended to vmette's own
    VsockMode vsock = VsockMode::automatic;
    std::uint32_t vsock_port = 0;  ///< with VsockMode::port
    bool switch_root = false;
    std::filesystem::path ca_certs;  ///< empty: the default places
    bool operator==(const Vm&) const = default;
};

enum class StdinMode { none, inherit, file };

struct Stdin {
    StdinMode mode = StdinMode::none;
    std::filesystem::path file;  ///< with StdinMode::file
    bool operator==(const Stdin&) const = default;
};

/// A whole sandbox manifest.
struct Sandbox {
    std::int64_t schema = 1;
    std::string name;
    Rootfs rootfs;
    std::optional<Exec> exec;
    std::string workdir;  ///< empty: the image's, else /
    std::string user;     ///< name or uid[:gid]; empty: the image's, else root
    bool tty = false;
    Stdin stdin_source;
    std::uint64_t scratch = 8 * kGiB;  ///< bytes; 0: the overlay lives in guest memory
    std::vector<Share> shares;
    std::vector<Disk> disks;
    std::vector<Port> ports;
    Net net;
    std::vector<std::pair<std::string, std::string>> env;  ///< in the file's order, names unique
    std::vector<Secret> secrets;
    Limits limits;
    std::vector<Artifact> artifacts;
    Snapshot snapshot;
    Vm vm;
    std::map<std::string, std::string> labels;
    std::string metadata;  ///< the [metadata] table as TOML text, stored and never read; may be empty
    bool operator==(const Sandbox&) const = default;
};

}  // namespace vmette::manifest
