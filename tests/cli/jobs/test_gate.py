"""`tm jobs start --wait` and `tm jobs wait`: how runs end, and what the gate makes of it."""

import json

import pytest

from tests.services.strait.api import KEY, Problem, Reply, as_json, envelope
from tests.services.strait.world import TERMINAL
from tm_cli.exit_codes import ExitCode

START = ("start", "export", "--wait", "--no-stream")
RUN = "GET /v1/runs/{run}"
CODES = {
    "completed": ExitCode.OK,
    "failed": ExitCode.FAIL,
    "timed_out": ExitCode.FAIL,
    "crashed": ExitCode.FAIL,
    "system_failed": ExitCode.FAIL,
    "dead_letter": ExitCode.FAIL,
}


@pytest.mark.parametrize(("ending", "code"), CODES.items(), ids=str)
def test_way_a_run_ends_is_the_exit_code(jobs, strait, ending, code):
    strait.job(attempts=(ending,))
    result = jobs(*START)
    assert result.exit_code == code
    assert ending in result.stdout


@pytest.mark.parametrize("ending", sorted(TERMINAL))
@pytest.mark.parametrize("fail_on", ["FAIL", "WARN", "FAIL,WARN"])
def test_only_completed_and_what_is_not_gated_pass(jobs, strait, ending, fail_on):
    job = strait.job()
    run = strait.world.make_run(job["id"])
    run.document.update(status=ending, finished_at=run.document["created_at"])
    run.due = None
    verdict = {"completed": "PASS", "canceled": "WARN", "expired": "WARN"}.get(ending, "FAIL")
    expected = {"FAIL": ExitCode.FAIL, "WARN": ExitCode.WARN}.get(verdict, ExitCode.OK)
    result = jobs("wait", run.id, "--fail-on", fail_on, "--no-stream")
    assert result.exit_code == (expected if verdict in fail_on else ExitCode.OK)


def test_gate_that_nobody_set_fails_all_the_same_and_says_so(jobs, strait):
    strait.job(attempts=("failed",))
    result = jobs(*START)
    assert result.exit_code == ExitCode.FAIL
    assert "the gate fails on FAIL,WARN" in result.stderr


@pytest.mark.parametrize(("chosen", "code"), [("FAIL", 2), ("warn", 3), (None, 3)])
def test_canceled_run_counts_as_chosen(jobs, strait, chosen, code):
    job = strait.job()
    run = strait.world.make_run(job["id"])
    strait.world.cancel(run)
    flags = [] if chosen is None else ["--canceled-as", chosen]
    assert jobs("wait", run.id, "--no-stream", *flags).exit_code == code


def test_retries_keep_the_wait_going(jobs, strait):
    strait.job(attempts=("retry", "retry", "completed"))
    result = jobs(*START, "--json")
    assert result.exit_code == ExitCode.OK
    assert result.json["data"]["metrics"]["attempts"] == 3
    assert "attempt 1 failed: endpoint returned 500" in result.stderr


def test_error_of_a_failed_run_is_a_reason(jobs, strait):
    strait.job(attempts=("dead_letter",), error="endpoint returned 404\x1b[31m")
    result = jobs(*START, "--json")
    reasons = result.json["data"]["verdict_reasons"]
    assert "endpoint returned 404" in reasons[1]
    assert "\x1b" not in "".join(reasons)
    assert result.json["error"] is None


@pytest.mark.parametrize("status", ["waiting", "paused", "delayed", "queued", "not_yet_invented"])
def test_run_that_never_ends_is_a_timeout_and_no_failure(jobs, strait, status):
    job = strait.job()
    run = strait.world.make_run(job["id"])
    run.document.update(status=status, error="the last attempt failed")
    run.due = None
    result = jobs("wait", run.id, "--wait-timeout", "2m", "--no-stream", "--json")
    assert result.exit_code == ExitCode.WAIT_TIMEOUT
    assert f"tm jobs wait {run.id}" in result.json["error"]["hint"]


def test_looks_at_a_run_stay_below_the_limits_of_the_server(jobs, strait, clock):
    strait.api.limited = True
    strait.job(executing=1500.0)
    assert jobs(*START).exit_code == ExitCode.OK
    assert strait.sent("GET", "/v1/runs/{run}") <= 1500 / 5 + 5


def test_many_runs_at_once_stay_below_the_limits_of_the_server(jobs, strait):
    strait.api.limited = True
    slugs = [strait.job(f"job-{n}", executing=200.0 + n)["slug"] for n in range(14)]
    result = jobs("start", *slugs, "--wait", "--no-stream", "--json")
    assert result.exit_code == ExitCode.OK
    assert len(result.json["data"]["runs"]) == 14
    assert "429" not in result.stderr


def test_worst_of_several_runs_decides(jobs, strait):
    strait.job("good")
    strait.job("bad", attempts=("dead_letter",))
    result = jobs("start", "good", "bad", "--wait", "--no-stream", "--json")
    assert result.exit_code == ExitCode.FAIL
    assert [run["verdict"] for run in result.json["data"]["runs"]] == ["PASS", "FAIL"]


def test_confirm_starts_another_run_under_another_key(jobs, strait):
    job = strait.job(attempts=("failed",))
    result = jobs(*START, "--confirm", "2", "--json")
    assert result.exit_code == ExitCode.FAIL
    assert len(result.json["data"]["earlier_runs"]) == 2
    runs = [run for run in strait.world.runs.values() if run.job_id == job["id"]]
    assert len({run.document["idempotency_key"] for run in runs}) == 3


# Conditions.


@pytest.mark.parametrize(
    ("check", "code"),
    [
        ("score>=0.9", ExitCode.OK),
        ("score>=0.99", ExitCode.FAIL),
        ("missing>=1", ExitCode.UNDECIDED),
    ],
)
def test_assertion_on_the_result(jobs, strait, check, code):
    strait.job(result={"score": 0.95})
    result = jobs(*START, "--assert", check, "--fail-on", "FAIL", "--json")
    assert result.exit_code == code
    assert result.json["data"]["checks"][0]["check"] == check


def test_assertion_cannot_be_measured_on_a_canceled_run(jobs, strait):
    run = strait.world.make_run(strait.job()["id"])
    strait.world.cancel(run)
    flags = ("--assert", "score>1", "--fail-on", "FAIL", "--no-stream")
    assert jobs("wait", run.id, *flags).exit_code == ExitCode.UNDECIDED


@pytest.mark.parametrize(("longest", "code"), [("1m", ExitCode.OK), ("10s", ExitCode.FAIL)])
def test_longest_duration_counts_retries_and_the_queue(jobs, strait, longest, code):
    strait.job(queued=4.0, executing=3.0, retry=4.0, attempts=("retry", "completed"))
    assert jobs(*START, "--max-duration", longest).exit_code == code


# What the server says that is not true, or not about our run.


@pytest.mark.parametrize(
    "reply",
    [
        None,
        Reply(429, b"Too Many Requests\n", {"Content-Type": "text/plain", "Retry-After": "7"}),
        Reply(404, b"404 page not found\n", {"Content-Type": "text/plain"}),
        *[
            Reply(status, b"<html>", {"Content-Type": "text/html"})
            for status in (400, 401, 403, 405, 410, 521)
        ],
        Reply(500),
        Reply(504),
        envelope(Problem(503, "service unavailable")),
        envelope(Problem(429, "rate limited", Retry_After="7")),
        Reply(200, b"<html>login</html>", {"Content-Type": "text/html"}),
        Reply(200, b'{"id": "x", "status": "comp', {"Content-Type": "application/json"}),
        Reply(200, b'{"id": 5, "status": "completed"}', {"Content-Type": "application/json"}),
        Reply(200, b'{"id": "x", "status": true}', {"Content-Type": "application/json"}),
        Reply(
            200, b'{"id": "another", "status": "completed"}', {"Content-Type": "application/json"}
        ),
        Reply(302, b"", {"Location": "https://elsewhere.example/"}),
    ],
    ids=lambda reply: "hang-up" if reply is None else f"{reply.status}-{reply.body[:20]!r}",
)
def test_look_that_shows_nothing_changes_nothing(jobs, strait, reply):
    strait.job(attempts=("failed",))
    for _ in range(3):
        strait.api.fault(RUN, reply)
    assert jobs(*START).exit_code == ExitCode.FAIL


def test_retry_after_is_obeyed_between_looks(jobs, strait, clock):
    strait.job(executing=30.0)
    strait.api.fault(RUN, envelope(Problem(429, "rate limited", Retry_After="40")))
    assert jobs(*START).exit_code == ExitCode.OK
    assert 40.0 in clock.slept


def test_run_that_the_server_forgets_is_undecided(jobs, strait):
    strait.job(executing=60.0)
    strait.api.fault(RUN, envelope(Problem(404, "run not found")))
    result = jobs(*START)
    assert result.exit_code == ExitCode.UNDECIDED
    assert "no longer knows run" in result.stderr


def test_refused_key_that_has_just_worked_is_tried_once_more_and_ends_the_wait(jobs, strait):
    strait.job(executing=60.0)
    for _ in range(2):
        strait.api.fault(RUN, envelope(Problem(401, "API key expired")))
    result = jobs(*START)
    assert result.exit_code == ExitCode.AUTHENTICATION
    assert strait.sent("GET", "/v1/runs/{run}") == 2
    assert "wait for it again: tm jobs wait " in result.stderr
    assert KEY not in result.stdout + result.stderr


def test_run_that_was_never_there_is_not_to_be_waited_for_again(jobs, strait):
    strait.job()
    result = jobs("wait", "mistyped", "--no-stream", "--json")
    assert result.exit_code == ExitCode.ERROR
    assert result.json["error"]["code"] == "unknown_run"
    assert "wait for it again" not in result.json["error"]["hint"]


def test_key_that_is_refused_once_does_not_end_the_wait(jobs, strait):
    strait.job(executing=60.0)
    strait.api.fault(RUN, envelope(Problem(401, "API key expired")))
    assert jobs(*START).exit_code == ExitCode.OK


def test_key_that_has_never_worked_is_refused_at_once(jobs, strait):
    run = strait.world.make_run(strait.job(executing=60.0)["id"])
    strait.api.fault(RUN, envelope(Problem(401, "API key expired")))
    assert jobs("wait", run.id, "--no-stream").exit_code == ExitCode.AUTHENTICATION
    assert strait.sent("GET", "/v1/runs/{run}") == 1


def test_dead_letter_ends_the_wait_although_it_can_be_revived(jobs, strait):
    strait.job(attempts=("dead_letter",))
    assert jobs(*START).exit_code == ExitCode.FAIL


# What belongs around a gate.


def test_wait_for_the_last_start(jobs, tm, strait):
    strait.job(attempts=("failed",))
    assert jobs("start", "export").exit_code == ExitCode.OK
    assert jobs("wait", "--last", "--no-stream").exit_code == ExitCode.FAIL
    assert tm("runs", "wait", "--last", environ=strait.environ).exit_code == ExitCode.FAIL


def test_last_start_remembers_what_a_canceled_run_counts_as(jobs, strait):
    strait.job(holds="queued")
    flags = ("--canceled-as", "FAIL", "--wait-timeout", "5s")
    assert jobs(*START, *flags).exit_code == ExitCode.WAIT_TIMEOUT
    (run,) = strait.world.runs.values()
    strait.world.cancel(run)
    assert jobs("wait", "--last", "--fail-on", "FAIL", "--no-stream").exit_code == ExitCode.FAIL


CHECKS = ("--assert", "exported>=100", "--max-duration", "10m")


@pytest.mark.parametrize(
    ("exported", "then", "code"),
    [
        (120, (), ExitCode.OK),
        (99, (), ExitCode.FAIL),
        (99, ("--assert", "exported>=50"), ExitCode.OK),
    ],
    ids=["holds", "does-not-hold", "replaced"],
)
def test_last_start_is_judged_by_the_checks_of_its_start(jobs, strait, exported, then, code):
    strait.job(executing=60.0, result={"exported": exported})
    assert jobs(*START, *CHECKS, "--wait-timeout", "5s").exit_code == ExitCode.WAIT_TIMEOUT
    assert jobs("wait", "--last", "--no-stream", *then).exit_code == code


def test_last_start_fails_on_the_verdicts_of_its_start(jobs, tm, strait):
    strait.job(holds="queued")
    flags = ("--fail-on", "FAIL", "--wait-timeout", "5s")
    assert jobs(*START, *flags).exit_code == ExitCode.WAIT_TIMEOUT
    (run,) = strait.world.runs.values()
    strait.world.cancel(run)
    assert jobs("wait", "--last", "--no-stream").exit_code == ExitCode.OK
    again = ("runs", "wait", "--last", "--fail-on", "WARN")
    assert tm(*again, environ=strait.environ).exit_code == ExitCode.WARN


@pytest.mark.parametrize(
    "changes",
    [{"checks": ["exported"]}, {"checks": 7}, {"max_duration": 7}, {"fail_on": "PASS"}],
    ids=str,
)
def test_unusable_gate_of_the_start_is_no_gate(jobs, tm, strait, changes):
    strait.job(result={"exported": 120})
    assert jobs(*START, *CHECKS).exit_code == ExitCode.OK
    (remembered,) = (tm.cwd.parent / "state" / "last").glob("*.json")
    (entry,) = json.loads(remembered.read_text())
    entry["details"].update(changes)
    remembered.write_text(json.dumps([entry]))
    result = jobs("wait", "--last", "--no-stream")
    assert result.exit_code == ExitCode.CONFIGURATION
    assert "remembered" in result.stderr


def test_line_that_resumes_a_wait_names_the_context(tm, strait):
    (tm.home / "key").write_text(KEY)
    (tm.home / "config.toml").write_text(
        f'[contexts.here]\nstrait_base_url = "{strait.server.url}"\n'
        f"strait_api_key_file = '{tm.home / 'key'}'\n"
    )
    strait.job(executing=60.0)
    result = tm("jobs", *START, "--wait-timeout", "5s", "--context", "here")
    assert result.exit_code == ExitCode.WAIT_TIMEOUT
    assert "--fail-on FAIL,WARN --context here" in result.stderr


def test_runner_of_github_is_told(jobs, strait, tm):
    strait.job(attempts=("failed",))
    environ = {"GITHUB_OUTPUT": str(tm.cwd / "out"), "GITHUB_STEP_SUMMARY": str(tm.cwd / "sum")}
    assert jobs(*START, "--github", environ=environ).exit_code == ExitCode.FAIL
    assert "outcome=FAIL" in (tm.cwd / "out").read_text()
    assert "the job run is failed" in (tm.cwd / "sum").read_text()
    result = jobs(*START, "--no-github", environ={**environ, "GITHUB_ACTIONS": "true"})
    assert "::error" not in result.stderr


def test_interrupted_wait_cancels_the_run_where_that_is_wanted(jobs, strait, clock):
    from tm_cli.runtime.signals import SignalReceived

    strait.job(executing=60.0)
    sleep = clock.sleep

    def interrupted(seconds):
        if strait.world.runs:
            clock.sleep = sleep
            raise SignalReceived(2)
        sleep(seconds)

    clock.sleep = interrupted
    result = jobs(*START, "--on-interrupt", "stop")
    (run,) = strait.world.runs.values()
    assert result.exit_code == ExitCode.INTERRUPTED
    assert run.status == "canceled"
    assert "was stopped" in result.stderr


def test_reports_are_written(jobs, strait, tm):
    strait.job(attempts=("failed",))
    reports = ("--report", "json=gate.json", "--report", "junit=gate.xml")
    assert jobs(*START, *reports).exit_code == ExitCode.FAIL
    saved = json.loads((tm.cwd / "gate.json").read_text())
    assert saved["exit_name"] == "FAIL"
    assert 'failures="1"' in (tm.cwd / "gate.xml").read_text()


def test_wait_for_several_runs_names_their_jobs(jobs, strait):
    first = strait.world.make_run(strait.job("first")["id"])
    second = strait.world.make_run(strait.job("second")["id"])
    result = jobs("wait", first.id, second.id, "--no-stream")
    assert result.exit_code == ExitCode.OK
    assert "first, run" in result.stdout
    assert "second, run" in result.stdout


def test_run_that_is_not_there_is_told_before_any_wait(jobs, strait, clock):
    result = jobs("wait", "0192f0a4-0000-7e55-b1a6-000000000000", "--json")
    assert result.exit_code == ExitCode.ERROR
    assert result.json["error"]["code"] == "unknown_run"
    assert clock.slept == []


@pytest.mark.parametrize(("attempts", "code"), [("completed", 0), ("failed", 2)])
def test_revived_run_is_waited_for_although_a_cache_shows_it_dead(jobs, strait, attempts, code):
    strait.world.cache_lag = 20.0
    run = strait.world.make_run(strait.job(attempts=(attempts,), executing=60.0)["id"])
    strait.world.move(run, "executing")
    strait.world.move(run, "dead_letter")
    assert jobs("dlq-replay", run.id).exit_code == ExitCode.OK
    assert jobs("wait", run.id, "--no-stream").exit_code == code


def dead_letter(strait, **course):
    run = strait.world.make_run(strait.job(**course)["id"])
    strait.world.move(run, "executing")
    strait.world.move(run, "dead_letter")
    return run


@pytest.mark.parametrize(("attempts", "code"), [("completed", 0), ("failed", 2)])
@pytest.mark.parametrize("newer", [0, 120])
@pytest.mark.parametrize("batch", [0, 60], ids=["alone", "in-a-batch"])
def test_revived_run_is_read_from_the_list_whatever_came_later(
    jobs, strait, clock, attempts, code, newer, batch
):
    strait.world.cache_lag = 300.0
    run = dead_letter(strait, attempts=(attempts,), executing=60.0)
    for _ in range(batch):  # made at the same time
        strait.world.make_run(run.job_id)
    for _ in range(newer):
        clock.sleep(0.01)
        strait.world.make_run(run.job_id)
    strait.world.revive(run)
    assert jobs("wait", run.id, "--no-stream").exit_code == code


LATER = Reply(429, b"Too Many Requests\n", {"Content-Type": "text/plain", "Retry-After": "7"})
LISTS_THAT_FAIL = [None, envelope(Problem(503, "later")), Reply(403, b"<html>"), LATER]


@pytest.mark.parametrize("reply", LISTS_THAT_FAIL, ids=["hang-up", "503", "page", "429"])
@pytest.mark.parametrize(("attempts", "code"), [("completed", 0), ("failed", 2)])
def test_list_that_fails_does_not_end_a_revived_run(jobs, strait, reply, attempts, code):
    strait.world.cache_lag = 300.0
    run = dead_letter(strait, attempts=(attempts,), executing=60.0)
    strait.world.revive(run)
    for _ in range(4):
        strait.api.fault("GET /v1/runs", reply)
    assert jobs("wait", run.id, "--no-stream").exit_code == code


@pytest.mark.parametrize("reply", [envelope(Problem(403, "no")), Reply(200), as_json(200, 5)])
def test_dead_letter_stands_where_lists_cannot_be_read(jobs, strait, reply):
    run = dead_letter(strait)
    for _ in range(2):
        strait.api.fault("GET /v1/runs", reply)
    assert jobs("wait", run.id, "--no-stream").exit_code == ExitCode.FAIL


def test_revived_run_is_shown_and_streamed_as_it_is(jobs, strait, clock):
    strait.world.cache_lag = 300.0
    run = dead_letter(strait, executing=60.0)
    for _ in range(120):
        clock.sleep(0.01)
        strait.world.make_run(run.job_id)
    strait.world.revive(run)
    assert jobs("show", run.id, "--json").json["data"]["status"] == "queued"
    assert f"{run.id}: queued" in jobs("show", run.id).stdout
    result = jobs("stream", run.id)
    assert f"run {run.id} is completed" in result.stderr
    assert run.status == "completed"


@pytest.mark.parametrize("created_at", [None, "9999-12-31T23:59:59.999999Z", "yesterday", 7])
def test_dead_letter_of_an_odd_age_stands(jobs, strait, created_at):
    run = dead_letter(strait)
    shown = {**run.document, "created_at": created_at}
    for _ in range(3):
        strait.api.fault(RUN, as_json(200, shown))
    assert jobs("wait", run.id, "--no-stream").exit_code == ExitCode.FAIL


def test_progress_from_a_cache_ends_nothing(jobs, strait, clock):
    """A run that is going on may show an older status for minutes."""
    job = strait.job(executing=200.0, attempts=("failed",))
    run = strait.world.make_run(job["id"])
    stale = as_json(200, dict(run.document))
    for _ in range(12):
        strait.api.fault(RUN, stale)
    assert jobs("wait", run.id, "--no-stream").exit_code == ExitCode.FAIL


# Several runs of one job.


def test_runs_of_one_job_are_told_apart(jobs, strait):
    strait.job()
    strait.job("other")
    result = jobs("start", "export", "other", "export", "--wait", "--no-stream")
    assert result.exit_code == ExitCode.OK
    first, _, second = strait.world.runs
    assert f"tm: export (1): waiting for run {first}" in result.stderr
    assert f"tm: export (2): waiting for run {second}" in result.stderr
    assert result.stderr.count("tm: export (1): the verdict is PASS") == 2
    assert "tm: other: the verdict is PASS" in result.stderr


# A key that may only trigger.


def test_key_that_may_only_trigger_fires_and_returns(jobs, strait):
    job = strait.job()
    strait.api.scopes = {"jobs:trigger"}
    result = jobs("start", job["id"], "--json")
    (run,) = strait.world.runs.values()
    assert result.exit_code == ExitCode.OK
    assert result.json["data"]["run_id"] == run.id
    assert result.json["data"]["is_new"] is None
    assert "whether it is new" in jobs("start", job["id"]).stdout


def test_key_that_may_only_trigger_starts_nothing_to_wait_for(jobs, strait):
    job = strait.job()
    strait.api.scopes = {"jobs:trigger"}
    assert jobs("start", job["id"], "--wait").exit_code == ExitCode.AUTHENTICATION
    assert not strait.world.runs


def test_run_that_may_not_be_ours_is_not_the_last_start(jobs, strait):
    """The key could not read whether a dedup window has brought an earlier run."""
    job = strait.job(dedup_window_secs=7200)
    strait.world.make_run(job["id"], payload={})
    strait.api.scopes = {"jobs:trigger"}
    assert jobs("start", job["id"]).exit_code == ExitCode.OK
    strait.api.scopes = {"*"}
    assert jobs("wait", "--last", "--no-stream").exit_code == ExitCode.START_UNKNOWN


def test_run_of_a_dedup_window_is_known_by_its_key(jobs, strait):
    strait.job(dedup_window_secs=7200)
    assert jobs("start", "export", "--json").json["data"]["is_new"] is True
    again = jobs("start", "export", "--json")
    assert again.json["data"]["is_new"] is False
    assert strait.sent("GET", "/v1/runs") == 0
    result = jobs(*START)
    assert result.exit_code == ExitCode.UNDECIDED
    assert "after the job's dedup window, or with another payload" in result.stderr
    assert "--idempotency-key" not in result.stderr


def test_dry_run_that_the_server_refuses_is_refused(jobs, strait):
    strait.job(enabled=False)
    result = jobs("start", "export", "--dry-run", "--json")
    assert result.exit_code == jobs("start", "export").exit_code == ExitCode.REFUSED
    assert "job is disabled" in result.json["error"]["message"]


def test_dry_run_that_a_server_takes_for_a_start_is_told(jobs, strait):
    strait.job()
    strait.api.fault("POST /v1/jobs/{job}/trigger", as_json(201, {"id": "r-1", "status": "queued"}))
    result = jobs("start", "export", "--dry-run")
    assert result.exit_code == ExitCode.ERROR
    assert "it has started run r-1 of export" in result.stderr
    assert "tm jobs cancel r-1" in result.stderr


@pytest.mark.parametrize(
    ("status", "code"), [(429, ExitCode.REFUSED), (403, ExitCode.AUTHENTICATION), (500, 1)]
)
def test_dry_run_ends_with_the_code_of_the_start(jobs, strait, status, code):
    strait.job()
    strait.api.fault(
        "POST /v1/jobs/{job}/trigger", envelope(Problem(status, "no", Retry_After="5"))
    )
    assert jobs("start", "export", "--dry-run").exit_code == code


def test_dead_letter_stands_where_the_list_cannot_be_read(jobs, strait):
    strait.job(attempts=("dead_letter",))
    strait.api.fault("GET /v1/runs", Reply(500))
    assert jobs(*START).exit_code == ExitCode.FAIL
