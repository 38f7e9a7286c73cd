#include "rootfs/worker/confine.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <vector>

namespace vmette::rootfs {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
// The sanitizers map terabytes of shadow memory, and open files to report.
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
#error "the audit architecture of this machine is to be named here"
#endif

constexpr int kAllowed[] = {
    // Reading and writing what is open; nothing here makes a new descriptor.
    SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_pwrite64, SYS_lseek, SYS_fstat, SYS_ftruncate,
    SYS_close, SYS_newfstatat,
    // Memory.
    SYS_mmap, SYS_munmap, SYS_mremap, SYS_mprotect, SYS_madvise, SYS_brk,
    // Threads. clone stands for fork too, but a fork inherits this filter and these limits.
    SYS_clone, SYS_clone3, SYS_futex, SYS_set_robust_list, SYS_rseq, SYS_sched_yield, SYS_gettid, SYS_getpid,
    SYS_tgkill, SYS_sched_getaffinity, SYS_sysinfo, SYS_exit, SYS_exit_group,
    // Signals and time.
    SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_clock_gettime, SYS_clock_nanosleep, SYS_nanosleep,
    SYS_restart_syscall, SYS_getrandom};

Result<> set_limit(__rlimit_resource resource, std::uint64_t value) {
    rlimit limit{};
    if (::getrlimit(resource, &limit) != 0) return fail_errno("getrlimit");
    limit.rlim_max = std::min<rlim_t>(limit.rlim_max, value);
    limit.rlim_cur = limit.rlim_max;
    if (::setrlimit(resource, &limit) != 0) return fail_errno("setrlimit");
    return {};
}

}  // namespace

Result<> limit_resources(std::uint64_t max_file, std::uint64_t max_memory) {
    constexpr std::uint64_t kDescriptors = 64;
    // Without it a write beyond the limit kills; with it the write fails and can be reported.
    ::signal(SIGXFSZ, SIG_IGN);
    ::signal(SIGPIPE, SIG_IGN);
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno("prctl PR_SET_NO_NEW_PRIVS");
    VMETTE_CHECK_OK(set_limit(RLIMIT_CORE, 0));
    VMETTE_CHECK_OK(set_limit(RLIMIT_NOFILE, kDescriptors));
    VMETTE_CHECK_OK(set_limit(RLIMIT_FSIZE, max_file));
    if (max_memory > 0 && !kSanitized) VMETTE_CHECK_OK(set_limit(RLIMIT_DATA, max_memory));
    return {};
}

Result<> forbid_new_resources() {
    if (kSanitized) return {};
    std::vector<sock_filter> program{
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
    };
    for (int number : kAllowed) {
        program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(number), 0, 1));
        program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    }
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
    sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
    if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) != 0) return fail_errno("prctl PR_SET_SECCOMP");
    return {};
}

}  // namespace vmette::rootfs
