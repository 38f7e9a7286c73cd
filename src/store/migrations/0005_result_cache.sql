-- Whether a job's result was that of an earlier run, which run_id names then.
ALTER TABLE batch_jobs ADD COLUMN reused INTEGER NOT NULL DEFAULT 0 CHECK (reused IN (0, 1));

-- Why a job with `cache = true` was run, for `batch explain`. Of a reused one there is none.
CREATE TABLE cache_decisions (
    batch INTEGER NOT NULL,
    position INTEGER NOT NULL,
    decision TEXT NOT NULL,  -- JSON
    PRIMARY KEY (batch, position),
    FOREIGN KEY (batch, position) REFERENCES batch_jobs ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX cached_results_by_time ON cached_results (put_at);

-- What was in the folders of cached results, to name the files that changed. Each once, however many results have it;
-- bounded by bytes, so a listing may be gone.
CREATE TABLE tree_listings (
    digest TEXT PRIMARY KEY,
    listing BLOB NOT NULL,
    used_at INTEGER NOT NULL
) STRICT;
CREATE INDEX tree_listings_by_use ON tree_listings (used_at);
