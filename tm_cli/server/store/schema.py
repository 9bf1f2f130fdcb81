"""The tables, and how an older file becomes a newer one."""

VERSION = 3

SCHEMA = """
CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE profiles (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,  -- never reused: history outlives profiles
    name_key        TEXT NOT NULL,
    fields          TEXT NOT NULL,
    callback_secret TEXT NOT NULL,
    created_at      TEXT NOT NULL,
    updated_at      TEXT NOT NULL
);
CREATE INDEX profiles_by_name ON profiles (name_key);

CREATE TABLE runs (
    run_id       TEXT PRIMARY KEY,
    profile_id   INTEGER NOT NULL,
    profile_name TEXT NOT NULL,
    target_url   TEXT NOT NULL,
    region       TEXT NOT NULL,
    tags         TEXT NOT NULL,
    triggered_by TEXT NOT NULL,
    fingerprint  TEXT NOT NULL,
    duration     REAL NOT NULL,
    loop         INTEGER NOT NULL,
    started_at   TEXT NOT NULL,
    traits       TEXT NOT NULL,     -- what the fingerprint is made of
    against_url  TEXT,              -- second target of an A/B run
    gate         TEXT NOT NULL,     -- thresholds that differ from the defaults
    wish         TEXT,              -- 'asked' or 'pinned': how the baseline was selected
    wished_id    INTEGER            -- its history id
);
CREATE INDEX runs_by_profile ON runs (profile_id);

CREATE TABLE buckets (
    run_id    TEXT    NOT NULL REFERENCES runs (run_id) ON DELETE CASCADE,
    side      INTEGER NOT NULL,     -- 1 is the second target of an A/B run
    position  INTEGER NOT NULL,
    planned   INTEGER NOT NULL,
    sent      INTEGER NOT NULL,
    completed INTEGER NOT NULL,
    codes     TEXT    NOT NULL,
    failures  TEXT    NOT NULL,
    response  TEXT    NOT NULL,
    service   TEXT    NOT NULL,
    p50_ms    REAL,
    p95_ms    REAL,
    p99_ms    REAL,
    PRIMARY KEY (run_id, side, position)
);

-- A run has its row here as soon as it is over, and not before.
CREATE TABLE history (
    id                           INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id                       TEXT    NOT NULL UNIQUE REFERENCES runs (run_id),
    outcome                      TEXT    NOT NULL,
    created_at                   TEXT    NOT NULL,
    finished_at                  TEXT    NOT NULL,
    duration_seconds             INTEGER NOT NULL,
    planned                      INTEGER NOT NULL,
    sent                         INTEGER NOT NULL,
    shortfall                    INTEGER NOT NULL,
    total_requests               INTEGER NOT NULL,
    total_errors                 INTEGER NOT NULL,
    avg_rps                      REAL    NOT NULL,
    peak_rps                     REAL    NOT NULL,
    success_rate                 REAL,
    response_codes               TEXT    NOT NULL,
    latency_quantiles            TEXT    NOT NULL,
    rps_series                   TEXT    NOT NULL,
    latency_series               TEXT    NOT NULL,
    generator_saturated          INTEGER NOT NULL,
    downstream_saturated         INTEGER NOT NULL,
    flaky_dispatch               INTEGER NOT NULL,
    auto_verdict                 TEXT,
    auto_verdict_reasons         TEXT,
    auto_compare_snapshot        TEXT,
    auto_compare_baseline_run_id INTEGER,
    against                      TEXT,             -- results of the second target
    notes                        TEXT    NOT NULL, -- what happened to the workers
    addresses                    TEXT    NOT NULL DEFAULT '{}', -- requests by address
    CHECK (auto_verdict IS NULL OR outcome = 'COMPLETED')
);
CREATE INDEX history_by_creation ON history (created_at DESC, id DESC);

-- The baselines that were pinned. A deleted one stays: without it, a regression could pass.
CREATE TABLE pins (
    profile_id INTEGER NOT NULL,
    region     TEXT    NOT NULL,
    history_id INTEGER NOT NULL,
    pinned_at  TEXT    NOT NULL,
    PRIMARY KEY (profile_id, region)
);

CREATE TRIGGER verdict_is_written_once
BEFORE UPDATE OF auto_verdict ON history WHEN OLD.auto_verdict IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'the verdict has been written already');
END;
"""

UPGRADES = {
    1: """
ALTER TABLE runs ADD COLUMN traits      TEXT NOT NULL DEFAULT '{}';
ALTER TABLE runs ADD COLUMN against_url TEXT;
ALTER TABLE runs ADD COLUMN gate        TEXT NOT NULL DEFAULT '{}';
ALTER TABLE runs ADD COLUMN wish        TEXT;
ALTER TABLE runs ADD COLUMN wished_id   INTEGER;
ALTER TABLE history ADD COLUMN against TEXT;
ALTER TABLE history ADD COLUMN notes   TEXT NOT NULL DEFAULT '[]';
ALTER TABLE buckets RENAME TO older_buckets;
CREATE TABLE buckets (
    run_id    TEXT    NOT NULL REFERENCES runs (run_id) ON DELETE CASCADE,
    side      INTEGER NOT NULL,
    position  INTEGER NOT NULL,
    planned   INTEGER NOT NULL,
    sent      INTEGER NOT NULL,
    completed INTEGER NOT NULL,
    codes     TEXT    NOT NULL,
    failures  TEXT    NOT NULL,
    response  TEXT    NOT NULL,
    service   TEXT    NOT NULL,
    p50_ms    REAL,
    p95_ms    REAL,
    p99_ms    REAL,
    PRIMARY KEY (run_id, side, position)
);
INSERT INTO buckets
    SELECT run_id, 0, position, planned, sent, completed, codes, failures, response, service,
           p50_ms, p95_ms, p99_ms
    FROM older_buckets;
DROP TABLE older_buckets;
CREATE TABLE pins (
    profile_id INTEGER NOT NULL,
    region     TEXT    NOT NULL,
    history_id INTEGER NOT NULL,
    pinned_at  TEXT    NOT NULL,
    PRIMARY KEY (profile_id, region)
);
""",
    2: """
ALTER TABLE history ADD COLUMN addresses TEXT NOT NULL DEFAULT '{}';
""",
}
"""From one version to the next, each in one transaction."""
