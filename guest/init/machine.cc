#include "machine.h"

#include <fcntl.h>
#include <linux/random.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#include "call_place.h"
#include "files.h"
#include "modules.h"

namespace vmette::guest {

namespace {

Outcome<> set_clock(std::uint64_t unix_time_ns) {
    if (unix_time_ns == 0) return {};
    timespec now{};
    now.tv_sec = static_cast<time_t>(unix_time_ns / 1000000000);
    now.tv_nsec = static_cast<long>(unix_time_ns % 1000000000);
    if (clock_settime(CLOCK_REALTIME, &now) != 0) return fail_errno("set the clock");
    return {};
}

/// Restored from one snapshot, two machines would otherwise draw the same numbers.
Outcome<> add_entropy(const std::string& bytes) {
    if (bytes.empty()) return {};
    Fd random(open("/dev/urandom", O_RDWR | O_CLOEXEC));
    if (!random) return fail_errno("open /dev/urandom");
    std::string request(sizeof(rand_pool_info) + bytes.size(), '\0');
    rand_pool_info header{};
    header.entropy_count = static_cast<int>(bytes.size() * 8);
    header.buf_size = static_cast<int>(bytes.size());
    memcpy(request.data(), &header, sizeof header);
    memcpy(request.data() + sizeof header, bytes.data(), bytes.size());
    if (ioctl(random.get(), RNDADDENTROPY, request.data()) != 0) return fail_errno("add entropy");
    if (ioctl(random.get(), RNDRESEEDCRNG) != 0) return fail_errno("reseed the random numbers");
    return {};
}

Outcome<> set_identity(const wire::Setup& setup) {
    GUEST_CHECK(set_clock(setup.unix_time_ns));
    GUEST_CHECK(add_entropy(setup.entropy));
    if (setup.hostname.empty()) return {};
    if (sethostname(setup.hostname.data(), setup.hostname.size()) != 0) return fail_errno("set the hostname");
    return {};
}

/// All that needs a root that can be written.
Outcome<> prepare(const Tree& tree, const wire::Setup& setup, Machine& machine) {
    GUEST_CHECK(prepare_system_folders(tree));
    GUEST_CHECK(prepare_mount_points(tree, setup));
    GUEST_CHECK(put_names(tree, setup));
    if (setup.call_port != 0)
        if (auto linked = link_send_tool(tree); !linked) machine.warnings.push_back(linked.error());
    return add_certificates(tree, setup.ca_certs, machine.warnings);
}

}  // namespace

std::uint64_t total_memory() {
    struct sysinfo info{};
    sysinfo(&info);
    return static_cast<std::uint64_t>(info.totalram) * info.mem_unit;
}

std::uint64_t free_memory() {
    struct sysinfo info{};
    sysinfo(&info);
    return static_cast<std::uint64_t>(info.freeram) * info.mem_unit;
}

Outcome<> arrange(const wire::Setup& setup, Machine& machine) {
    load_modules(false);
    GUEST_CHECK(set_identity(setup));
    GUEST_TRY(Root root, Root::assemble(setup));
    machine.upper.begin();
    const bool read_only = setup.upper == static_cast<std::uint8_t>(wire::UpperKind::none);
    GUEST_CHECK(prepare(root.tree(), setup, machine));
    if (read_only) GUEST_CHECK(root.freeze());
    GUEST_CHECK(root.mount_system(read_only));
    GUEST_CHECK(put_secrets(root.tree(), setup.secret_files));
    if (setup.call_port != 0) GUEST_CHECK(put_send_tool(root.tree()));
    GUEST_CHECK(mount_shares(root.tree(), setup.shares, machine.written));
    GUEST_CHECK(mount_disks(root.tree(), setup.disks, machine.written, machine.warnings));
    GUEST_CHECK(configure_network(setup.network));
    machine.network.begin();
    GUEST_CHECK(root.enter());
    return machine.group.create("/sys/fs/cgroup", CommandGroupLimits{free_memory(), setup.memory_reserve, setup.pids});
}

}  // namespace vmette::guest
