"""What is damaged on disk costs its own row, and never the server, the list or a verdict."""

import contextlib
import json
import shutil
import sqlite3
import zlib
from base64 import b64decode, b64encode

import pytest

from tests.simulation.scale import one_in
from tests.unit.server.running_server import Api, serving

pytestmark = pytest.mark.process

BROKEN_VALUES = [
    "hello",
    '{"a": NaN}',
    "{}",
    "[]",
    "null",
    2**62,
    9e999,
    b"\xff\x00",
    "[" * 100_000,
]


@contextlib.contextmanager
def writing(data_dir):
    """A second connection to the database, which breaks or repairs it."""
    connection = sqlite3.connect(data_dir / "tm.db", timeout=10)
    connection.execute("PRAGMA ignore_check_constraints = ON")
    try:
        with connection:
            yield connection
    finally:
        connection.close()


def columns(connection, table):
    return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A directory with two runs of one profile, both judged."""
    data_dir = tmp_path_factory.mktemp("damaged") / "data"
    with serving(data_dir) as api:
        profile_id = api.save()
        first, second = (api.judged(api.start(profile_id, tags=["a"])) for _ in range(2))
    assert (first["autoVerdict"], second["autoVerdict"]) == ("NO_BASELINE", "PASS")
    with writing(data_dir) as connection:
        connection.execute("DROP TRIGGER verdict_is_written_once")
    return data_dir


@pytest.fixture
def data_dir(prepared, tmp_path):
    return shutil.copytree(prepared, tmp_path / "data")


@pytest.fixture
def api(data_dir, start_server):
    server = start_server(data_dir)
    with server.client() as client:
        yield Api(client)


READS = ["/history?tag=a", "/history/filters", "/history/compare?runA=1&runB=2", "/account"]


@pytest.mark.parametrize("table", ["history", "runs"])
@pytest.mark.parametrize("broken", BROKEN_VALUES, ids=lambda value: repr(value)[:12])
def test_a_damaged_value_is_left_out_and_the_row_has_no_verdict(api, data_dir, table, broken):
    with writing(data_dir) as connection:
        names = [name for name in columns(connection, table) if name not in ("id", "run_id")]
        where = "run_id = (SELECT run_id FROM history WHERE id = 2)"
        (before,) = connection.execute(f"SELECT * FROM {table} WHERE {where}").fetchall()
    kept = dict(zip(columns_of(data_dir, table), before, strict=True))
    for name in names[one_in(3)]:
        change(data_dir, f"UPDATE {table} SET {name} = ? WHERE {where}", broken)
        for path in READS:
            assert api.get(path).status_code in (200, 400), (name, path)
        listed = {row["id"]: row for row in api.rows()}
        assert listed[1]["autoVerdict"] == "NO_BASELINE"
        detail = api.get("/history/2").json()
        said = detail["autoVerdictReasons"] or ""
        assert listed[2]["autoVerdict"] == detail["autoVerdict"] in (None, "PASS")
        if "damaged" in said:
            assert name in said
            assert detail["autoVerdict"] is None
        change(data_dir, f"UPDATE {table} SET {name} = ? WHERE {where}", kept[name])
    assert [row["autoVerdict"] for row in api.rows()] == ["PASS", "NO_BASELINE"]


@pytest.mark.parametrize("broken", ["hello", b"\xff", 2**62], ids=["text", "bytes", "number"])
@pytest.mark.parametrize("column", ["response_codes", "sent", "latency_quantiles", "finished_at"])
def test_damaged_results_have_no_verdict_and_say_so(api, data_dir, column, broken):
    change(data_dir, f"UPDATE history SET {column} = ? WHERE id = 2", broken)
    for row in (api.rows()[0], api.get("/history/2").json()):
        assert row["autoVerdict"] is None
        assert f"damaged ({column})" in row["autoVerdictReasons"]
        assert row["totalRequests"] == 400


def columns_of(data_dir, table):
    with writing(data_dir) as connection:
        return columns(connection, table)


def change(data_dir, sql, value):
    with contextlib.suppress(sqlite3.IntegrityError), writing(data_dir) as connection:
        connection.execute(sql, [value])


@pytest.mark.parametrize(
    ("column", "broken"),
    [
        ("profile_id", "hello"),
        ("profile_id", b"\xff"),
        ("profile_id", 9e999),
        ("region", b"\xff"),
        ("region", b""),
    ],
)
def test_a_pin_whose_profile_cannot_be_read_is_no_pass(api, data_dir, column, broken):
    api.put("/profiles/1/baseline", json={"historyId": 2})
    change(data_dir, f"UPDATE pins SET {column} = ?", broken)
    assert api.judged(api.start(1))["autoVerdict"] == "NO_BASELINE"
    assert api.delete("/profiles/1/baseline").status_code == 204
    assert api.judged(api.start(1))["autoVerdict"] == "PASS"


def verdict_after(api, data_dir, table, column, value):
    """The verdict of a run whose earlier ones are all damaged; afterwards all is as it was."""
    with writing(data_dir) as connection:
        before = connection.execute(f"SELECT rowid, {column} FROM {table}").fetchall()
    change(data_dir, f"UPDATE {table} SET {column} = ?", value)
    detail = api.judged(api.start(1))
    api.delete(f"/history/{detail['id']}")
    with writing(data_dir) as connection:
        sql = f"UPDATE {table} SET {column} = ? WHERE rowid = ?"
        connection.executemany(sql, [(kept, number) for number, kept in before])
    return detail["autoVerdict"]


def test_a_damaged_baseline_is_none(api, data_dir):
    damages = [
        ("response_codes", "hello"),
        ("latency_quantiles", '{"p95": "0.001"}'),
        ("latency_quantiles", '{"p95": NaN}'),
        ("total_requests", "many"),
        ("total_errors", -5),
        ("sent", 2**62),
        ("finished_at", "yesterday"),
        ("notes", "{"),
    ]
    for damage in damages:
        assert verdict_after(api, data_dir, "history", *damage) == "NO_BASELINE", damage
    assert verdict_after(api, data_dir, "history", "notes", "[]") == "PASS"


def test_a_baseline_with_damaged_measurements_is_none(api, data_dir):
    damages = [
        ("codes", "hello"),
        ("codes", '{"-1": 5}'),
        ("failures", "[]"),
        ("planned", 2**62),
        ("response", b"\xff"),
        ("response", "HISTFAAAAA"),
        ("p95_ms", "fast"),
    ]
    for damage in damages:
        assert verdict_after(api, data_dir, "buckets", *damage) == "NO_BASELINE", damage


def test_another_baseline_takes_the_place_of_a_damaged_one(api, data_dir):
    change(
        data_dir,
        "UPDATE buckets SET codes = ? WHERE run_id = (SELECT run_id FROM history WHERE id = 2)",
        "hello",
    )
    detail = api.judged(api.start(1))
    assert (detail["autoVerdict"], detail["autoCompareBaselineRunId"]) == ("PASS", 1)


@pytest.mark.parametrize("table", ["history", "buckets", "pins"])
def test_a_pin_that_cannot_be_followed_is_no_pass(api, data_dir, table):
    pinned = api.put("/profiles/1/baseline", json={"historyId": 2})
    assert pinned.status_code == 200
    damage = {"history": "notes", "buckets": "codes", "pins": "history_id"}[table]
    change(data_dir, f"UPDATE {table} SET {damage} = ?", "hello")
    assert api.get("/profiles/1/baseline").status_code == 200
    assert api.judged(api.start(1))["autoVerdict"] == "NO_BASELINE"
    if table == "history":
        asked = api.post("/profiles/1/runs", json={"baselineRunId": 2})
        assert asked.status_code == 400
        assert "damaged (notes)" in asked.json()["error"]


def test_a_damaged_run_is_not_judged_at_the_next_start(data_dir, start_server):
    change(data_dir, "UPDATE history SET auto_verdict = ?", None)
    change(data_dir, "UPDATE history SET latency_quantiles = ? WHERE id = 1", "hello")
    with start_server(data_dir).client() as client:
        verdicts = {row["id"]: row["autoVerdict"] for row in Api(client).rows()}
    assert verdicts == {1: None, 2: "NO_BASELINE"}


def bomb(size=100_000_000):
    """A histogram of half a megabyte that unpacks to hundreds of megabytes."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(10**6)) for _ in range(size // 10**6)) + packer.flush()
    return b64encode(b"\x1c\x84\x93\x14" + len(packed).to_bytes(4) + packed).decode()


UNFINISHED = [
    ("buckets", "codes", "hello"),
    ("buckets", "codes", '{"200": 1e400}'),
    ("buckets", "failures", b"\xff"),
    ("buckets", "sent", 2**62),
    ("buckets", "planned", 9e999),
    ("buckets", "completed", "many"),
    ("buckets", "response", "HISTFAAAAA"),
    ("buckets", "p50_ms", 9e999),
    ("runs", "started_at", "yesterday"),
    ("runs", "started_at", 5),
    ("runs", "tags", "["),
    ("runs", "traits", "[" * 100_000),
    ("runs", "gate", '{"p95": 5}'),
    ("runs", "duration", "long"),
    ("runs", "loop", b"\xff"),
    ("runs", "profile_name", b"\xff"),
    ("runs", "target_url", 2**62),
]


def test_runs_that_cannot_be_written_down_keep_no_server_from_starting(data_dir, start_server):
    with writing(data_dir) as connection:
        connection.execute("DELETE FROM history")
        (good, other) = (row[0] for row in connection.execute("SELECT run_id FROM runs"))
        connection.execute("DELETE FROM runs WHERE run_id = ?", [other])
        for number, (table, column, value) in enumerate(UNFINISHED):
            copy(connection, "runs", good, f"damaged-{number}")
            copy(connection, "buckets", good, f"damaged-{number}")
            sql = f"UPDATE {table} SET {column} = ? WHERE run_id = ?"
            connection.execute(sql, [value, f"damaged-{number}"])
    with start_server(data_dir).client() as client:
        api = Api(client)
        rows = {row["runId"]: row for row in api.rows(size=100)}
        assert len(rows) == len(UNFINISHED) + 1
        assert {row["outcome"] for row in rows.values()} == {"INTERRUPTED"}
        assert {row["autoVerdict"] for row in rows.values()} == {None}
        assert rows[good]["totalRequests"] == 400
        assert {api.get(f"/history/{row['id']}").status_code for row in rows.values()} == {200}
        assert api.judged(api.start(1))["autoVerdict"] == "NO_BASELINE"


def copy(connection, table, run_id, new_id):
    """The rows of a run once more, as those of another run."""
    rows = connection.execute(f"SELECT * FROM {table} WHERE run_id = ?", [run_id]).fetchall()
    marks = ", ".join("?" for _ in rows[0])
    sql = f"INSERT INTO {table} VALUES ({marks})"
    connection.executemany(sql, [(new_id, *row[1:]) for row in rows])


def test_a_time_that_is_none_does_not_spread_to_later_rows(api, data_dir):
    change(data_dir, "UPDATE history SET created_at = ? WHERE id = 2", "zzz")
    api.judged(api.start(1))
    with writing(data_dir) as connection:
        (created,) = connection.execute("SELECT created_at FROM history WHERE id = 3").fetchone()
    assert created.startswith("20")


@pytest.mark.parametrize(
    ("column", "value"),
    [("fields", "hello"), ("fields", "{}"), ("created_at", "yesterday"), ("callback_secret", 5),
     ("fields", b"\xff")],
)  # fmt: skip
def test_a_damaged_profile_is_left_out_and_can_be_deleted(api, data_dir, column, value):
    api.save("other")
    change(data_dir, f"UPDATE profiles SET {column} = ? WHERE id = 1", value)
    if column == "callback_secret":
        change(data_dir, f"UPDATE profiles SET {column} = ? WHERE id = 1", b"\xff")
    assert [profile["name"] for profile in api.get("/profiles").json()] == ["other"]
    for answer in (api.get("/profiles/1"), api.post("/profiles/1/start")):
        assert answer.status_code == 400
        assert "Profile 1 is damaged" in answer.json()["error"]
    assert api.delete("/profiles/1").status_code == 204
    assert len(api.rows()) == 2


def test_a_histogram_is_never_unpacked_beyond_its_size(api, data_dir):
    text = bomb()
    assert len(b64decode(text)) < 400_000
    change(data_dir, "UPDATE buckets SET response = ? WHERE position = 0", text)
    assert api.judged(api.start(1))["autoVerdict"] == "NO_BASELINE"
    assert json.loads(api.get("/history/3").json()["autoVerdictReasons"])
