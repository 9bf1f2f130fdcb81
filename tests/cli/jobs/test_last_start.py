"""`tm jobs wait --last` finds the run of a start whose answer never came, by its key."""

import json
import signal
import subprocess
import sys

import pytest

from tests.services.strait.api import TRIGGER, Problem, Reply, envelope
from tests.services.strait.world import Course
from tm_cli.exit_codes import ExitCode

START = ("start", "export", "--wait", "--no-stream")
LAST = ("wait", "--last", "--no-stream")


@pytest.fixture
def memory(tm):
    """What is remembered now, and the file it is in."""

    def read():
        (path,) = (tm.cwd.parent / "state" / "last").glob("*.json")
        return path, json.loads(path.read_text())

    return read


@pytest.fixture
def killed(jobs, strait, memory):
    """Start, and be killed while the first trigger is on its way: what is remembered stays."""

    def run(*argv, acted=True):
        saved = []
        answer = strait.api.answer

        def noting(request):
            reply = answer(request) if acted or not request.path.endswith("/trigger") else None
            if request.path.endswith("/trigger") and not saved:
                path, _ = memory()
                saved.append((path, path.read_text()))
            return reply

        strait.api.answer = noting
        jobs(*argv)
        strait.api.answer = answer
        ((path, text),) = saved
        path.write_text(text)

    return run


@pytest.mark.parametrize("start", [START, START[:2]], ids=["wait", "return"])
@pytest.mark.parametrize(("ending", "code"), [("completed", 0), ("failed", 2)])
def test_run_of_a_start_that_was_killed_is_found_by_its_key(
    jobs, strait, killed, memory, start, ending, code
):
    strait.job(attempts=(ending,))
    killed(*start)
    _, (entry,) = memory()
    assert entry["run_id"] == ""
    assert entry["details"]["idempotency_key"] == "tm-token-0"
    assert jobs(*LAST).exit_code == code


def test_key_is_written_down_before_each_request(jobs, strait, memory):
    strait.job()
    limited = Reply(429, b"Too Many Requests\n", {"Content-Type": "text/plain", "Retry-After": "1"})
    strait.api.fault(TRIGGER, limited)
    remembered, answer = [], strait.api.answer

    def noting(request):
        if request.path.endswith("/trigger"):
            _, (entry,) = memory()
            remembered.append(
                (request.headers["idempotency-key"], entry["details"]["idempotency_key"])
            )
        return answer(request)

    strait.api.answer = noting
    assert jobs(*START).exit_code == ExitCode.OK
    assert remembered == [("tm-token-0", "tm-token-0"), ("tm-token-1", "tm-token-1")]


def test_run_is_found_on_a_later_page(jobs, strait, clock, killed):
    job = strait.job(attempts=("failed",))
    killed(*START)
    for _ in range(250):
        clock.sleep(0.1)
        strait.world.make_run(job["id"]).course = Course()
    assert jobs(*LAST).exit_code == ExitCode.FAIL


def test_start_that_never_arrived_is_unknown(jobs, strait, killed):
    strait.job()
    killed(*START, acted=False)
    result = jobs(*LAST)
    assert result.exit_code == ExitCode.START_UNKNOWN
    assert "the last start of export has no run that is known here" in result.stderr
    assert "--idempotency-key tm-token-0 --reuse" in result.stderr
    assert not strait.world.runs


@pytest.mark.parametrize("flags", [(), ("--idempotency-key", "nightly")], ids=["own", "user"])
@pytest.mark.parametrize("status", [400, 403, 409])
def test_key_of_a_refused_start_is_forgotten(jobs, strait, memory, flags, status):
    strait.job()
    strait.api.fault(TRIGGER, envelope(Problem(status, "no")))
    assert jobs(*START, *flags).exit_code in (ExitCode.REFUSED, ExitCode.AUTHENTICATION)
    result = jobs(*LAST)
    assert result.exit_code == ExitCode.START_UNKNOWN
    assert "has no run that is known here" in result.stderr
    assert "--idempotency-key" not in result.stderr


def test_run_of_another_start_is_never_taken(jobs, strait, killed):
    job = strait.job()
    killed(*START, acted=False)
    strait.world.runs.clear()
    strait.world.make_run(job["id"], idempotency_key="of-another-start")
    other = strait.job("other")
    strait.world.make_run(other["id"], idempotency_key="tm-token-0")
    assert jobs(*LAST).exit_code == ExitCode.START_UNKNOWN


@pytest.mark.parametrize(
    ("flags", "code"), [((), ExitCode.START_UNKNOWN), (("--reuse",), ExitCode.OK)], ids=str
)
def test_run_that_the_key_of_the_user_found_before_does_not_count(
    jobs, strait, clock, killed, flags, code
):
    strait.job()
    key = ("--idempotency-key", "nightly")
    assert jobs(*START, *key).exit_code == ExitCode.OK
    clock.sleep(3600.0)
    killed(*START, *key, *flags)
    result = jobs(*LAST)
    assert result.exit_code == code
    if not flags:
        assert "was there before" in result.stderr


@pytest.mark.parametrize("is_first", [True, False])
def test_new_run_under_the_key_of_the_user_counts(jobs, strait, clock, killed, is_first):
    job = strait.job(attempts=("failed",))
    if not is_first:
        strait.world.make_run(job["id"])
    clock.sleep(5.0)
    killed(*START, "--idempotency-key", "nightly")
    assert jobs(*LAST).exit_code == ExitCode.FAIL


@pytest.mark.parametrize("flags", [(), ("--idempotency-key", "nightly")], ids=["dedup", "key"])
def test_old_run_that_a_start_was_answered_with_is_not_the_last_start(jobs, strait, clock, flags):
    """The same start with --wait is undecided."""
    strait.job(dedup_window_secs=0 if flags else 7200)
    start = ("start", "export", *flags)
    assert jobs(*start, "--wait", "--no-stream").exit_code == ExitCode.OK
    clock.sleep(60.0)
    result = jobs(*start, "--json")
    assert result.json["data"]["is_new"] is False
    assert jobs(*LAST).exit_code == ExitCode.START_UNKNOWN


def test_run_whose_key_is_another_is_undecided_for_a_later_wait_too(jobs, strait, memory):
    """A job that has got a dedup window since tm has read it answers with an earlier run."""
    job = strait.job()
    earlier = strait.world.make_run(job["id"], payload={})
    earlier.document.update(status="completed", finished_at=earlier.document["created_at"])
    body = json.dumps({"id": earlier.id, "status": "completed"}).encode()
    for start in (START, START[:2]):
        strait.api.fault(TRIGGER, Reply(201, body, {"Content-Type": "application/json"}))
        jobs(*start)
        result = jobs(*LAST)
        assert result.exit_code == ExitCode.UNDECIDED
        assert "does not carry the idempotency key of this start" in result.stderr


def test_repetition_is_what_was_started_last(jobs, strait, killed, memory):
    """--confirm: a wait for what was started last is about the repetition, not the first run."""
    strait.job(attempts=("failed",))
    saved, answer = [], strait.api.answer

    def noting(request):
        if request.path.endswith("/trigger"):
            saved.append(memory()[1][0])
        return answer(request)

    strait.api.answer = noting
    assert jobs(*START, "--confirm", "1").exit_code == ExitCode.FAIL
    first, second = saved
    assert (first["run_id"], second["run_id"]) == ("", "")
    assert first["details"]["idempotency_key"] != second["details"]["idempotency_key"]


@pytest.mark.parametrize(
    "details",
    [
        {"idempotency_key": 7},
        {"idempotency_key": "nightly", "is_unique": False, "newest": "yesterday"},
        {"idempotency_key": "nightly", "is_unique": "yes", "newest": 7},
        {"idempotency_key": "nightly", "is_unique": None, "asked_at": "2026-03-01"},
    ],
    ids=str,
)
def test_unusable_memory_of_a_key_finds_nothing(jobs, strait, killed, memory, details):
    strait.job()
    killed(*START, "--idempotency-key", "nightly")
    path, (entry,) = memory()
    entry["details"].update(details)
    path.write_text(json.dumps([entry]))
    result = jobs(*LAST)
    assert result.exit_code == ExitCode.START_UNKNOWN
    assert "Traceback" not in result.stderr


def test_interrupted_start_names_the_command_that_finds_its_run(jobs, strait, clock):
    from tm_cli.runtime.signals import SignalReceived

    strait.job(attempts=("failed",))
    strait.api.fault(TRIGGER, None, after=True)
    sleep = clock.sleep

    def interrupted(seconds):
        clock.sleep = sleep
        raise SignalReceived(15)

    clock.sleep = interrupted
    result = jobs(*START)
    assert result.exit_code == 143
    assert "`tm jobs wait --last` searches for the run" in result.stderr
    assert jobs(*LAST).exit_code == ExitCode.FAIL


def test_list_that_cannot_be_read_is_an_error(jobs, strait, killed):
    strait.job()
    killed(*START)
    strait.api.fault("GET /v1/runs", envelope(Problem(403, "no")))
    assert jobs(*LAST).exit_code == ExitCode.AUTHENTICATION


@pytest.mark.process
def test_process_that_is_killed_leaves_the_key(strait, tmp_path):
    strait.job()
    arrived, answer = [], strait.api.answer

    def never_answering(request):
        reply = answer(request)
        if request.path.endswith("/trigger"):
            arrived.append(request)
            process.send_signal(signal.SIGKILL)
            process.wait(30)
        return reply

    strait.api.answer = never_answering
    environ = {**strait.environ, "HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")}
    words = [sys.executable, "-m", "tm_cli", "jobs", *START]
    process = subprocess.Popen(words, cwd=tmp_path, env=environ)
    process.wait(60)
    strait.api.answer = answer
    assert len(arrived) == 1
    for run in strait.world.runs.values():
        run.document.update(status="failed", finished_at=run.document["created_at"])
        run.due = None
    last = subprocess.run(
        [sys.executable, "-m", "tm_cli", "jobs", *LAST],
        cwd=tmp_path,
        env=environ,
        timeout=60,
        check=False,
    )
    assert last.returncode == ExitCode.FAIL


def test_memory_that_cannot_be_written_is_told_once(jobs, tm, strait):
    strait.job()
    (tm.cwd.parent / "state").write_text("a file")
    result = jobs(*START)
    assert result.exit_code == ExitCode.OK
    assert result.stderr.count("is not remembered for --last") == 1
