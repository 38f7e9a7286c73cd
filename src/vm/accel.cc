#include "vm/accel.h"

#include <cpuid.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <x86intrin.h>

#include <cstdlib>
#include <ctime>

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>

#include "base/process.h"
#include "base/text.h"
#include "vm/session.h"

namespace vmette::vm {
namespace {

constexpr char kKvmDevice[] = "/dev/kvm";
/// Enough for a distribution kernel with its modules in the initramfs.
constexpr std::uint64_t kProbeMemory = 256 * kMiB;

/// CPUID leaf 0x80000007, EDX bit 8: the counter runs at one rate in every power state (Intel SDM 17.17.1).
bool has_invariant_tsc() {
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid(0x80000007, &a, &b, &c, &d) != 0 && (d & 1U << 8) != 0;
}

struct ClockSample {
    std::uint64_t tsc = 0;
    std::int64_t ns = 0;
};

/// Reads both clocks as closely together as a few tries allow: a preemption between them would spoil the rate.
ClockSample sample_clocks() {
    ClockSample best;
    std::uint64_t narrowest = ~std::uint64_t{0};
    for (int i = 0; i < 8; ++i) {
        timespec now{};
        std::uint64_t before = __rdtsc();
        ::clock_gettime(CLOCK_MONOTONIC, &now);
        std::uint64_t width = __rdtsc() - before;
        if (width >= narrowest) continue;
        narrowest = width;
        best = {before + width / 2, now.tv_sec * std::int64_t{1'000'000'000} + now.tv_nsec};
    }
    return best;
}

/// The cheap reasons why KVM cannot work; a guest has to be booted for the others.
Result<> check_kvm_device() {
    auto kvm = open_file(kKvmDevice, O_RDWR);
    if (!kvm) {
        if (::access(kKvmDevice, F_OK) != 0)
            return fail(ErrorCode::unsupported,
                        "there is no /dev/kvm: hardware virtualization is off, or not passed on");
        return fail(ErrorCode::unsupported, "/dev/kvm: permission denied (add yourself to the group kvm)");
    }
    int version = ::ioctl(kvm->get(), KVM_GET_API_VERSION, 0);
    if (version != KVM_API_VERSION)
        return fail(ErrorCode::unsupported, "/dev/kvm speaks API version {}, and QEMU needs {}", version,
                    KVM_API_VERSION);
    return {};
}

/// Probes are over before anything could outlive them, so nothing is written down.
class NoLog final : public ResourceLog {
public:
    Result<std::int64_t> process_started(const ProcessIdentity&, std::string_view) override { return 0; }
    void process_gone(std::int64_t) override {}
};

/// Ends the loop at the guest's hello or at the machine's death.
class HelloWaiter final : public SessionObserver {
public:
    explicit HelloWaiter(asio::io_context& io) : io_(io) {}
    bool greeted = false;
    std::string death;

    void on_hello() override {
        greeted = true;
        io_.stop();
    }
    void on_death(const Death& why) override {
        death = why.message;
        io_.stop();
    }
    void on_ready(const std::vector<std::string>&) override {}
    void on_started() override {}
    void on_output(Stream, std::string_view) override {}
    void on_console(std::string_view) override {}
    void on_exited(const CommandEnd&) override {}
    void on_guest_failure(const GuestFailure&) override {}
    void on_finished(const GuestUsage&) override {}
    void on_silence(bool) override {}
    void on_stdin_room() override {}

private:
    asio::io_context& io_;
};

AccelProbe boot(const VmSpec& spec, Duration limit) {
    asio::io_context io;
    SystemClock clock;
    NoLog log;
    Layout layout;
    SessionHost host{layout, clock, log};
    HelloWaiter waiter(io);
    auto begin = clock.monotonic();
    auto session = Session::start(io, host, spec, waiter);
    if (!session) return {false, session.error().text(), 0};
    io.run_for(limit);
    auto took = std::chrono::duration_cast<Duration>(clock.monotonic() - begin);
    (*session)->pull();
    if (waiter.greeted) return {true, "booted in " + human_duration(took), static_cast<std::uint64_t>(took.count())};
    if (!waiter.death.empty()) return {false, waiter.death, 0};
    return {false, fmt::format("no hello from the guest within {}", human_duration(limit)), 0};
}

}  // namespace

std::uint64_t measure_tsc_khz(Duration window) {
    if (!has_invariant_tsc()) return 0;
    auto begin = sample_clocks();
    timespec pause{window.count() / 1000, (window.count() % 1000) * 1'000'000};
    ::nanosleep(&pause, nullptr);
    auto end = sample_clocks();
    std::int64_t ns = end.ns - begin.ns;
    if (ns <= 0 || end.tsc <= begin.tsc) return 0;
    return static_cast<std::uint64_t>(static_cast<double>(end.tsc - begin.tsc) * 1e6 / static_cast<double>(ns) + 0.5);
}

std::string probe_key(const std::filesystem::path& qemu, std::string_view kernel_digest) {
    auto machine = read_file("/etc/machine-id", 64);
    utsname host{};
    ::uname(&host);
    std::error_code failed;
    auto size = std::filesystem::file_size(qemu, failed);
    auto changed = std::filesystem::last_write_time(qemu, failed).time_since_epoch().count();
    // Joining the group kvm, or a module loaded since, is a new question as well.
    bool kvm = ::access(kKvmDevice, R_OK | W_OK) == 0;
    return fmt::format("host {} {} {}, kvm {}, qemu {} {} {}, kernel {}",
                       machine ? machine->substr(0, machine->find('\n')) : "", host.nodename, host.release,
                       kvm ? "open" : "closed", qemu.string(), size, changed, kernel_digest);
}

AccelProbe probe(Accel accel, const std::filesystem::path& kernel, const std::filesystem::path& initramfs,
                 bool kernel_has_timer_patch, bool kernel_has_mmio_cmdline, std::uint64_t tsc_khz, Duration limit) {
    if (accel == Accel::kvm) {
        if (auto usable = check_kvm_device(); !usable) return {false, usable.error().text(), 0};
    }
    VmSpec spec;
    spec.kernel = kernel;
    spec.initramfs = initramfs;
    spec.kernel_has_timer_patch = kernel_has_timer_patch;
    spec.kernel_has_mmio_cmdline = kernel_has_mmio_cmdline;
    spec.accel = accel;
    spec.tsc_khz = tsc_khz;
    spec.memory_bytes = kProbeMemory;
    return boot(spec, limit);
}

Result<std::filesystem::path> find_qemu() {
    if (const char* named = ::getenv("VMETTE_QEMU"); named != nullptr && *named != '\0') {
        auto found = find_program(named);
        if (!found) return fail(ErrorCode::not_found, "VMETTE_QEMU names {}, which is no program", named);
        return *found;
    }
    auto found = find_program("qemu-system-x86_64");
    if (!found) return fail(ErrorCode::not_found, "QEMU is not installed: install the package qemu-system-x86");
    return *found;
}

}  // namespace vmette::vm
