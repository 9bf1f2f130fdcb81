"""Event streams: what they say only makes the next look come sooner."""

import json
import threading
import time
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.services.strait.api import KEY
from tests.services.strait.server import CUT, HANG_UP
from tm_cli.api.event_stream import Listener
from tm_cli.api.strait import stream_path
from tm_cli.api.transport import Connection, Transport
from tm_cli.backends.strait.results import may_change_status, read_message
from tm_cli.exit_codes import ExitCode
from tm_cli.runtime.clock import SystemClock
from tm_cli.values.api_key import ApiKey

DEADLINE = 5.0
STREAM = "GET /v1/runs/{run}/stream"


def until(condition):
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


class Ears:
    """Remembers what was heard."""

    def __init__(self):
        self.messages = []
        self.changes = 0

    def __call__(self, message):
        if message is None:
            self.changes += 1
        else:
            self.messages.append(message)


@pytest.fixture
def listen(strait):
    transports, listeners = [], []

    def start(run_id, part=None):
        connection = Connection(
            base_url=strait.server.url + "/",
            key=ApiKey(KEY),
            bearer=True,
            clock=SystemClock(),
            environ={},
        )
        transports.append(Transport(replace(connection)))
        ears = Ears()
        listeners.append(Listener(transports[-1], stream_path(run_id, part), ears))
        listeners[-1].start()
        return listeners[-1], ears

    yield start
    for listener in listeners:
        listener.close()
        assert not listener._thread.is_alive()
    for transport in transports:
        transport.close()


@pytest.fixture
def run(strait):
    return strait.world.make_run(strait.job(holds="queued")["id"])


def channel(strait, run, part="status"):
    until(lambda: strait.server.streams[run.id, part])
    return lambda data: strait.server.publish(run.id, part, data)


@pytest.mark.parametrize(
    ("data", "news"),
    [
        ('{"type": "status_change", "to": "completed"}', True),
        ('{"run_id": "r", "status": "completed"}', True),
        ('{"error": "streaming not available"}', True),
        ('{"type": "event", "event_type": "log", "message": "x"}', False),
        ('{"type": "event", "event_type": "progress", "data": {"percent": 5}}', False),
        ('{"type": "stream_chunk", "chunk": "x"}', False),
        ('{"message": "\\x1b[31m"}', True),
        ("", True),
        ("[1]", True),
        ('{"type": "of a newer server"}', True),
    ],
)
def test_what_may_speak_of_a_new_status_is_news(data, news):
    assert may_change_status(data) is news


def test_messages_are_heard_as_they_come(listen, strait, run):
    _, ears = listen(run.id)
    say = channel(strait, run)
    say('{"type": "status_change"}')
    say('{"message": "caf\\xe9"}')
    until(lambda: len(ears.messages) == 2)
    assert [message.name for message in ears.messages] == ["message", "message"]
    assert ears.changes == 1


@pytest.mark.parametrize("how", [HANG_UP, CUT], ids=["between-chunks", "within-a-chunk"])
def test_stream_that_is_cut_is_opened_again(listen, strait, run, how):
    _, ears = listen(run.id)
    channel(strait, run)('{"n": 1}')
    until(lambda: ears.messages)
    strait.server.send(run.id, "status", how)
    until(lambda: strait.server.opened == 2)
    channel(strait, run)('{"n": 2}')
    until(lambda: len(ears.messages) == 2)


def test_stream_of_a_run_that_is_over_is_given_up(listen, strait, run):
    strait.world.cancel(run)
    listener, ears = listen(run.id)
    until(lambda: not listener._thread.is_alive())
    assert ears.changes == 1


@pytest.mark.parametrize("part", ["chunks", "logs"])
def test_other_streams_have_their_own_address(listen, strait, run, part):
    _, ears = listen(run.id, part)
    channel(strait, run, part)('{"n": 1}')
    until(lambda: ears.messages)


def test_stream_is_cut_at_the_write_deadline_and_opened_again(listen, strait, run):
    strait.server.cuts_streams = True
    now, later = strait.world.now, []
    strait.world.now = lambda: now() + timedelta(seconds=91.0 * len(later))
    listen(run.id)
    until(lambda: strait.server.opened == 1)
    later.append(True)
    until(lambda: strait.server.opened == 2)


@pytest.mark.parametrize(("ending", "code"), [("completed", 0), ("failed", 2)])
def test_gate_whose_stream_is_cut_again_and_again_is_decided(jobs, strait, ending, code):
    strait.server.cuts_streams = True
    strait.job(executing=600.0, attempts=(ending,))
    assert jobs("start", "export", "--wait").exit_code == code


def test_hanging_up_takes_no_time(listen, strait, run):
    listener, _ = listen(run.id)
    channel(strait, run)
    began = time.monotonic()
    listener.close()
    assert time.monotonic() - began < 1.0


def in_real_time(strait):
    """Let the world go by the clock on the wall."""
    strait.world.now = SystemClock().now


def in_real_time_once_heard(strait):
    """Let the world stand still until somebody listens, and go by the clock on the wall then."""
    clock = SystemClock()
    began, since = clock.now(), []

    def now():
        if strait.server.opened and not since:
            since.append(clock.now())
        return began + (clock.now() - since[0]) if since else began

    strait.world.now = now


def test_gate_hears_of_the_end_and_looks_at_once(strait, tmp_path):
    in_real_time(strait)
    strait.job(queued=0.2, executing=1.5, attempts=("failed",))
    began = time.monotonic()
    ticking = threading.Event()
    ticker = threading.Thread(target=tick, args=(strait, ticking))
    ticker.start()
    try:
        result = real_tm(strait, tmp_path, "start", "export", "--wait", "--poll-interval", "60s")
    finally:
        ticking.set()
        ticker.join()
    assert result == ExitCode.FAIL
    assert time.monotonic() - began < 10


def tick(strait, stop):
    """Let the world move, and announce it, without anybody asking."""
    while not stop.wait(0.05):
        with strait.server.lock:
            strait.world.settle()


def real_tm(strait, tmp_path, *argv):
    """Run tm by the clock on the wall."""
    import io

    from tm_cli.main import main
    from tm_cli.runtime.environment import Environment
    from tm_cli.runtime.terminal import Terminal

    out = io.StringIO()
    context = replace(
        Environment.system(),
        environ=strait.environ,
        terminal=Terminal(out, out),
        cwd=tmp_path,
        find_user_dir=lambda: tmp_path,
        find_state_dir=lambda: tmp_path / "state",
    )
    code = main(["jobs", *argv], context)
    strait.output = out.getvalue()
    return code


@pytest.mark.parametrize(
    "lie",
    [
        {"type": "status_change", "from": "executing", "to": "completed"},
        {"run_id": "r", "status": "completed"},
        {"status": "completed", "result": {"ok": True}},
    ],
    ids=["change", "late-result", "whole-run"],
)
def test_stream_that_lies_decides_nothing(jobs, strait, lie):
    strait.job(executing=30.0, attempts=("failed",))
    publish = strait.server.publish
    strait.world.publish = lambda run, channel, _data: publish(run, channel, json.dumps(lie))
    assert jobs("start", "export", "--wait").exit_code == ExitCode.FAIL


def test_run_that_is_cancelled_in_silence_is_found_out(jobs, strait, clock):
    job = strait.job(executing=600.0)
    run = strait.world.make_run(job["id"])
    sleep = clock.sleep

    def canceled(seconds):
        if clock.seconds > 1060 and run.status == "executing":
            strait.world.cancel(run)
        sleep(seconds)

    clock.sleep = canceled
    result = jobs("wait", run.id, "--fail-on", "WARN")
    assert result.exit_code == ExitCode.WARN


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_gate_does_without_a_stream(jobs, strait, status):
    from tests.services.strait.api import Problem, envelope

    strait.job(attempts=("failed",))
    for _ in range(50):
        strait.api.fault(STREAM, envelope(Problem(status, "no stream for you")))
    assert jobs("start", "export", "--wait").exit_code == ExitCode.FAIL


def test_more_runs_than_streams_are_only_looked_at(jobs, strait):
    slugs = [strait.job(f"job-{n}")["slug"] for n in range(9)]
    assert jobs("start", *slugs, "--wait").exit_code == ExitCode.OK
    assert strait.server.opened == 0


# `tm jobs stream`.


def test_stream_prints_until_the_run_is_over(strait, tmp_path):
    in_real_time_once_heard(strait)
    job = strait.job(queued=0.2, executing=1.0)
    run = strait.world.make_run(job["id"])
    ticking = threading.Event()
    ticker = threading.Thread(target=tick, args=(strait, ticking))
    ticker.start()
    try:
        code = real_tm(strait, tmp_path, "stream", run.id)
    finally:
        ticking.set()
        ticker.join()
    assert code == ExitCode.OK
    assert "status executing -> completed" in strait.output
    assert "is completed" in strait.output


def test_stream_of_a_run_that_is_over_says_so(jobs, strait, run):
    strait.world.cancel(run)
    result = jobs("stream", run.id)
    assert result.exit_code == ExitCode.OK
    assert "is canceled" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("flag", [(), ("--chunks",), ("--logs",)])
def test_stream_ends_although_the_end_is_never_announced(jobs, strait, flag):
    job = strait.job(executing=100.0)
    strait.world.publish = lambda *_message: None
    run = strait.world.make_run(job["id"])
    assert jobs("stream", run.id, *flag).exit_code == ExitCode.OK


def test_stream_has_a_limit(jobs, strait, run):
    result = jobs("stream", run.id, "--wait-timeout", "1m")
    assert result.exit_code == ExitCode.WAIT_TIMEOUT


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (
            {"type": "status_change", "from": "queued", "to": "executing"},
            "status queued -> executing",
        ),
        ({"to": "failed", "type": "status_change", "error": "no"}, "status ? -> failed: no"),
        ({"type": "event", "message": "half way", "data": {"percent": 50}}, "50 % half way"),
        (
            {"type": "event", "level": "warn", "message": "::error::x\x1b[2J"},
            "warn : :error::x [2J",
        ),
        ({"run_id": "r", "status": "completed"}, "status completed"),
        ({"error": "streaming not available"}, "the stream says: streaming not available"),
        ({"anything": 1}, '{"anything": 1}'),
    ],
)
def test_message_is_one_harmless_line(content, line):
    from tm_cli.api.event_stream import Message
    from tm_cli.commands.jobs.stream import _line

    message = Message("log", json.dumps(content))
    assert _line(message, content, as_json=False) == line
    assert json.loads(_line(message, content, as_json=True))["data"] == content


def test_message_that_cannot_be_read_is_shown_as_it_is():
    from tm_cli.api.event_stream import Message
    from tm_cli.commands.jobs.stream import _line

    message = Message("message", '{"a": "\\x1b')
    assert _line(message, None, as_json=False).startswith("unreadable: ")
    assert json.loads(_line(message, None, as_json=True))["text"] == message.data


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (r'{"message": "\x1b[31mred\x1b[0m"}', "\x1b[31mred\x1b[0m"),
        (r'{"message": "\a\v\x7f\xff"}', "\a\v\x7f\xff"),
        (r'{"message": "C:\\x1b\\a \x00"}', "C:\\x1b\\a \0"),
        (r'{"message": "\\\x1b \" \u00e9 \n"}', '\\\x1b " \u00e9 \n'),
        (r'{"message": "plain \\x41"}', "plain \\x41"),
    ],
)
def test_text_that_the_server_quotes_as_go_does_is_read(data, text):
    assert read_message(data) == {"message": text}


@pytest.mark.parametrize("data", [r'{"message": "\xZZ"}', r'{"message": "\q"}', "\\", r'"\x41"'])
def test_what_is_neither_stays_unread(data):
    assert read_message(data) is None


def chunk(text, **more):
    return json.dumps({"type": "stream_chunk", "chunk": text, "stream_id": "default", **more})


def printed(strait, tmp_path, *messages):
    """What `tm jobs stream --chunks` prints of these messages."""
    in_real_time_once_heard(strait)
    run = strait.world.make_run(strait.job(holds="executing")["id"])

    def say():
        publish = channel(strait, run, "chunks")
        for message in messages:
            publish(message)
        with strait.server.lock:
            strait.world.cancel(run)
        publish('{"status": "canceled"}')

    speaker = threading.Thread(target=say)
    speaker.start()
    try:
        assert real_tm(strait, tmp_path, "stream", run.id, "--chunks", "-q") == ExitCode.OK
    finally:
        speaker.join()
    return strait.output.removesuffix("status canceled\n")


def test_chunks_are_printed_as_they_come(strait, tmp_path):
    texts = ["The ", "answer\n", "", "  is ", "\t42", "."]
    found = printed(strait, tmp_path, *map(chunk, texts), chunk("", done=True), chunk("Next"))
    assert found == "The answer\n  is \t42.\nNext\n"


@pytest.mark.parametrize("cut", [1, 3, 40, len(KEY) - 1])
@pytest.mark.parametrize("between", ["", "\u200b"])
def test_key_that_comes_in_pieces_is_not_shown(strait, tmp_path, cut, between):
    pieces = chunk("a " + KEY[:cut]), chunk(between), chunk(KEY[cut:] + " b")
    found = printed(strait, tmp_path, *pieces, chunk(" ends with s"), chunk("", done=True))
    assert found == "a *** b ends with s\n"


def test_texts_of_several_streams_are_kept_apart(strait, tmp_path):
    found = printed(strait, tmp_path, chunk("one"), chunk("two", stream_id="b"), chunk("\n"))
    assert found == "one\ntwo\n\n"
