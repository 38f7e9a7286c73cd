#include "store/store_fixture.h"

namespace vmette::store {

RunRecord full_run(const std::string& id) {
    RunRecord run = new_run(id, "build", 5);
    run.batch = "batch-1";
    run.job = "job-7";
    run.attempt = 3;
    run.status = RunStatus::failed;
    run.reason = "signaled";
    run.exit_code = 139;
    run.signal = 11;
    run.started_before_failure = true;
    run.started_at = instant(700);
    run.finished_at = instant(2505);
    run.phases = {1.5, 2.25, 310.125, 40.0625, 1800.5, 12.75, 9.125};
    run.image_source = "tar+file:///srv/root.tar";
    run.image_digest = "sha256:image";
    run.image_provider = "tar";
    run.kernel_path = "/usr/share/vmette/x86_64/vmlinux";
    run.kernel_digest = "sha256:kernel";
    run.accel = "tcg";
    run.warm = true;
    run.vcpus = 4;
    run.memory_mib = 1024;
    run.scratch_mib = 8192;
    run.usage = {11, 12, 13, 14, 15, 16, 17, 18, 19};
    run.net_mode = "nat";
    run.net_denied = {{"evil.example", 443, 3}, {"10.0.0.1", 22, 1}};
    run.labels = {{"team", "blue"}, {"ticket", "T-1"}};
    run.manifest = "name = \"build\"\n";
    run.manifest_digest = "sha256:manifest";
    run.artifacts = {{"out/b.bin", 20, "bb"}, {"out/a.bin", 10, "aa"}};
    run.log_stdout = "/state/runs/x/stdout.log";
    run.log_stderr = "/state/runs/x/stderr.log";
    run.log_console = "/state/runs/x/console.log";
    run.error = "the command died of signal 11";
    run.owner = {4242, 99887766, "boot-id"};
    return run;
}

}  // namespace vmette::store
