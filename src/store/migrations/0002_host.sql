-- What the host holds for us: images in the cache, what runs owe it, what was learned of it.
CREATE TABLE images (
    digest TEXT PRIMARY KEY,
    bytes INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    uses INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One image may go by several names, each with the state of its source when it was made from it.
CREATE TABLE image_sources (
    source TEXT PRIMARY KEY,
    digest TEXT NOT NULL REFERENCES images ON DELETE CASCADE,
    provider TEXT NOT NULL,
    content_digest TEXT NOT NULL,
    validator TEXT NOT NULL,
    put_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX image_sources_by_content ON image_sources (content_digest);
CREATE INDEX image_sources_by_image ON image_sources (digest);

-- AUTOINCREMENT: teardown goes by falling id, so a freed id must not come again.
CREATE TABLE ledger (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('directory', 'file', 'process')),
    path TEXT NOT NULL,
    pid INTEGER NOT NULL,
    start_ticks INTEGER NOT NULL,
    boot_id TEXT NOT NULL,
    what TEXT NOT NULL
) STRICT;
CREATE INDEX ledger_by_run ON ledger (run_id);

CREATE TABLE facts (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    learned_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
