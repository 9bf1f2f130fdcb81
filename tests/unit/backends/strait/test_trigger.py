"""Triggering a job: once, under a key, and never taking an old run for a new one."""

import json
from datetime import timedelta

import pytest

from tests.services.strait.api import IN_PROGRESS, KEY, Problem, Reply, envelope
from tests.services.strait.world import Course
from tm_cli.exit_codes import ExitCode

START = ("start", "export", "--wait", "--no-stream")
TRIGGER = "POST /v1/jobs/{job}/trigger"
LOST = [None, Reply(500), Reply(504), Reply(200, b"<html>", {"Content-Type": "text/html"})]
LIMITED = Reply(429, b"Too Many Requests\n", {"Content-Type": "text/plain", "Retry-After": "60"})
BUSY = envelope(Problem(409, IN_PROGRESS))
ADMISSION = envelope(Problem(429, "database admission control throttled", Retry_After="1"))


def triggers(strait):
    return [item for item in strait.api.log if item.path.endswith("/trigger")]


@pytest.mark.parametrize("after", [False, True], ids=["lost-on-the-way", "answer-lost"])
@pytest.mark.parametrize("reply", LOST, ids=["hang-up", "500", "504", "html"])
def test_lost_answer_is_asked_for_again_and_makes_one_run(jobs, strait, reply, after):
    strait.job(attempts=("failed",))
    strait.api.fault(TRIGGER, reply, after=after)
    assert jobs(*START).exit_code == ExitCode.FAIL
    assert len(strait.world.runs) == 1
    assert len({item.headers["idempotency-key"] for item in triggers(strait)}) == 1


def test_key_goes_out_under_one_header(jobs, strait):
    strait.job()
    jobs(*START)
    (request,) = triggers(strait)
    assert request.headers["idempotency-key"] == "tm-token-0"
    assert "x-idempotency-key" not in request.headers


JOB_LIMIT = envelope(Problem(429, "job rate limit exceeded", Retry_After="5"))
PUBLISHED_LIMIT = Reply(
    429,
    b'{"error": "rate limited", "request_id": "r-1"}',
    {"Content-Type": "application/json", "Retry-After": "5"},
)


@pytest.mark.parametrize("reply", [LIMITED, BUSY, ADMISSION], ids=["limited", "busy", "admission"])
def test_patience_that_the_server_asks_for_is_had(jobs, strait, clock, reply):
    strait.job()
    strait.api.fault(TRIGGER, reply)
    assert jobs(*START).exit_code == ExitCode.OK
    assert len(strait.world.runs) == 1


# A server keeps the key of a refused trigger in use for a day.


@pytest.mark.parametrize(
    "reply", [LIMITED, JOB_LIMIT, PUBLISHED_LIMIT], ids=["address", "job", "published"]
)
@pytest.mark.parametrize("times", [1, 3])
def test_trigger_goes_out_under_another_key_after_a_limit(jobs, strait, reply, times):
    strait.job(attempts=("failed",))
    for _ in range(times):
        strait.api.fault(TRIGGER, reply)
    assert jobs(*START).exit_code == ExitCode.FAIL
    keys = [item.headers["idempotency-key"] for item in triggers(strait)]
    assert len(set(keys)) == len(keys) == times + 1
    (run,) = strait.world.runs.values()
    assert run.document["idempotency_key"] == keys[-1]


@pytest.mark.parametrize("reply", LOST, ids=["hang-up", "500", "504", "html"])
@pytest.mark.parametrize("limit", [LIMITED, JOB_LIMIT], ids=["address", "job"])
def test_limit_after_a_lost_answer_does_not_change_the_key(jobs, strait, reply, limit):
    strait.job(attempts=("failed",))
    strait.api.fault(TRIGGER, reply, after=True)
    strait.api.fault(TRIGGER, limit)
    assert jobs(*START).exit_code == ExitCode.FAIL
    assert len({item.headers["idempotency-key"] for item in triggers(strait)}) == 1
    assert len(strait.world.runs) == 1


@pytest.mark.parametrize(
    "reply",
    [
        ADMISSION,
        Reply(429, b"<html>", {"Content-Type": "text/html", "Retry-After": "1"}),
        Reply(429, b"", {"Retry-After": "1"}),
    ],
    ids=["admission", "gateway", "empty"],
)
def test_limit_that_may_hide_a_run_does_not_change_the_key(jobs, strait, reply):
    strait.job(attempts=("failed",))
    strait.api.fault(TRIGGER, reply, after=True)
    assert jobs(*START).exit_code == ExitCode.FAIL
    assert len({item.headers["idempotency-key"] for item in triggers(strait)}) == 1
    assert len(strait.world.runs) == 1


@pytest.mark.parametrize("flags", [(), ("--reuse",)], ids=["plain", "reuse"])
@pytest.mark.parametrize(
    "reply", [LIMITED, JOB_LIMIT, envelope(Problem(400, "payload"))], ids=["address", "job", "400"]
)
def test_key_of_the_user_that_stays_in_use_started_nothing(jobs, strait, clock, reply, flags):
    strait.job()
    strait.api.fault(TRIGGER, reply)
    results = [jobs(*START, "--idempotency-key", "nightly", *flags) for _ in range(2)]
    for result in results:
        assert result.exit_code == ExitCode.REFUSED
        assert "not started: " in result.stderr
        assert "another --idempotency-key" in result.stderr
        assert "nightly" not in result.stderr.partition("hint:")[2]
    assert not strait.world.runs
    clock.sleep(25 * 3600.0)
    assert jobs(*START, "--idempotency-key", "nightly", *flags).exit_code == ExitCode.OK


def test_server_that_frees_the_key_of_a_refusal_gets_it_again(jobs, strait):
    strait.job()
    strait.api.frees_keys = True
    strait.api.fault(TRIGGER, LIMITED)
    assert jobs(*START, "--idempotency-key", "nightly").exit_code == ExitCode.OK


def test_key_is_asked_for_longer_than_a_request_of_the_server_may_take(jobs, strait, clock):
    strait.job()
    for _ in range(5):
        strait.api.fault(TRIGGER, BUSY)
    assert jobs(*START, "--idempotency-key", "nightly").exit_code == ExitCode.REFUSED
    assert sum(clock.slept) > 30.0


RUNS = "GET /v1/runs"


@pytest.mark.parametrize("last", [BUSY, JOB_LIMIT], ids=["in-use", "limit"])
def test_no_is_certain_only_where_the_runs_show_none(jobs, strait, last):
    """Something on the way sent the request twice: one made the run, the other was answered."""
    strait.job()
    strait.api.fault(TRIGGER, BUSY, after=True)
    for _ in range(3):
        strait.api.fault(TRIGGER, BUSY)
    strait.api.fault(TRIGGER, last)
    strait.api.fault(RUNS, Reply(200, b'{"data": []}', {"Content-Type": "application/json"}))
    strait.api.fault(RUNS, Reply(404, b"<html>", {"Content-Type": "text/html"}))
    result = jobs(*START, "--idempotency-key", "nightly")
    assert len(strait.world.runs) == 1
    assert result.exit_code == ExitCode.START_UNKNOWN
    assert "--idempotency-key nightly --reuse" in result.stderr


def test_no_is_not_certain_where_a_job_may_answer_with_the_run_of_another_key(jobs, strait):
    """The other request may have been answered with the earlier run, which no key shows."""
    job = strait.job(dedup_window_secs=7200)
    strait.world.make_run(job["id"], payload={})
    for _ in range(5):
        strait.api.fault(TRIGGER, BUSY, after=True)
    result = jobs(*START, "--idempotency-key", "nightly")
    assert result.exit_code == ExitCode.START_UNKNOWN
    assert len(strait.world.runs) == 1


@pytest.mark.parametrize(("key", "code"), [(None, 7), ("", 7), ("another", 8)])
def test_new_run_without_a_key_may_be_that_of_a_key_in_use(jobs, strait, key, code):
    """Its key may have been reset."""
    job = strait.job()
    old = strait.world.make_run(job["id"]).document
    for _ in range(5):
        strait.api.fault(TRIGGER, BUSY)
    made = strait.world.text(strait.world.now() + timedelta(seconds=20))
    found = [{**old, "id": strait.world.new_id(), "created_at": made, "idempotency_key": key}, old]
    for runs in ([old], found):
        body = json.dumps({"data": runs}).encode()
        strait.api.fault(RUNS, Reply(200, body, {"Content-Type": "application/json"}))
    assert jobs(*START, "--idempotency-key", "nightly").exit_code == code


def test_run_of_a_key_in_use_is_found_after_a_limit(jobs, strait):
    strait.job()
    strait.api.fault(TRIGGER, BUSY, after=True)
    for _ in range(4):
        strait.api.fault(TRIGGER, JOB_LIMIT)
    result = jobs(*START, "--idempotency-key", "nightly")
    assert len(strait.world.runs) == 1
    assert result.exit_code == ExitCode.UNDECIDED
    assert "handed back run" in result.stderr


def test_run_of_a_key_in_use_was_there_before(jobs, strait):
    """Another caller's run under the key: none of our requests has made it."""
    job = strait.job()
    run = strait.world.make_run(job["id"], idempotency_key="nightly")
    for _ in range(10):
        strait.api.fault(TRIGGER, BUSY)
    flags = (*START, "--idempotency-key", "nightly")
    result = jobs(*flags)
    assert result.exit_code == ExitCode.UNDECIDED
    assert f"handed back run {run.id}" in result.stderr
    assert jobs(*flags, "--reuse").exit_code == ExitCode.OK


def test_own_key_in_use_may_be_our_request(jobs, strait):
    """Something on the way may send it twice."""
    strait.job()
    for _ in range(5):
        strait.api.fault(TRIGGER, BUSY)
    assert jobs(*START).exit_code == ExitCode.START_UNKNOWN


@pytest.mark.parametrize("count", [10, 13, 25])
def test_many_triggers_stay_below_the_limit_of_the_server(jobs, strait, count):
    strait.api.limited = True
    slugs = [strait.job(f"job-{n}")["slug"] for n in range(count)]
    result = jobs("start", *slugs)
    assert result.exit_code == ExitCode.OK
    assert len(strait.world.runs) == len(triggers(strait)) == count
    assert "the server takes few triggers a minute" in result.stderr


@pytest.mark.parametrize("used", [3, 10])
def test_limit_that_others_have_used_up_is_ridden_out(jobs, strait, used):
    strait.api.limited = True
    job = strait.job()
    strait.api._sent["trigger", strait.world.now().timestamp() // 60] = used
    slugs = [job["slug"], *(strait.job(f"job-{n}")["slug"] for n in range(8))]
    assert jobs("start", *slugs, "--wait", "--no-stream").exit_code == ExitCode.OK
    assert len(strait.world.runs) == 9


def test_waiting_for_the_trigger_limit_is_told(jobs, strait, clock):
    strait.job()
    strait.api.fault(TRIGGER, LIMITED)
    result = jobs(*START)
    assert 60.0 in clock.slept
    assert "not started yet" in result.stderr


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (envelope(Problem(400, "job is disabled")), ExitCode.REFUSED),
        (envelope(Problem(409, "job is paused")), ExitCode.REFUSED),
        (envelope(Problem(422, "validation failed", "tags: failed on 'max'")), ExitCode.REFUSED),
        (envelope(Problem(429, "daily cost budget exceeded")), ExitCode.REFUSED),
        (envelope(Problem(401, "API key revoked")), ExitCode.AUTHENTICATION),
        (envelope(Problem(403, "insufficient permissions")), ExitCode.AUTHENTICATION),
        (
            Reply(
                402,
                json.dumps({"code": "quota_exceeded", "message": "runs", "limit": 5}).encode(),
                {"Content-Type": "application/json"},
            ),
            ExitCode.REFUSED,
        ),
    ],
    ids=["disabled", "paused", "invalid", "daily", "revoked", "forbidden", "quota"],
)
def test_clear_no_is_not_repeated(jobs, strait, reply, code):
    strait.job()
    strait.api.fault(TRIGGER, reply)
    assert jobs(*START).exit_code == code
    assert len(triggers(strait)) == 1
    assert not strait.world.runs


def test_no_after_a_lost_answer_proves_nothing(jobs, strait):
    strait.job()
    strait.api.fault(TRIGGER, None)
    strait.api.fault(TRIGGER, envelope(Problem(409, "job is paused")))
    result = jobs(*START)
    assert result.exit_code == ExitCode.START_UNKNOWN
    assert "--idempotency-key tm-token-0 --reuse" in result.stderr


def test_run_is_recognised_by_its_key_when_every_answer_is_lost(jobs, strait):
    strait.job(attempts=("dead_letter",))
    for _ in range(5):
        strait.api.fault(TRIGGER, None, after=True)
    assert jobs(*START).exit_code == ExitCode.FAIL
    assert len(strait.world.runs) == 1


def test_nothing_else_is_recognised(jobs, strait):
    job = strait.job()
    strait.world.make_run(job["id"], idempotency_key="of-somebody-else")
    for _ in range(5):
        strait.api.fault(TRIGGER, None)
    assert jobs(*START).exit_code == ExitCode.START_UNKNOWN


def test_server_that_is_away_is_unavailable_and_nothing_was_started(tm, clock):
    environ = {"STRAIT_BASE_URL": "http://127.0.0.1:9", "STRAIT_API_KEY": KEY}
    result = tm("jobs", "start", "export", "--wait", environ=environ)
    assert result.exit_code == ExitCode.UNAVAILABLE


# Runs that were there before.


def test_old_run_under_the_same_key_never_passes_the_gate(jobs, strait, clock):
    strait.job()
    assert jobs(*START, "--idempotency-key", "nightly").exit_code == ExitCode.OK
    clock.sleep(3600.0)
    result = jobs(*START, "--idempotency-key", "nightly")
    assert result.exit_code == ExitCode.UNDECIDED
    assert "handed back run" in result.stderr
    assert len(strait.world.runs) == 1


@pytest.mark.parametrize("minutes", [-120, 120], ids=["clock-is-slow", "clock-is-fast"])
def test_wrong_clock_here_does_not_make_an_old_run_new(jobs, strait, clock, minutes):
    strait.job()
    true_now = strait.world.now
    assert jobs(*START, "--idempotency-key", "nightly").exit_code == ExitCode.OK
    strait.world.now = lambda: true_now() - timedelta(minutes=minutes)
    assert jobs(*START, "--idempotency-key", "nightly").exit_code == ExitCode.UNDECIDED
    assert jobs(*START).exit_code == ExitCode.OK


def test_old_run_counts_with_reuse(jobs, strait):
    strait.job(attempts=("failed",))
    flags = ("--idempotency-key", "nightly", "--reuse")
    assert jobs(*START, *flags).exit_code == ExitCode.FAIL
    result = jobs(*START, *flags)
    assert result.exit_code == ExitCode.FAIL
    assert "it counts, because of --reuse" in result.stderr
    assert len(strait.world.runs) == 1


def test_lost_answer_under_an_own_key_is_still_a_new_run(jobs, strait):
    strait.job()
    strait.api.fault(TRIGGER, None, after=True)
    assert jobs(*START, "--idempotency-key", "nightly").exit_code == ExitCode.OK


def test_start_without_wait_names_an_old_run_as_such(jobs, strait):
    strait.job()
    start = ("start", "export", "--idempotency-key", "nightly", "--json")
    assert jobs(*start).json["data"]["is_new"] is True
    again = jobs(*start)
    assert again.exit_code == ExitCode.OK
    assert again.json["data"]["is_new"] is False


@pytest.mark.parametrize("age", [5.0, 3600.0])
def test_run_of_another_trigger_that_dedup_answers_with_is_not_ours(jobs, strait, clock, age):
    job = strait.job(dedup_window_secs=7200, executing=1.0)
    strait.world.make_run(job["id"], payload={"day": 1})
    clock.sleep(age)
    result = jobs(*START, "--payload", '{"day": 1}')
    assert result.exit_code == ExitCode.UNDECIDED
    assert "which was there before" in result.stderr
    assert jobs(*START, "--payload", '{"day": 2}').exit_code == ExitCode.OK


def test_interrupt_does_not_cancel_a_run_that_dedup_answered_with(jobs, strait):
    job = strait.job(dedup_window_secs=7200, holds="executing")
    run = strait.world.make_run(job["id"], payload={})
    result = jobs(*START, "--payload", "{}", "--on-interrupt", "stop")
    assert result.exit_code == ExitCode.UNDECIDED
    assert run.status != "canceled"


@pytest.mark.parametrize("window", ["debounce_window_secs", "batch_window_secs"])
def test_job_that_collects_triggers_cannot_be_gated(jobs, strait, window):
    strait.job(**{window: 30})
    assert jobs(*START).exit_code == ExitCode.REFUSED
    assert not triggers(strait)


@pytest.mark.parametrize("window", ["debounce_window_secs", "batch_window_secs"])
def test_trigger_that_is_kept_is_told_without_wait(jobs, strait, window):
    strait.job(**{window: 30})
    result = jobs("start", "export")
    assert result.exit_code == ExitCode.OK
    assert "before it runs" in result.stdout


# Which job.


def test_slug_is_looked_up_because_the_trigger_takes_ids_only(jobs, strait):
    job = strait.job("nightly-export")
    assert jobs("start", "nightly-export").exit_code == ExitCode.OK
    assert jobs("start", job["id"]).exit_code == ExitCode.OK
    assert all(item.path == f"/v1/jobs/{job['id']}/trigger" for item in triggers(strait))


def test_job_that_is_not_there_is_refused(jobs, strait):
    result = jobs("start", "exprot", "--wait", "--json")
    assert result.exit_code == ExitCode.REFUSED
    assert result.json["error"]["code"] == "unknown_job"


def test_key_that_may_trigger_but_not_read_jobs_can_use_an_id(jobs, strait):
    job = strait.job()
    strait.api.scopes = {"jobs:trigger", "runs:read"}
    assert jobs("start", job["id"], "--wait", "--no-stream").exit_code == ExitCode.OK
    assert jobs("start", "export").exit_code == ExitCode.AUTHENTICATION


def test_wishes_are_in_the_body(jobs, strait, tm):
    strait.job()
    (tm.cwd / "payload.json").write_text('{"rows": 100}')
    flags = ("--payload", "payload.json", "--tag", "team=core", "--tag", "a=b=c")
    more = ("--priority", "7", "--ttl", "10m", "--concurrency-key", "exports")
    assert jobs("start", "export", *flags, *more).exit_code == ExitCode.OK
    assert triggers(strait)[0].document == {
        "payload": {"rows": 100},
        "tags": {"team": "core", "a": "b=c"},
        "priority": 7,
        "ttl_secs": 600,
        "concurrency_key": "exports",
    }


def test_dry_run_starts_nothing(jobs, strait):
    strait.job()
    result = jobs("start", "export", "--dry-run", "--json")
    assert result.exit_code == ExitCode.OK
    assert result.json["data"]["payload_hash"]
    assert not strait.world.runs


@pytest.mark.parametrize(
    "flags",
    [
        ("--payload", "{no json"),
        ("--payload", "missing.json"),
        ("--tag", "novalue"),
        ("--tag", "a=1", "--tag", "a=2"),
        ("--tag", "k=" + "v" * 257),
        ("--priority", "11"),
        ("--ttl", "soon"),
        ("--at", "tomorrow"),
        ("--idempotency-key", "k" * 257),
        ("--idempotency-key", " "),
        ("--idempotency-key", "a\nb"),
        ("--reuse",),
        ("--idempotency-key", "k", "--confirm", "1", "--wait"),
        ("--assert", "score>1"),
        ("--max-duration", "5m"),
        ("--canceled-as", "FAIL"),
        ("--wait", "--canceled-as", "PASS"),
        ("--wait", "--assert", "score"),
        ("--wait", "--fail-on", "PASS"),
        ("--wait", "--dry-run"),
        ("--fail-on", "FAIL"),
        ("--wiat",),
    ],
    ids=" ".join,
)
def test_mistake_sends_nothing(jobs, strait, flags):
    strait.job()
    assert jobs("start", "export", *flags).exit_code == ExitCode.USAGE
    assert strait.api.log == []


def test_same_job_twice_under_one_key_is_a_mistake(jobs, strait):
    strait.job()
    twice = jobs("start", "export", "export", "--idempotency-key", "k")
    assert twice.exit_code == ExitCode.USAGE
    assert jobs("start", "export", "export").exit_code == ExitCode.OK
    assert len(strait.world.runs) == 2


def test_started_run_is_named_when_the_next_one_fails(jobs, strait):
    strait.job("good")
    strait.job("bad", enabled=False)
    result = jobs("start", "good", "bad")
    assert result.exit_code == ExitCode.REFUSED
    assert "started run" in result.stderr
    last = jobs("wait", "--last", "--no-stream")
    assert last.exit_code == ExitCode.START_UNKNOWN
    assert "the last start of bad has no run that is known here" in last.stderr
    assert "known are: good 0192f0a4" in last.stderr


def test_course_of_a_job_is_the_one_that_was_given(strait):
    job = strait.job(executing=9.0)
    assert strait.world.courses[job["id"]] == Course(executing=9.0)


# What the server answers with need not be of this trigger.


def answer_naming(run):
    """What a job answers with when it has got a dedup window since tm has read it."""
    body = json.dumps({"id": run.id, "status": run.status, "idempotency_hit": False}).encode()
    return Reply(201, body, {"Content-Type": "application/json"})


def test_run_of_another_trigger_never_passes_for_ours(jobs, strait):
    job = strait.job(attempts=("failed",))
    earlier = strait.world.make_run(job["id"], payload={})
    earlier.document.update(status="completed", finished_at=earlier.document["created_at"])
    strait.api.fault(TRIGGER, answer_naming(earlier), after=True)
    result = jobs(*START)
    assert result.exit_code == ExitCode.UNDECIDED
    assert "does not carry the idempotency key of this start" in result.stderr


def test_reuse_takes_the_run_of_its_key_and_no_other(jobs, strait):
    job = strait.job(attempts=("failed",))
    other = strait.world.make_run(job["id"], payload={})
    other.document.update(status="completed", finished_at=other.document["created_at"])
    strait.api.fault(TRIGGER, answer_naming(other), after=True)
    result = jobs(*START, "--idempotency-key", "nightly", "--reuse")
    assert result.exit_code == ExitCode.START_UNKNOWN
    assert "does not carry the key of this start" in result.stderr


def test_answer_that_names_no_run_is_asked_for_again(jobs, strait):
    strait.job()
    strait.api.fault(TRIGGER, Reply(201, b"{}", {"Content-Type": "application/json"}), after=True)
    assert jobs(*START).exit_code == ExitCode.OK
    assert len(strait.world.runs) == 1


def test_old_run_is_not_new_by_a_clock_that_is_ahead(jobs, strait, clock):
    """After a lost answer only the clock tells an archived run, which no list shows, from ours."""
    job = strait.job(executing=1.0)
    run = strait.world.make_run(job["id"], idempotency_key="nightly")
    ahead = strait.world.text(clock.now() + timedelta(hours=1))
    run.document.update(status="completed", created_at=ahead, finished_at=ahead)
    run.due = None
    empty = Reply(200, b'{"data": [], "has_more": false}', {"Content-Type": "application/json"})
    strait.api.fault("GET /v1/runs", empty)
    strait.api.fault(TRIGGER, None)
    result = jobs(*START, "--idempotency-key", "nightly")
    assert result.exit_code == ExitCode.UNDECIDED
    assert "which was there before" in result.stderr


def test_newest_run_that_cannot_be_read_is_no_bug_of_tm(jobs, strait):
    strait.job()
    broken = Reply(200, b'{"data": [{"id": "x"}]}', {"Content-Type": "application/json"})
    strait.api.fault("GET /v1/runs", broken)
    strait.api.fault("GET /v1/runs", broken)
    strait.api.fault("GET /v1/runs", broken)
    result = jobs(*START, "--idempotency-key", "nightly")
    assert result.exit_code == ExitCode.ERROR
    assert "unusable status" in result.stderr
    assert not triggers(strait)
