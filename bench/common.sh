# What the benchmarks share: a state of their own, and the bare QEMU command line. Sourced with $build set.
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
