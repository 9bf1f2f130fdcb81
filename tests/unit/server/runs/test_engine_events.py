"""What load generators and agents say is checked where it arrives."""

import json
import tracemalloc
import zlib
from base64 import b64encode

import pytest
from hdrh.histogram import HdrHistogram

from tests.unit.server.running_agent import RunningAgent
from tests.unit.server.running_server import Api
from tm_cli.server.validation import UnreadableHistogram, add_encoded, check_encoded, new_histogram
from tm_cli.server.workers.engine_events import event_fields, parse_event

FLAGS = dict.fromkeys(["generator_saturated", "downstream_saturated", "flaky_dispatch"], False)
BUCKET = {
    "event": "bucket", "index": 0, "side": 0, "planned": 5, "sent": 5, "completed": 5,
    "codes": {"200": 5}, "failures": {}, "response": "", "service": "",
    "p50_ms": 1.0, "p95_ms": 2, "p99_ms": None,
}  # fmt: skip
PROGRESS = {"event": "progress", "elapsed": 5.0, "sent": 5, **FLAGS}
FINISHED = {
    "event": "finished", "outcome": "completed", "elapsed": 20.0, "planned": 5, "sent": 5,
    "completed": 5, "shortfall": 0, **FLAGS,
}  # fmt: skip
STEP = {"completed": 2, "codes": {"200": 2}, "failures": {}, "response": ""}
STEPS = {"event": "steps", "index": 0, "side": 0, "steps": {"/cart": STEP}}
STARTED = {"event": "started", "at": "2026-01-31T12:00:00Z"}
WHOLE = [BUCKET, STEPS, PROGRESS, FINISHED, STARTED, {"event": "paused", "elapsed": 0}]


@pytest.mark.parametrize("event", [*WHOLE, {"event": "note", "text": "lost"}])
def test_an_event_is_written_as_it_is_read(event):
    read = parse_event(json.dumps(event).encode())
    name, fields = event_fields(read)
    assert parse_event(json.dumps({"event": name, **fields}).encode()) == read


NO_COUNTS = [
    "-1",
    "9007199254740993",
    "1e400",
    "1.5",
    "NaN",
    "Infinity",
    '"5"',
    "true",
    "null",
    "[]",
]
NO_TIMES = ["-1", "1e400", "NaN", "-Infinity", '"5"', "true", "{}", "1" + "0" * 400]
NO_NAMES = ["[]", '{"200": -1}', '{"200": NaN}', '{"200": "5"}', "null", "5"]


def said(event, **raw):
    """The line of an event in which some fields have other JSON texts."""
    texts = {name: json.dumps(value) for name, value in event.items()} | raw
    return ("{" + ", ".join(f'"{name}": {text}' for name, text in texts.items()) + "}").encode()


BROKEN = [
    *(said(BUCKET, **{name: text}) for name in ("index", "planned", "sent") for text in NO_COUNTS),
    *(said(BUCKET, **{name: text}) for name in ("completed", "side") for text in NO_COUNTS),
    *(said(BUCKET, codes=text) for text in [*NO_NAMES, '{"x": 1}', '{"-5": 1}', '{"²": 1}']),
    *(said(BUCKET, failures=text) for text in [*NO_NAMES, r'{"\ud800": 1}']),
    *(said(BUCKET, p95_ms=text) for text in NO_TIMES),
    *(said(BUCKET, response=text) for text in ["5", "null", "[]", '"x"', '"HISTFAAAAA"']),
    said(BUCKET, index="200000000"),
    said(BUCKET, side="2"),
    said(BUCKET, failures=json.dumps({str(number): 1 for number in range(2000)})),
    *(said(PROGRESS, elapsed=text) for text in NO_TIMES),
    *(said(PROGRESS, sent=text) for text in NO_COUNTS),
    *(said(FINISHED, elapsed=text) for text in NO_TIMES),
    *(said(FINISHED, **{name: text}) for name in ("planned", "shortfall") for text in NO_COUNTS),
    *(said(STARTED, at=json.dumps(at)) for at in ["0001-01-01T00:00:00+23:00", "soon", 5, None]),
    *(said(STEPS, index=text) for text in NO_COUNTS),
    *(
        said(STEPS, steps=json.dumps({"/cart": STEP | changes}))
        for changes in (
            *({"completed": value} for value in (-1, 1.5, "5", True, None)),
            {"codes": {"x": 1}},
            {"failures": {"TimeoutError": -1}},
            *({"response": value} for value in (5, None, "x", ["x"], [5])),
        )
    ),
    *(said(STEPS, steps=text) for text in ["5", "null", "[]", '{"": {}}', '{"x": 5}']),
    said(STEPS, steps=json.dumps({str(number): STEP for number in range(2000)})),
    said(STEPS, steps=json.dumps({"x" * 5000: STEP})),
    b'{"event": "paused", "elapsed": NaN}',
    rb'{"event": "failed", "message": "\ud800"}',
    b'{"event": ["bucket"]}',
    b'{"event": "bucket", "codes": ' + b"[" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("event", WHOLE, ids=lambda event: event["event"])
def test_events_that_make_sense_are_read(event):
    assert parse_event(said(event)) is not None


@pytest.mark.parametrize("line", BROKEN, ids=map(str, range(len(BROKEN))))
def test_an_event_that_makes_no_sense_is_refused(line):
    with pytest.raises(ValueError, match=r"invalid line|cannot be read"):
        parse_event(line)


def test_a_message_is_cut():
    assert len(parse_event(said({"event": "failed", "message": "x" * 10**6})).message) == 2000


def encoded(histogram, times=5):
    histogram.record_value(1000, times)
    return histogram.encode().decode()


def packed(content):
    compressed = zlib.compress(content, 9)
    envelope = (0x1C849314).to_bytes(4) + len(compressed).to_bytes(4)
    return b64encode(envelope + compressed).decode()


@pytest.mark.parametrize(
    "text",
    [
        packed(bytes(100_000_000)),
        packed(b"\x1c\x84\x93\x13" + bytes(36)),
        packed(b""),
        "A" * 1_000_000,
        encoded(HdrHistogram(1, 2**40, 5)),
        encoded(HdrHistogram(1, 3_600_000_000, 2)),
    ],
    ids=["bomb", "no-settings", "empty", "long", "larger", "coarser"],
)
def test_a_histogram_that_is_none_of_ours_is_refused_without_unpacking_it(text):
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableHistogram):
            check_encoded(text)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_more_response_times_than_there_can_be_are_not_added():
    with pytest.raises(UnreadableHistogram):
        add_encoded(new_histogram(), encoded(new_histogram(), times=2**54))


def test_a_full_histogram_is_read():
    full = HdrHistogram(1, 3_600_000_000, 3)
    for index in range(full.counts_len):
        value = min(full.get_value_from_index(index), 3_600_000_000)
        full.record_value(value or 1, 2**32 + index)
    text = full.encode().decode()
    check_encoded(text)
    assert len(text) > 30_000


LINES = [
    said(BUCKET, sent="4611686018427387904"),
    said(BUCKET, index="1", sent="9007199254740992", planned="9007199254740992"),
    said(BUCKET, codes='{"200": 1e999}'),
    said(BUCKET, response=json.dumps(packed(bytes(10_000_000)))),
    said(PROGRESS, elapsed="NaN"),
    b"[" * 100_000,
]


@pytest.mark.process
@pytest.mark.parametrize("region", ["local", "eu-west"])
def test_a_malformed_event_ends_the_run_and_nothing_else(server, tmp_path, region):
    path = tmp_path / "line"
    agent = RunningAgent(server).start().connected()
    with server.client() as client:
        api = Api(client)
        profile_id = api.save(script=f"mode=say&line=@{path}")
        good = api.save("good")
        for line in LINES:
            path.write_bytes(line)
            row = api.row_of(api.start(profile_id, region=region))
            assert (row["outcome"], row["autoVerdict"]) == ("ABORTED", None), line[:80]
            assert api.get(f"/history/{row['id']}").status_code == 200
        assert api.judged(api.start(good))["autoVerdict"] == "NO_BASELINE"
    agent.stop()
