#include "vm/parts.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "base/log.h"
#include "vm/accel.h"
#include "vm/discard.h"
#include "vm/scratch.h"
#include "vm/snapshots.h"

namespace vmette::vm {
namespace {

/// The first number above the standard descriptors.
constexpr int kFirstInherited = 3;
/// How long the kernel may take to end a process that was sent SIGKILL before we go on without its status.
constexpr std::chrono::seconds kReapLimit{2};
/// Of calls over the channel alone, where any number does.
constexpr std::uint32_t kCallPort = 5000;
/// How long to find out whether virtiofsd works here.
constexpr std::chrono::seconds kShareProbeLimit{2};

Result<> check_boot_file(const std::filesystem::path& path, std::string_view what) {
    if (::access(path.c_str(), R_OK) == 0) return {};
    return fail_errno(fmt::format("open the {} {}", what, path.string()));
}

/// No descriptor when the root is no image.
Result<Fd> open_root(const VmSpec& spec) {
    if (spec.root.source != RootSource::block_image || spec.root.path.empty()) return Fd();
    return open_file(spec.root.path, O_RDONLY);
}

/// A disk of the root image's size with nothing on it.
Result<Fd> make_blank_root(const VmSpec& spec) {
    VMETTE_TRY(Fd image, open_root(spec));
    struct stat info{};
    if (::fstat(image.get(), &info) != 0) return fail_errno("look at the image " + spec.root.path.string());
    Fd blank(::memfd_create("blank", MFD_CLOEXEC));
    if (!blank || ::ftruncate(blank.get(), info.st_size) != 0) return fail_errno("make a blank disk");
    // QEMU takes for a read-only disk a descriptor that can only read.
    return open_file(fmt::format("/proc/self/fd/{}", blank.get()), O_RDONLY);
}

QemuDevice* find_device(QemuPlan& plan, DeviceKind kind, std::string_view name) {
    auto found = std::ranges::find_if(plan.devices, [&](const QemuDevice& d) {
        return d.device.kind == kind && (name.empty() || d.device.name == name);
    });
    return found == plan.devices.end() ? nullptr : &*found;
}

/// Kills first, so that all of them die side by side, and waits then.
void reap(Process& process, std::string_view what, std::vector<std::string>& failures) {
    if (!process || process.wait_for(kReapLimit)) return;
    failures.push_back(
        fmt::format("{} (process {}) did not end within {} s of SIGKILL", what, process.pid(), kReapLimit.count()));
    // Its destructor would wait for it without limit. It has its signal; what is left of it is the kernel's.
    (void)new Process(std::move(process));
}

}  // namespace

Result<QemuPlan> Parts::plan(const VmSpec& spec) {
    VMETTE_CHECK_OK(check_device_budget(spec));
    QemuPlan plan{.program = {}, .spec = spec, .machine = choose_machine(spec), .devices = {}};
    VMETTE_TRY(plan.program, find_qemu());
    VMETTE_CHECK_OK(check_boot_file(spec.kernel, "kernel"));
    VMETTE_CHECK_OK(check_boot_file(spec.initramfs, "initramfs"));
    for (auto& device : device_list(spec)) plan.devices.push_back({.device = std::move(device), .mac = kGuestMac});
    return plan;
}

void Parts::open_calls(VmSpec& spec) {
    if (!spec.call_port) return;
    call_port = *spec.call_port != 0 ? *spec.call_port : kCallPort;
    if (!spec.vsock) return;
    auto opened = Vsock::open(*spec.call_port);
    if (opened) {
        call_port = opened->port;
        vsock = *std::move(opened);
        return;
    }
    log(LogLevel::warn, "no vsock: {}; programs call the host by vsock-send alone", opened.error().text());
    spec.vsock = false;
}

Result<Parts> Parts::make(const SessionHost& host, const VmSpec& asked) {
    Parts parts;
    VmSpec spec = asked;
    parts.open_calls(spec);
    VMETTE_TRY(QemuPlan plan, Parts::plan(spec));
    parts.resources_ = &host.resources;
    if (parts.vsock) {
        QemuDevice* device = find_device(plan, DeviceKind::vsock, {});
        device->cid = parts.vsock->cid;
        device->fd = parts.inherit(parts.vsock->vhost.get());
    }
    // The helpers first: they come up while QEMU starts.
    VMETTE_CHECK_OK(parts.start_network(spec, plan));
    VMETTE_CHECK_OK(parts.serve_shares(spec, plan));
    VMETTE_TRY(Fd root, open_root(spec));
    VMETTE_CHECK_OK(parts.open_disks(host, spec, std::move(root), plan));
    auto found = spec.warm ? Snapshots(host.layout).open(spec) : std::nullopt;
    if (found) {
        plan.memory = MemorySource::snapshot;
        plan.memory_fd = parts.snapshot_fd = parts.inherit(found->file.get());
        parts.snapshot = found->path;
    }
    VMETTE_CHECK_OK(parts.start_qemu(std::move(plan)));
    if (parts.net) parts.record(parts.net->process(), "slirp4netns");
    for (const auto& share : parts.shares)
        if (share.server) parts.record(share.server->process(), "virtiofsd " + share.tag);
    return parts;
}

Result<Parts> Parts::make(const SessionHost& host, const VmSpec& spec, const Fd& memory) {
    VMETTE_TRY(QemuPlan plan, Parts::plan(spec));
    Parts parts;
    parts.resources_ = &host.resources;
    VMETTE_TRY(Fd root, make_blank_root(spec));
    VMETTE_CHECK_OK(parts.open_disks(host, spec, std::move(root), plan));
    plan.memory = MemorySource::kept;
    plan.memory_fd = parts.inherit(memory.get());
    VMETTE_CHECK_OK(parts.start_qemu(std::move(plan)));
    return parts;
}

/// The number that a descriptor of ours has in QEMU's process.
int Parts::inherit(int fd) {
    int number = kFirstInherited + static_cast<int>(inherited_.size());
    inherited_.emplace_back(fd, number);
    return number;
}

Result<> Parts::start_network(const VmSpec& spec, QemuPlan& plan) {
    if (spec.net == NetMode::none) return {};
    VMETTE_TRY(net, NetNamespace::start());
    QemuDevice* device = find_device(plan, DeviceKind::net, {});
    device->fd = inherit(net->tap_fd());
    return {};
}

Result<> Parts::serve_shares(const VmSpec& spec, QemuPlan& plan) {
    std::optional<ShareTransport> transport = spec.share_transport;
    for (auto& device : plan.devices) {
        if (device.device.kind != DeviceKind::share) continue;
        if (!transport) transport = choose_share_transport(kShareProbeLimit).transport;
        const auto& tag = device.device.name;
        auto listed = std::ranges::find(spec.shares, tag, &ShareSpec::tag);
        const auto& folder = listed == spec.shares.end() ? spec.root.path : listed->host;
        ServedShare share{.tag = tag, .transport = *transport, .server = {}, .folder = {}};
        device.transport = *transport;
        if (*transport == ShareTransport::virtiofs) {
            VMETTE_TRY(share.server, ShareServer::start(folder, device.device.read_only));
            device.fd = inherit(share.server->socket());
        } else {
            VMETTE_TRY(share.folder, open_shared_folder(folder));
            device.fd = inherit(share.folder.get());
        }
        shares.push_back(std::move(share));
    }
    return {};
}

Result<> Parts::open_disks(const SessionHost& host, const VmSpec& spec, Fd root, QemuPlan& plan) {
    if (QemuDevice* device = find_device(plan, DeviceKind::block, kRootSerial))
        device->fd = inherit(disks_.emplace_back(std::move(root)).get());
    for (std::size_t i = 0; i < spec.disks.size(); ++i) {
        VMETTE_TRY(OpenDisk disk, open_disk(spec.disks[i].path, spec.disks[i].read_only));
        QemuDevice* device = find_device(plan, DeviceKind::block, disk_serial(i));
        device->format = disk.format;
        device->fd = inherit(disks_.emplace_back(std::move(disk.fd)).get());
    }
    if (QemuDevice* device = find_device(plan, DeviceKind::block, kScratchSerial)) {
        VMETTE_TRY(scratch_, make_scratch(host.layout, spec.scratch_bytes));
        device->discard_contents = true;
        device->fd = inherit(scratch_.get());
    }
    return {};
}

Result<> Parts::start_qemu(QemuPlan plan) {
    std::vector<Fd> far_ends;
    auto connect = [&](Fd& ours, int& number) -> Result<> {
        VMETTE_TRY(auto ends, make_socketpair());
        ours = std::move(ends[0]);
        number = inherit(ends[1].get());
        far_ends.push_back(std::move(ends[1]));
        return {};
    };
    VMETTE_CHECK_OK(connect(connections.qmp, plan.qmp_fd));
    VMETTE_CHECK_OK(connect(connections.channel, plan.channel_fd));
    VMETTE_CHECK_OK(connect(connections.console, plan.console_fd));
    VMETTE_TRY(qemu_words, LastWords::make());
    inherited_.emplace_back(qemu_words.write_end(), 2);

    ProcessSpec process;
    process.argv = qemu_arguments(plan);
    // It runs the guest's devices: it gets none of the user's environment, where secrets may be.
    process.environment = {"PATH=/usr/bin:/bin"};
    process.directory = "/";
    process.descriptors = std::move(inherited_);
    VMETTE_TRY(qemu, spawn(process));
    qemu_words.started();
    record(qemu, "qemu");
    for (auto& share : shares) {
        if (share.server) share.server->close_socket();
        share.folder.reset();
    }
    if (vsock) vsock->vhost.reset();
    // The locks of the user's disks are QEMU's now, and go with it. The scratch disk stays open, see release().
    disks_.clear();
    return {};
}

void Parts::record(const Process& process, std::string_view what) {
    auto identity = identify_process(process.pid());
    if (!identity) return;  // gone already: its watcher will tell
    auto id = resources_->process_started(*identity, what);
    if (id)
        recorded_.push_back(*id);
    else
        log(LogLevel::warn, "cannot note {}: {}", what, id.error().text());
}

std::vector<std::string> Parts::release() {
    std::vector<std::string> failures;
    auto each_process = [&](auto&& act) {
        act(qemu, std::string("QEMU"));
        for (auto& share : shares)
            if (share.server) act(share.server->process(), "virtiofsd of share " + share.tag);
        if (net) act(net->process(), std::string("slirp4netns"));
    };
    each_process([&](Process& process, const std::string& what) {
        if (auto sent = process.signal(SIGKILL); !sent) failures.push_back(what + ": " + sent.error().text());
    });
    each_process([&](Process& process, const std::string& what) { reap(process, what, failures); });
    connections = {};
    shares.clear();
    net.reset();
    disks_.clear();
    for (auto id : std::exchange(recorded_, {})) resources_->process_gone(id);
    if (auto discarded = discard(std::move(scratch_)); !discarded) failures.push_back(discarded.error().text());
    return failures;
}

}  // namespace vmette::vm
