#include "vm/snapshots.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>

#include "base/digest.h"
#include "base/log.h"
#include "base/process.h"
#include "vm/accel.h"
#include "vm/kept_files.h"
#include "vm/net.h"
#include "vm/qemu_args.h"

namespace vmette::vm {
namespace {

/// Empty files beside the snapshots: such a machine has booted; its snapshot is of no use.
constexpr std::string_view kBootedMark = ".booted", kFailedMark = ".failed";
constexpr std::size_t kMaxMarks = 256;
/// Then another one is made: what was the matter may have been this host's load, or somebody who killed QEMU.
constexpr std::chrono::minutes kDistrust{10};

std::filesystem::path mark_of(std::filesystem::path snapshot, std::string_view mark) {
    return snapshot.replace_extension(mark);
}

/// Without it things are only slower.
void leave_mark(const std::filesystem::path& mark) {
    auto folder = mark.parent_path();
    if (!make_cache_dir(folder)) return;
    if (auto left = open_file(mark, O_WRONLY | O_CREAT | O_NOFOLLOW); !left)
        log(LogLevel::debug, "{}", left.error().text());
    prune_files(folder, mark.extension().string(), kMaxMarks);
}

/// Whether a file is still the one that it was, without reading it.
std::string identity(const std::filesystem::path& path) {
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0) return path.string() + " missing";
    return fmt::format("{} {}:{} {} {}.{:09}", path.string(), status.st_dev, status.st_ino, status.st_size,
                       status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
}

/// What the names of this host's boot begin with.
std::string this_boot() { return own_identity().boot_id.substr(0, 8) + "-"; }

bool can_be_frozen(const VmSpec& spec) {
    return spec.accel == Accel::tcg && spec.root.source == RootSource::block_image && !spec.root.path.empty() &&
           spec.disks.empty() && spec.shares.empty() && !spec.vsock;
}

}  // namespace

std::uint64_t whole_memory_bytes(const VmSpec& spec) { return (spec.memory_bytes + kMiB - 1) / kMiB * kMiB; }

std::optional<std::filesystem::path> Snapshots::place(const VmSpec& spec) const {
    auto program = find_qemu();
    if (!can_be_frozen(spec) || !program) return std::nullopt;
    QemuPlan plan{.program = *program, .spec = spec, .machine = choose_machine(spec), .devices = {}};
    plan.spec.run_id.clear();
    for (auto& device : device_list(spec)) plan.devices.push_back({.device = std::move(device), .fd = 0, .mac = {}});
    struct stat root{};
    if (::stat(spec.root.path.c_str(), &root) != 0) return std::nullopt;
    std::string made_of =
        fmt::format("2\n{}\n{}\n{}\nroot {} scratch {}\n{}", identity(*program), identity(spec.kernel),
                    identity(spec.initramfs), root.st_size, spec.scratch_bytes, fmt::join(qemu_arguments(plan), "\n"));
    return folder_ / (this_boot() + sha256_hex(made_of) + ".vm");
}

std::optional<Snapshot> Snapshots::open(const VmSpec& spec) const {
    auto path = place(spec);
    if (!path) return std::nullopt;
    if (!check_folder()) return std::nullopt;
    auto file = open_file(*path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (auto ours = file ? require_private(*file, *path) : Result<>(); !ours) {
        log(LogLevel::warn, "a snapshot is removed: {}", ours.error().text());
        ::unlink(path->c_str());
        return std::nullopt;
    }
    struct stat status{};
    auto memory = static_cast<off_t>(whole_memory_bytes(spec));
    if (!file || ::fstat(file->get(), &status) != 0 || !S_ISREG(status.st_mode) || status.st_size <= memory ||
        ::lseek(file->get(), memory, SEEK_SET) != memory)
        return std::nullopt;
    touch_file(*file);
    return Snapshot{std::move(*path), std::move(*file)};
}

Result<> Snapshots::check_folder() const {
    auto ours = require_cache_dir(folder_);
    if (!ours && ours.error().code == ErrorCode::not_found) return {};
    return ours;
}

void Snapshots::note_boot(const VmSpec& spec) const {
    if (auto path = place(spec)) leave_mark(mark_of(*path, kBootedMark));
}

bool Snapshots::worth_making(const VmSpec& spec) const {
    auto path = place(spec);
    if (!path || !check_folder()) return false;
    std::error_code failed;
    auto distrusted = std::filesystem::last_write_time(mark_of(*path, kFailedMark), failed);
    if (!failed && distrusted + kDistrust > std::filesystem::file_time_type::clock::now()) return false;
    return ::access(mark_of(*path, kBootedMark).c_str(), F_OK) == 0;
}

void Snapshots::remove_old() const {
    prune_files(folder_, ".vm", kMaxSnapshots);
    std::error_code failed;
    for (std::filesystem::directory_iterator entry(folder_, failed), end; !failed && entry != end;
         entry.increment(failed)) {
        bool kept = entry->path().filename().string().starts_with(this_boot()) || entry->path().extension() == ".lock";
        std::error_code ignored;
        if (!kept) std::filesystem::remove(entry->path(), ignored);
    }
}

void distrust_snapshot(const std::filesystem::path& path) {
    ::unlink(path.c_str());
    ::unlink(mark_of(path, kFailedMark).c_str());  // its time counts
    leave_mark(mark_of(path, kFailedMark));
}

}  // namespace vmette::vm
