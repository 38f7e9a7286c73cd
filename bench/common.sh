# What the benchmarks share: a state of their own, and the bare QEMU command line. Sourced with $build set.
here="$(cd "$(dirname "$0")" && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT INT TERM
export VMETTE_CACHE_DIR="$work/cache" VMETTE_STATE_DIR="$work/state" VMETTE_RUNTIME_DIR="$work/run" VMETTE_CONFIG_DIR="$work/config"
vmette="$build/vmette"
busybox="squashfs+file://$build/rootfs/busybox.squashfs"
assets="$build/share/vmette/x86_64"
distro="$build/share/vmette-distro/x86_64"

# The median over the last N runs in this state of an expression of their phases (".boot_ms").
median_ms() {
    "$vmette" history --json --limit "$1" |
        jq "[.[].phases | $2] | sort | .[length / 2 | floor]"
}

# The bare QEMU command line: what `vmette plan` shows, less every device; same machine, processor and kernel parameters.
# It powers off as soon as its init begins.
bare_line() {
    khz="$("$vmette" plan --json "$here/true.toml" | jq -r '.qemu[]' | sed -n 's/.*tsc_early_khz=\([0-9]*\).*/\1/p')"
    printf '%s' "qemu-system-x86_64 -M microvm,x-option-roms=off,acpi=off,pit=off,pic=off,rtc=on,isa-serial=on -accel tcg \
-cpu max -m 512 -nodefaults -no-user-config -display none -no-reboot -serial null -kernel $assets/vmlinux \
-initrd $assets/initramfs.cpio -append 'console=ttyS0 quiet loglevel=0 random.trust_cpu=on panic=-1 tsc_early_khz=$khz \
tsc=reliable no_timer_check noreplace-smp lapic_timer_hz=1000000000 reboot=t vmette.bare'"
}
