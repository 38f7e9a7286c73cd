#pragma once
/// Which accelerator works here, found by booting a guest, not by looking at /dev/kvm.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/units.h"
#include "vm/spec.h"

namespace vmette::vm {

/// The rate of the host's time-stamp counter in kHz, measured against the monotonic clock over `window` (50 ms gives
/// better than 10 ppm). 0 where there is no invariant counter.
std::uint64_t measure_tsc_khz(Duration window);

/// What a probe found.
struct AccelProbe {
    bool works = false;
    std::string detail;         ///< "booted in 0.31 s", "/dev/kvm: permission denied", "no hello within 5 s"
    std::uint64_t boot_ms = 0;  ///< until the guest's hello
};

/// What the answer depends on: it is remembered under this text (host's boot-stable id, QEMU's path, size and mtime,
/// the kernel's digest).
std::string probe_key(const std::filesystem::path& qemu, std::string_view kernel_digest);

/// Boots a guest under `accel` with a root of nothing and waits for its hello, for at most `limit`.
AccelProbe probe(Accel accel, const std::filesystem::path& kernel, const std::filesystem::path& initramfs,
                 bool kernel_has_timer_patch, bool kernel_has_mmio_cmdline, std::uint64_t tsc_khz, Duration limit);

/// Where QEMU is: VMETTE_QEMU, else qemu-system-x86_64 on PATH. `not_found` says which package holds it.
Result<std::filesystem::path> find_qemu();

}  // namespace vmette::vm
