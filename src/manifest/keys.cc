#include "manifest/keys.h"

#include <algorithm>
#include <array>

#include "base/units.h"
#include "manifest/text_rules.h"

namespace vmette::manifest {
namespace {

using std::string_view;

constexpr std::array<string_view, 3> kPull{"missing", "always", "never"};
constexpr std::array<string_view, 3> kShareMode{"ro", "rw", "overlay"};
constexpr std::array<string_view, 3> kNetMode{"none", "allowlist", "nat"};
constexpr std::array<string_view, 4> kAccel{"auto", "kvm", "tcg", "hvf"};
constexpr std::array<string_view, 2> kExpose{"env", "file"};

constexpr std::int64_t kMebibyte = static_cast<std::int64_t>(kMiB);
constexpr std::int64_t kMinMemory = 32 * kMebibyte;  ///< less does not boot
constexpr std::int64_t kMinScratch = 8 * kMebibyte;  ///< less holds no ext4 journal
constexpr std::int64_t kMaxVcpus = 32;               ///< CONFIG_NR_CPUS of the guest's kernel
constexpr std::int64_t kMaxPids = 4194304;           ///< PID_MAX_LIMIT of a 64-bit kernel
constexpr std::size_t kMaxDevices = 64;              ///< more than any machine type has slots for
constexpr std::size_t kMaxArtifacts = 64;            ///< as many as guest/artifacts.h lets a run ask for

constinit const std::array kRootfsKeys{
    Key{.name = "source",
        .help = "the root filesystem: a folder, tar+file://, tar+https://, squashfs+file://, …",
        .example = R"("oci://ghcr.io/acme/agent:v3")",
        .rule = &kAnyText,
        .local_source = true},
    Key{.name = "read_only",
        .kind = Kind::boolean,
        .help = "no writable overlay at all",
        .example = "false",
        .fallback = "false"},
    Key{.name = "pull",
        .kind = Kind::choice,
        .help = "when to fetch: if it is missing, always, or never",
        .example = R"("always")",
        .fallback = R"("missing")",
        .choices = kPull},
};

constinit const std::array kShareKeys{
    Key{.name = "tag", .help = "its name; made from the path when left out", .example = R"("src")", .rule = &kTagRule},
    Key{.name = "host", .kind = Kind::host_path, .help = "a folder of the host", .example = R"("./src")"},
    Key{.name = "guest",
        .help = "where it is mounted; /mnt/<tag> when left out",
        .example = R"("/src")",
        .rule = &kMountRule},
    Key{.name = "mode",
        .kind = Kind::choice,
        .help = "ro, rw, or overlay: writes stay in the guest and vanish",
        .example = R"("ro")",
        .fallback = R"("ro")",
        .choices = kShareMode},
};

constinit const std::array kDiskKeys{
    Key{.name = "path",
        .kind = Kind::host_path,
        .help = "a raw image, or qcow2 by its magic",
        .example = R"("data.img")"},
    Key{.name = "guest",
        .help = "mounted there when it holds a filesystem",
        .example = R"("/data")",
        .rule = &kMountRule},
    Key{.name = "read_only",
        .kind = Kind::boolean,
        .help = "the guest may not write to it",
        .example = "false",
        .fallback = "false"},
};

constinit const std::array kScratchKeys{
    Key{.name = "size",
        .kind = Kind::size,
        .help = "0: the overlay lives in guest memory",
        .example = R"("8G")",
        .fallback = R"("8G")",
        .min = kMinScratch,
        .multiple_of = kMebibyte,
        .or_zero = true},
};

constinit const std::array kNetKeys{
    Key{.name = "mode",
        .kind = Kind::choice,
        .help = "none, or nat: the outside, but never the host or private networks; allowlist is not available yet",
        .example = R"("nat")",
        .fallback = R"("none")",
        .choices = kNetMode},
    Key{.name = "allow",
        .kind = Kind::text_list,
        .help = "with allowlist: names, addresses, ports (443 and 80 when left out)",
        .example = R"(["pypi.org", "*.debian.org:443", "10.1.2.3/32:5432"])",
        .rule = &kAllowRule,
        .later = true},
};

constinit const std::array kSecretKeys{
    Key{.name = "env", .help = "the host's variable that holds it", .example = R"("API_KEY")", .rule = &kEnvNameRule},
    Key{.name = "file",
        .kind = Kind::host_path,
        .help = "the host's file that holds it",
        .example = R"("~/.keys/api")",
        .later = true},
    Key{.name = "expose",
        .kind = Kind::choice,
        .help = "a variable, or the file /run/secrets/NAME",
        .example = R"("env")",
        .fallback = R"("env")",
        .choices = kExpose},
};

constinit const std::array kLimitKeys{
    Key{.name = "vcpus",
        .kind = Kind::integer,
        .help = "processors of the guest",
        .example = "1",
        .fallback = "1",
        .min = 1,
        .max = kMaxVcpus},
    Key{.name = "memory",
        .kind = Kind::size,
        .help = "of the guest, its kernel included",
        .example = R"("512M")",
        .fallback = R"("512M")",
        .min = kMinMemory,
        .multiple_of = kMebibyte},
    Key{.name = "timeout",
        .kind = Kind::duration,
        .help = "of the command, from its start; 0: none",
        .example = R"("10m")",
        .fallback = R"("10m")"},
    Key{.name = "boot_timeout",
        .kind = Kind::duration,
        .help = "of the guest until it is ready",
        .example = R"("30s")",
        .fallback = R"("30s")",
        .min = 1},
    Key{.name = "idle_timeout",
        .kind = Kind::duration,
        .help = "no output for so long: stopped; 0: never",
        .example = R"("0")",
        .fallback = R"("0")"},
    Key{.name = "output",
        .kind = Kind::size,
        .help = "kept per stream; what is beyond is counted and dropped",
        .example = R"("16M")",
        .fallback = R"("16M")"},
    Key{.name = "pids",
        .kind = Kind::integer,
        .help = "processes and threads of the command",
        .example = "4096",
        .fallback = "4096",
        .min = 1,
        .max = kMaxPids},
    Key{.name = "grace",
        .kind = Kind::duration,
        .help = "TERM to the command, then this long, then the VM is pulled",
        .example = R"("5s")",
        .fallback = R"("5s")"},
};

constinit const std::array kArtifactKeys{
    Key{.name = "path",
        .help = "what is copied out of the guest at the end",
        .example = R"("/out/**/*.json")",
        .rule = &kGuestGlobRule},
    Key{.name = "max",
        .kind = Kind::size,
        .help = "of all files of this entry together",
        .example = R"("64M")",
        .fallback = R"("64M")",
        .min = 1},
};

constinit const std::array kSnapshotKeys{
    Key{.name = "warm",
        .kind = Kind::boolean,
        .help = "start from a snapshot when one fits, make one when none does; default: from the second such run on",
        .example = "true"},
    Key{.name = "setup",
        .kind = Kind::text_list,
        .help = "commands run once, before the snapshot",
        .example = R"(["pip install -r /src/requirements.txt"])",
        .rule = &kAnyText,
        .shell = true,
        .later = true},
};

constinit const std::array kVmKeys{
    Key{.name = "accel",
        .kind = Kind::choice,
        .help = "what executes the guest; hvf is macOS's",
        .example = R"("tcg")",
        .fallback = R"("auto")",
        .choices = kAccel},
    Key{.name = "kernel",
        .kind = Kind::host_path,
        .help = "in place of the discovered kernel",
        .example = R"("./vmlinux")"},
    Key{.name = "initramfs",
        .kind = Kind::host_path,
        .help = "in place of the discovered initramfs",
        .example = R"("./initramfs.cpio")"},
    Key{.name = "cmdline",
        .help = "added to the kernel's parameters",
        .example = R"("loglevel=7")",
        .rule = &kOneLineRule},
    Key{.name = "vsock",
        .kind = Kind::vsock,
        .help = "the guest's port to the host: \"auto\", false, or its number",
        .example = R"("auto")",
        .fallback = R"("auto")",
        .min = 1,
        .max = UINT32_MAX - 1},
    Key{.name = "switch_root",
        .kind = Kind::boolean,
        .help = "the command's / is the guest's real root, not a chroot",
        .example = "true",
        .fallback = "false"},
    Key{.name = "ca_certs",
        .kind = Kind::host_path,
        .help = "certificates for the guest; default: VMETTE_CA_CERTS, then the config folder's certs/",
        .example = R"("~/corp-certs")"},
};

constinit const std::array kRootKeys{
    Key{.name = "schema",
        .kind = Kind::integer,
        .help = "the manifest's version",
        .example = "1",
        .fallback = "1",
        .min = 1,
        .max = 1},
    Key{.name = "name",
        .help = "of the sandbox; the file's stem when left out",
        .example = R"("hello")",
        .rule = &kNameRule},
    Key{.name = "rootfs",
        .kind = Kind::table,
        .help = "the root filesystem, as a string or a table",
        .children = kRootfsKeys,
        .short_form = "source"},
    Key{.name = "exec",
        .kind = Kind::command,
        .help = "a string runs under /bin/sh -c, an array as it is; the image's command when left out",
        .example = R"("echo hello")",
        .max_items = 4096,
        .expands = false,
        .shell = true},
    Key{.name = "workdir",
        .help = "where the command starts; the image's, else /",
        .example = R"("/src")",
        .rule = &kGuestDirRule},
    Key{.name = "user",
        .help = "name or uid[:gid]; the image's, else root",
        .example = R"("1000:1000")",
        .rule = &kUserRule},
    Key{.name = "tty",
        .kind = Kind::boolean,
        .help = "a pseudo-terminal, stdin joined",
        .example = "false",
        .fallback = "false"},
    Key{.name = "stdin",
        .help = "none, inherit, or a file's path",
        .example = R"("inherit")",
        .fallback = R"("none")",
        .rule = &kAnyText,
        .local_source = true},
    Key{.name = "scratch",
        .kind = Kind::table,
        .help = "the disk of the run, sparse and never kept: a size or a table",
        .children = kScratchKeys,
        .short_form = "size"},
    Key{.name = "shares",
        .kind = Kind::table_list,
        .help = "folders of the host, as strings or tables",
        .children = kShareKeys,
        .max_items = kMaxDevices,
        .short_expects = "HOST:GUEST[:ro|rw|overlay]"},
    Key{.name = "ports",
        .kind = Kind::text_list,
        .help = "of the host that lead into the guest; need a network",
        .example = R"(["127.0.0.1:8080:80"])",
        .rule = &kPortRule,
        .later = true},
    Key{.name = "disks",
        .kind = Kind::table_list,
        .help = "disk images",
        .children = kDiskKeys,
        .max_items = kMaxDevices},
    Key{.name = "net", .kind = Kind::table, .help = "what the guest can reach", .children = kNetKeys},
    Key{.name = "env",
        .kind = Kind::text_map,
        .help = "variables, after the image's own",
        .example = R"(LANG = "C.UTF-8")",
        .rule = &kEnvNameRule},
    Key{.name = "secrets",
        .kind = Kind::table_map,
        .help = "values that are stored nowhere",
        .example = R"(API_KEY = { env = "API_KEY" })",
        .rule = &kEnvNameRule,
        .children = kSecretKeys},
    Key{.name = "limits", .kind = Kind::table, .help = "on everything", .children = kLimitKeys},
    Key{.name = "artifacts",
        .kind = Kind::table_list,
        .help = "files copied out of the guest at the end, also after failure",
        .children = kArtifactKeys,
        .max_items = kMaxArtifacts},
    Key{.name = "snapshot", .kind = Kind::table, .help = "warm starts", .children = kSnapshotKeys},
    Key{.name = "vm", .kind = Kind::table, .help = "the machine", .children = kVmKeys},
    Key{.name = "labels",
        .kind = Kind::text_map,
        .help = "searchable in the history",
        .example = R"(team = "search")",
        .rule = &kLabelRule},
    Key{.name = "metadata",
        .kind = Kind::free,
        .help = "free, stored, never read",
        .example = R"(ticket = "ABC-1")",
        .expands = false},
};

constinit const Key kRoot{.kind = Kind::table, .children = kRootKeys};

}  // namespace

constinit const std::span<const string_view> kPullNames = kPull;
constinit const std::span<const string_view> kShareModeNames = kShareMode;
constinit const std::span<const string_view> kNetModeNames = kNetMode;
constinit const std::span<const string_view> kAccelNames = kAccel;
constinit const std::span<const string_view> kExposeNames = kExpose;

const Key& sandbox_root() { return kRoot; }

const Key* find_key(const Key& table, string_view name) {
    auto found =
        std::find_if(table.children.begin(), table.children.end(), [name](const Key& key) { return key.name == name; });
    return found == table.children.end() ? nullptr : &*found;
}

}  // namespace vmette::manifest
