-- The history: one row a run. Times are milliseconds since the Unix epoch, UTC. NULL: unknown, or none.
CREATE TABLE runs (
    key INTEGER PRIMARY KEY,  -- in order of arrival; the side tables point here
    id TEXT NOT NULL UNIQUE,
    name TEXT,
    batch TEXT,
    job TEXT,
    attempt INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('running', 'succeeded', 'failed', 'stopped', 'lost')),
    reason TEXT,
    exit_code INTEGER,
    signal INTEGER,
    started_before_failure INTEGER NOT NULL CHECK (started_before_failure IN (0, 1)),
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    resolve_ms REAL,
    prepare_ms REAL,
    boot_ms REAL,
    ready_ms REAL,
    exec_ms REAL,
    collect_ms REAL,
    teardown_ms REAL,
    image_source TEXT,
    image_digest TEXT,
    image_provider TEXT,
    kernel_path TEXT,
    kernel_digest TEXT,
    accel TEXT,
    warm INTEGER NOT NULL CHECK (warm IN (0, 1)),
    vcpus INTEGER NOT NULL,
    memory_mib INTEGER NOT NULL,
    scratch_mib INTEGER NOT NULL,
    cpu_ms INTEGER NOT NULL,
    peak_memory_bytes INTEGER NOT NULL,
    scratch_bytes INTEGER NOT NULL,
    net_rx_bytes INTEGER NOT NULL,
    net_tx_bytes INTEGER NOT NULL,
    stdout_bytes INTEGER NOT NULL,
    stderr_bytes INTEGER NOT NULL,
    stdout_dropped INTEGER NOT NULL,
    stderr_dropped INTEGER NOT NULL,
    net_mode TEXT,
    manifest_digest TEXT,
    log_stdout TEXT,
    log_stderr TEXT,
    log_console TEXT,
    error TEXT,
    owner_pid INTEGER NOT NULL,
    owner_start_ticks INTEGER NOT NULL,
    owner_boot_id TEXT
) STRICT;

-- Each listing is newest first within what it selects, so these end in the time. All are there so that a page of a
-- history of a million runs is read without looking at the others.
CREATE INDEX runs_by_time ON runs (created_at);
CREATE INDEX runs_by_name ON runs (name, created_at);
CREATE INDEX runs_by_status ON runs (status, created_at);
CREATE INDEX runs_by_reason ON runs (reason, created_at);
CREATE INDEX runs_by_exit_code ON runs (exit_code, created_at);
CREATE INDEX runs_by_image ON runs (image_source, created_at);
CREATE INDEX runs_by_batch ON runs (batch, created_at) WHERE batch IS NOT NULL;
-- The orders one may ask for.
CREATE INDEX runs_by_duration ON runs (finished_at - created_at);
CREATE INDEX runs_by_peak_memory ON runs (peak_memory_bytes);
CREATE INDEX runs_by_boot ON runs (boot_ms);

-- Apart from the rows, which are scanned: a manifest is larger than all the rest of its row.
CREATE TABLE run_manifests (
    run INTEGER PRIMARY KEY REFERENCES runs ON DELETE CASCADE,
    manifest TEXT NOT NULL
) STRICT;

CREATE TABLE run_labels (
    run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    label TEXT NOT NULL,
    value TEXT NOT NULL,
    created_at INTEGER NOT NULL,  -- the run's
    PRIMARY KEY (run, label)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_labels_by_value ON run_labels (label, value, created_at, run);

CREATE TABLE run_denied (
    run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    position INTEGER NOT NULL,
    host TEXT NOT NULL,
    port INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (run, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE run_artifacts (
    run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    position INTEGER NOT NULL,
    path TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (run, position)
) STRICT, WITHOUT ROWID;
