-- The database of the first release, with two runs in it.
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
    started_at   TEXT NOT NULL
);
CREATE INDEX runs_by_profile ON runs (profile_id);

CREATE TABLE buckets (
    run_id    TEXT    NOT NULL REFERENCES runs (run_id) ON DELETE CASCADE,
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
    PRIMARY KEY (run_id, position)
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
    CHECK (auto_verdict IS NULL OR outcome = 'COMPLETED')
);
CREATE INDEX history_by_creation ON history (created_at DESC, id DESC);

CREATE TRIGGER verdict_is_written_once
BEFORE UPDATE OF auto_verdict ON history WHEN OLD.auto_verdict IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'the verdict has been written already');
END;
PRAGMA user_version = 1;

INSERT INTO settings VALUES ('key', 'digest');
INSERT INTO profiles VALUES
    (3, 'checkout', '{"name": "checkout", "duration": 20, "targetUrl": "http://127.0.0.1:9/",
     "points": [{"x": 0.0, "y": 20.0}, {"x": 20.0, "y": 20.0}]}', 'secret',
     '2026-01-31T12:00:00Z', '2026-01-31T12:00:00Z');
INSERT INTO runs VALUES
    ('r1', 3, 'checkout', 'http://127.0.0.1:9/', 'local', '["a"]', 'api', 'same', 20.0, 0,
     '2026-01-31T12:00:00Z'),
    ('r2', 3, 'checkout', 'http://127.0.0.1:9/', 'local', '[]', 'api', 'same', 20.0, 0,
     '2026-01-31T13:00:00Z');
INSERT INTO buckets VALUES
    ('r1', 0, 100, 100, 100, '{"200": 100}', '{}', '', '', 10.0, 20.0, 30.0),
    ('r1', 1, 100, 90, 90, '{"200": 90}', '{}', '', '', 10.0, 20.0, 30.0),
    ('r2', 0, 100, 100, 100, '{"200": 100}', '{}', '', '', 10.0, 20.0, 30.0);
INSERT INTO history
    (id, run_id, outcome, created_at, finished_at, duration_seconds, planned, sent, shortfall,
     total_requests, total_errors, avg_rps, peak_rps, success_rate, response_codes,
     latency_quantiles, rps_series, latency_series, generator_saturated, downstream_saturated,
     flaky_dispatch, auto_verdict)
VALUES
    (7, 'r1', 'COMPLETED', '2026-01-31T12:00:30Z', '2026-01-31T12:00:30Z', 20, 200, 190, 10, 190,
     0, 9.5, 20.0, 100.0, '{"200": 190}', '{"p50": 10.0, "p95": 20.0, "p99": 30.0}', '[]', '[]',
     0, 0, 0, 'PASS');
