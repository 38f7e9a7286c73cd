-- A history as schema 1 left it: one finished run with all that belongs to it, and one that was running.
INSERT INTO runs (key, id, name, batch, job, attempt, status, reason, exit_code, started_before_failure, created_at,
                  started_at, finished_at, boot_ms, image_source, accel, warm, vcpus, memory_mib, scratch_mib, cpu_ms,
                  peak_memory_bytes, scratch_bytes, net_rx_bytes, net_tx_bytes, stdout_bytes, stderr_bytes,
                  stdout_dropped, stderr_dropped, net_mode, owner_pid, owner_start_ticks, owner_boot_id)
VALUES (1, '01old', 'old', NULL, NULL, 2, 'succeeded', 'exited', 0, 0, 1700000000000, 1700000000500, 1700000001000,
        300.5, './rootfs', 'tcg', 0, 2, 512, 8192, 7, 6, 5, 4, 3, 2, 1, 0, 0, 'none', 77, 88, 'boot'),
       (2, '01run', 'old', NULL, NULL, 1, 'running', NULL, NULL, 0, 1700000002000, NULL, NULL, NULL, NULL, NULL, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, 78, 89, 'boot');
INSERT INTO run_manifests VALUES (1, 'name = "old"'), (2, '');
INSERT INTO run_labels VALUES (1, 'team', 'blue', 1700000000000);
INSERT INTO run_denied VALUES (1, 0, 'evil.example', 443, 2);
INSERT INTO run_artifacts VALUES (1, 0, 'out.bin', 10, 'aa');
