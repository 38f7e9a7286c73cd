#include "vm/guest_setup.h"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>

#include "vm/devices.h"

namespace vmette::vm {
namespace {

wire::RootKind root_kind(const RootSpec& root, ShareTransport transport) {
    if (root.source == RootSource::block_image) return wire::RootKind::block;
    return transport == ShareTransport::virtiofs ? wire::RootKind::virtiofs : wire::RootKind::plan9;
}

wire::UpperKind upper_kind(Upper upper) {
    switch (upper) {
        case Upper::none:
            return wire::UpperKind::none;
        case Upper::memory:
            return wire::UpperKind::tmpfs;
        case Upper::scratch:
            break;
    }
    return wire::UpperKind::scratch;
}

wire::Tool wire_tool(GuestTool tool) {
    switch (tool) {
        case GuestTool::pack:
            return wire::Tool::pack;
        case GuestTool::unpack:
            return wire::Tool::unpack;
        case GuestTool::program:
            break;
    }
    return wire::Tool::program;
}

std::vector<wire::Pair> pairs(const std::vector<std::pair<std::string, std::string>>& from) {
    std::vector<wire::Pair> out;
    out.reserve(from.size());
    for (const auto& [key, value] : from) out.push_back({key, value});
    return out;
}

wire::Network network(const NetSettings* net) {
    wire::Network out;
    if (net == nullptr) return out;
    out.present = true;
    out.address = net->address;
    out.gateway = net->gateway;
    out.dns = net->dns;
    out.mac = net->mac;
    out.prefix = net->prefix;
    out.mtu = net->mtu;
    return out;
}

}  // namespace

std::string fresh_entropy() {
    std::string bytes(kEntropyBytes, '\0');
    // Cannot fail for up to 256 bytes once the host's pool is ready, but be interrupted before that (getrandom(2)).
    while (::getrandom(bytes.data(), bytes.size(), 0) < 0 && errno == EINTR) {
    }
    return bytes;
}

std::uint64_t memory_reserve(std::uint64_t memory_bytes) { return std::clamp(memory_bytes / 32, 8 * kMiB, 256 * kMiB); }

wire::Setup compose_setup(const VmSpec& spec, const GuestSetup& setup, const SetupFacts& facts) {
    wire::Setup out;
    out.run_id = spec.run_id;
    out.hostname = setup.hostname;
    out.unix_time_ns = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(facts.now.time_since_epoch()).count());
    out.entropy = facts.entropy;
    out.root = static_cast<std::uint8_t>(root_kind(spec.root, facts.transport));
    if (spec.root.source == RootSource::block_image)
        out.root_serial = kRootSerial;
    else
        out.root_tag = kRootTag;
    out.upper = static_cast<std::uint8_t>(upper_kind(spec.root.upper));
    if (spec.root.upper == Upper::scratch) out.scratch_serial = kScratchSerial;
    out.switch_root = setup.switch_root;
    auto transport =
        facts.transport == ShareTransport::virtiofs ? wire::ShareTransport::virtiofs : wire::ShareTransport::plan9;
    for (const auto& share : spec.shares)
        out.shares.push_back({share.tag, static_cast<std::uint8_t>(transport), share.guest_path,
                              share.mode != ShareMode::rw, share.mode == ShareMode::overlay});
    for (std::size_t i = 0; i < spec.disks.size(); ++i)
        out.disks.push_back({disk_serial(i), spec.disks[i].guest_path, spec.disks[i].read_only});
    out.network = network(facts.net);
    out.ca_certs = setup.ca_certs;
    out.secret_files = pairs(setup.secret_files);
    out.memory_reserve = memory_reserve(spec.memory_bytes);
    out.pids = setup.pids;
    out.restored = facts.restored;
    out.call_port = facts.call_port;
    return out;
}

GuestFailureKind failure_kind(std::uint8_t kind) {
    switch (static_cast<wire::FailureKind>(kind)) {
        case wire::FailureKind::not_found:
            return GuestFailureKind::not_found;
        case wire::FailureKind::not_executable:
            return GuestFailureKind::not_executable;
        case wire::FailureKind::bad_user:
            return GuestFailureKind::bad_user;
        case wire::FailureKind::bad_workdir:
            return GuestFailureKind::bad_workdir;
        case wire::FailureKind::protocol:
            return GuestFailureKind::protocol;
        case wire::FailureKind::setup:
            break;
    }
    return GuestFailureKind::setup;
}

wire::Exec compose_exec(const GuestCommand& command) {
    wire::Exec out;
    out.tool = static_cast<std::uint8_t>(wire_tool(command.tool));
    out.argv = command.argv;
    out.env = pairs(command.env);
    out.workdir = command.workdir;
    out.user = command.user;
    out.tty = command.tty;
    out.columns = command.columns;
    out.rows = command.rows;
    out.stdin_open = command.stdin_open;
    return out;
}

}  // namespace vmette::vm
