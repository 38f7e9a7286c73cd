-- Batches: the queue of jobs and who drives it.
CREATE TABLE batches (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('running', 'succeeded', 'failed', 'interrupted', 'cancelled')),
    created_at INTEGER NOT NULL,
    finished_at INTEGER,
    file TEXT,
    manifest_digest TEXT,
    rules TEXT,
    results TEXT,
    jobs INTEGER NOT NULL,
    owner_pid INTEGER NOT NULL,  -- 0: nobody drives it
    owner_start_ticks INTEGER NOT NULL,
    owner_boot_id TEXT
) STRICT;
CREATE INDEX batches_by_time ON batches (created_at);
CREATE INDEX batches_by_name ON batches (name, created_at);

-- Apart from the rows, which change: a manifest may be megabytes.
CREATE TABLE batch_manifests (
    batch INTEGER PRIMARY KEY REFERENCES batches ON DELETE CASCADE,
    manifest TEXT NOT NULL
) STRICT;

CREATE TABLE batch_groups (
    batch INTEGER NOT NULL REFERENCES batches ON DELETE CASCADE,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (batch, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE batch_jobs (
    batch INTEGER NOT NULL REFERENCES batches ON DELETE CASCADE,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    job_group INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    needs TEXT,
    retry TEXT,
    cache INTEGER NOT NULL CHECK (cache IN (0, 1)),
    memory_mib INTEGER NOT NULL,
    vcpus INTEGER NOT NULL,
    scratch_mib INTEGER NOT NULL,
    state TEXT NOT NULL
        CHECK (state IN ('pending', 'running', 'succeeded', 'failed', 'skipped', 'cancelled', 'unknown')),
    attempts INTEGER NOT NULL,
    not_before INTEGER,
    reason TEXT,
    exit_code INTEGER,
    run_id TEXT,
    detail TEXT,
    started_at INTEGER,
    finished_at INTEGER,
    PRIMARY KEY (batch, position)
) STRICT, WITHOUT ROWID;
-- How many are in each state, and which ones, of a batch of a million: without looking at the others.
CREATE INDEX batch_jobs_by_state ON batch_jobs (batch, state);
CREATE UNIQUE INDEX batch_jobs_by_name ON batch_jobs (batch, name);

-- The manifests of a batch's jobs are one text with few lines that differ. Each is kept as the first and the last
-- bytes of a base and what is between them; apart from the jobs' rows, which change.
CREATE TABLE job_manifest_bases (
    batch INTEGER NOT NULL REFERENCES batches ON DELETE CASCADE,
    base INTEGER NOT NULL,
    manifest TEXT NOT NULL,
    PRIMARY KEY (batch, base)
) STRICT, WITHOUT ROWID;
CREATE TABLE job_manifests (
    batch INTEGER NOT NULL,
    position INTEGER NOT NULL,
    base INTEGER NOT NULL,
    head INTEGER NOT NULL,  -- bytes of the base before `middle`
    tail INTEGER NOT NULL,  -- bytes of the base after it
    middle TEXT NOT NULL,
    PRIMARY KEY (batch, position),
    FOREIGN KEY (batch, position) REFERENCES batch_jobs ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- What users asked for and the batch's owner has not yet read.
CREATE TABLE batch_cancels (
    batch INTEGER NOT NULL REFERENCES batches ON DELETE CASCADE,
    position INTEGER NOT NULL,  -- of the job; -1: the whole batch
    PRIMARY KEY (batch, position)
) STRICT, WITHOUT ROWID;

-- Successes that stand for runs with equal inputs. Gone with the run that they are.
CREATE TABLE cached_results (
    key TEXT PRIMARY KEY,
    run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    inputs TEXT NOT NULL,
    batch_name TEXT,
    job TEXT,
    put_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX cached_results_by_run ON cached_results (run_id);
CREATE INDEX cached_results_by_job ON cached_results (batch_name, job, put_at) WHERE batch_name IS NOT NULL;

-- What machines take of the pool that all processes share. AUTOINCREMENT: a claim given back must not name another.
CREATE TABLE claims (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    pid INTEGER NOT NULL,
    start_ticks INTEGER NOT NULL,
    boot_id TEXT,
    vms INTEGER NOT NULL,
    vcpus INTEGER NOT NULL,
    memory_mib INTEGER NOT NULL
) STRICT;

-- The attempts of a batch, or of one job in it.
CREATE INDEX runs_by_job ON runs (batch, job, attempt) WHERE batch IS NOT NULL;
