"""Several runs, confirmation, checks, interruptions, and what is remembered."""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter, deque

import pytest
from werkzeug.wrappers import Response

from tests.services.trafficmorph import (
    KEY,
    OTHER_RUN,
    PROFILE,
    RUN,
    detail,
    page,
    profile,
    row,
    status,
)
from tm_cli.exit_codes import ExitCode
from tm_cli.runtime.signals import SignalReceived

GATED = ("runs", "start", "42", "--wait", "--fail-on", "FAIL,WARN")


class Fleet:
    """A server with many profiles, each of which plays the verdicts it was given, run by run."""

    def __init__(self, httpserver, clock):
        self._clock = clock
        self._verdicts = {}
        self._runs = {}
        self.calls = Counter()
        self.times = deque()
        self.busiest_minute = 0
        self.duration = 60.0
        self.durations = {}
        self.per_minute = 60
        self.failing_starts = {}
        self.most_at_once = 0
        self.is_embedded = False
        self.url = httpserver.url_for("/")
        httpserver.expect_request(re.compile("/api/v1/.*")).respond_with_handler(self._answer)

    def profile(self, number, *verdicts):
        self._verdicts[number] = list(verdicts)

    def _answer(self, request):
        path = request.path.removeprefix("/api/v1/")
        self._count(request.method, path)
        if path.endswith("/start") and (code := self.failing_starts.get(int(path.split("/")[1]))):
            return Response('{"error": "no slot"}', status=code, content_type="application/json")
        if path.endswith("/start") and 0 < self.most_at_once <= self.under_way():
            refusal = '{"error": "Concurrent run limit reached"}'
            return Response(refusal, status=400, content_type="application/json")
        return Response(json.dumps(self._document(request, path)), content_type="application/json")

    def under_way(self):
        """How many runs are being played now."""
        now = self._clock.monotonic()
        started = [(number, at) for number, runs in self._runs.items() for at in runs]
        return sum(at is not None and now < at + self._duration(number) for number, at in started)

    def _count(self, method, path):
        self.calls[method, re.sub(r"\d+", "N", path)] += 1
        now = self._clock.monotonic()
        self.times.append(now)
        while now - self.times[0] >= 60:
            self.times.popleft()
        self.busiest_minute = max(self.busiest_minute, len(self.times))

    def _document(self, request, path):
        if path == "account":
            limits = {
                "apiRequestsPerMinute": self.per_minute,
                "maxConcurrentRuns": self.most_at_once,
            }
            return {"limits": limits, "features": {"duet": self.is_embedded}}
        if path == "history":
            return self._page(int(request.args["profileId"]), int(request.args["size"]))
        kind, number, *verb = path.split("/")
        number = int(number)
        if kind == "history":
            return detail(number, **self._row(*divmod(number, 1000)))
        match verb:
            case []:
                return profile(id=number, name=f"p{number}", duration=self._duration(number))
            case ["start"] | ["runs"]:
                self._runs.setdefault(number, []).append(self._clock.monotonic())
            case ["stop"]:
                self._runs[number][-1] = None
            case ["status"]:
                return self._status(number)
        return {"runId": self._run_id(number), "status": "RUNNING", "profileId": number}

    def _run_id(self, number):
        return f"run-{number}-{len(self._runs[number])}"

    def _duration(self, number):
        return self.durations.get(number, self.duration)

    def _status(self, number):
        started = self._runs[number][-1]
        if started is None:
            return status("IDLE", profileId=number, runId=None)
        duration = self._duration(number)
        elapsed = min(self._clock.monotonic() - started, duration)
        state = "COMPLETED" if elapsed >= duration else "RUNNING"
        return status(
            state,
            profileId=number,
            runId=self._run_id(number),
            elapsedSeconds=elapsed,
            durationSeconds=duration,
        )

    def _row(self, number, place):
        verdict = self._verdicts[number][place]
        return {
            "id": number * 1000 + place,
            "profileId": number,
            "runId": f"run-{number}-{place + 1}",
            "autoVerdict": verdict,
        }

    def _page(self, number, size):
        ended = [
            place
            for place, started in enumerate(self._runs.get(number, []))
            if started is not None and self._clock.monotonic() - started >= self._duration(number)
        ]
        rows = [row(**{"number": 0, **self._row(number, place)}) for place in reversed(ended)]
        return page(*rows[:size])


@pytest.fixture
def fleet(httpserver, clock):
    return Fleet(httpserver, clock)


@pytest.fixture
def run(tm, fleet):
    def run(*argv, environ=None, **options):
        settings = {"TM_BASE_URL": fleet.url, "TM_API_KEY": KEY, **(environ or {})}
        return tm(*argv, environ=settings, **options)

    return run


# Several runs at once.


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        (["PASS", "PASS", "PASS"], ExitCode.OK),
        (["PASS", "WARN", "PASS"], ExitCode.WARN),
        (["WARN", "FAIL", "PASS"], ExitCode.FAIL),
        (["WARN", "PASS", "ODD"], ExitCode.UNDECIDED),
        (["FAIL", "PASS", "ODD"], ExitCode.FAIL),
    ],
)
def test_worst_of_several_runs_decides(run, fleet, verdicts, code):
    for number, verdict in enumerate(verdicts, start=1):
        fleet.profile(number, verdict)
    result = run("runs", "start", "1", "2", "3", "--wait", "--fail-on", "FAIL,WARN", "--json")
    assert result.exit_code == result.json["exit_code"] == code
    assert [entry["verdict"] for entry in result.json["data"]["runs"]] == verdicts
    assert fleet.calls["POST", "profiles/N/start"] == 3


def test_several_runs_are_waited_for_at_the_same_time(run, fleet, clock):
    for number in (1, 2, 3):
        fleet.profile(number, "PASS")
    assert run("runs", "start", "1", "2", "3", "--wait", "--fail-on", "FAIL").exit_code == 0
    assert sum(clock.slept) < 2 * fleet.duration


SIX = ("runs", "start", "1", "2", "3", "4", "5", "6", "--wait", "--fail-on", "FAIL")


def test_more_runs_than_the_server_permits_are_started_as_others_end(run, fleet, clock):
    for number in range(1, 7):
        fleet.profile(number, "PASS" if number < 6 else "FAIL")
    fleet.most_at_once, fleet.durations = 4, {1: 30.0}
    result = run(*SIX)
    assert result.exit_code == ExitCode.FAIL
    assert fleet.calls["POST", "profiles/N/start"] == 6
    assert sum(clock.slept) < 3 * fleet.duration
    assert "tm: 6 runs: 1 FAIL (p6), 5 OK (p1, p2, p3, p4, p5)" in result.stderr


@pytest.mark.parametrize(
    ("flags", "seconds"),
    [((), 180), (("--parallel", "2"), 120), (("--parallel", "9"), 60), (("--region", "eu"), 60)],
)
def test_runs_on_the_embedded_server_follow_one_another(run, fleet, clock, flags, seconds):
    for number in (1, 2, 3):
        fleet.profile(number, "PASS")
    fleet.is_embedded, fleet.most_at_once = True, 4
    argv = ("runs", "start", "1", "2", "3", "--wait", "--fail-on", "FAIL", *flags)
    result = run(*argv)
    assert result.exit_code == ExitCode.OK
    assert seconds <= sum(clock.slept) < seconds + 15
    assert ("the runs follow one another" in result.stderr) is (flags == ())


def test_failure_keeps_runs_that_wait_for_their_turn_from_starting(run, fleet):
    fleet.profile(1, "FAIL")
    fleet.is_embedded = True
    argv = ("runs", "start", "1", "2", "3", "--wait", "--fail-on", "FAIL", "--fail-fast")
    assert run(*argv).exit_code == ExitCode.FAIL
    assert fleet.calls["POST", "profiles/N/start"] == 1


def test_interrupted_gate_starts_no_run_that_waits_for_its_turn(run, fleet, clock):
    fleet.profile(1, "PASS")
    fleet.is_embedded = True
    interrupt_at(clock, 30)
    argv = ("runs", "start", "1", "2", "--wait", "--fail-on", "FAIL")
    result = run(*argv, at_terminal=True)
    assert result.exit_code == ExitCode.INTERRUPTED
    assert "`tm runs wait 1 --run-id run-1-1 --fail-on FAIL` waits for it again" in result.stderr
    assert fleet.calls["POST", "profiles/N/start"] == 1
    assert "p2: interrupted; nothing was started" in result.stderr


@pytest.mark.parametrize(("flags", "stops"), [(["--fail-fast"], 2), ([], 0)])
def test_first_failure_stops_the_others_when_asked(run, fleet, clock, flags, stops):
    for number, verdict in ((1, "PASS"), (2, "WARN"), (3, "PASS")):
        fleet.profile(number, verdict)
    fleet.durations = {1: 600.0, 2: 30.0, 3: 600.0}
    argv = ("runs", "start", "1", "2", "3", "--wait", "--fail-on", "WARN", "--json")
    result = run(*argv, *flags)
    assert result.exit_code == ExitCode.WARN
    assert fleet.calls["POST", "profiles/N/stop"] == stops
    assert (sum(clock.slept) < 100) is bool(stops)
    names = [entry["exit_name"] for entry in result.json["data"]["runs"]]
    assert names == (["UNDECIDED", "WARN", "UNDECIDED"] if stops else ["OK", "WARN", "OK"])


def test_profile_named_twice_is_a_mistake_and_starts_nothing(run, fleet):
    fleet.profile(1, "PASS")
    assert run("runs", "start", "1", "1", "--wait").exit_code == ExitCode.USAGE
    assert fleet.calls["POST", "profiles/N/start"] == 0


def test_many_runs_stay_inside_the_budget_of_the_account(run, fleet):
    numbers = [str(number) for number in range(1, 41)]
    for number in numbers:
        fleet.profile(int(number), "PASS")
    fleet.duration, fleet.per_minute = 600.0, 50
    result = run("runs", "start", *numbers, "--wait", "--fail-on", "FAIL", "--quiet")
    assert result.exit_code == ExitCode.OK
    assert fleet.busiest_minute <= 60  # the usual budget, until the account has told its own
    assert len(fleet.times) <= 50
    assert fleet.calls["GET", "account"] == 1


def test_one_run_does_not_ask_for_the_account(run, fleet):
    fleet.profile(1, "PASS")
    run("runs", "start", "1", "--wait")
    assert fleet.calls["GET", "account"] == 0


def test_long_run_costs_fewer_requests_than_looking_every_five_seconds(run, fleet):
    fleet.profile(1, "PASS")
    fleet.duration = 300.0
    run("runs", "start", "1", "--wait", "--fail-on", "FAIL")
    assert fleet.calls["GET", "profiles/N/status"] < 300 / 5 / 2


# Confirm before red.


@pytest.mark.parametrize(
    ("verdicts", "confirm", "code", "runs"),
    [
        (["PASS"], "2", ExitCode.OK, 1),
        (["FAIL", "PASS"], "2", ExitCode.OK, 2),
        (["FAIL", "FAIL"], "1", ExitCode.FAIL, 2),
        (["FAIL", "WARN", "PASS"], "2", ExitCode.OK, 3),
        (["FAIL", "FAIL", "FAIL"], "2", ExitCode.FAIL, 3),
        (["FAIL", "ODD"], "2", ExitCode.UNDECIDED, 2),
    ],
)
def test_red_needs_every_repetition_to_agree(run, fleet, verdicts, confirm, code, runs):
    fleet.profile(42, *verdicts)
    result = run(*GATED, "--confirm", confirm, "--json")
    assert result.exit_code == code
    assert fleet.calls["POST", "profiles/N/start"] == runs
    seen = [entry["verdict"] for entry in result.json["data"]["earlier_runs"]]
    assert [*seen, result.json["data"]["verdict"]] == verdicts[:runs]


def test_earlier_run_tells_the_check_that_it_failed(run, fleet):
    fleet.profile(42, "PASS", "PASS")
    argv = ("runs", "start", "42", "--wait", "--assert", "p95<20ms", "--confirm", "1")
    result = run(*argv)
    assert "whose verdict was PASS; it failed p95<20ms: p95 is 21 ms" in result.stdout
    fleet.profile(42, "PASS", "PASS", "PASS", "PASS")
    (earlier,) = run(*argv, "--json").json["data"]["earlier_runs"]
    assert [check["passed"] for check in earlier["checks"]] == [False]


# Checks beside the verdict.


@pytest.mark.parametrize(
    ("checks", "code"),
    [
        (["p95<400ms", "errors<1%"], ExitCode.OK),
        (["p95<20ms"], ExitCode.FAIL),
        (["p99.9<1s"], ExitCode.UNDECIDED),
    ],
)
def test_checks_gate_beside_the_verdict(gate, server, checks, code):
    server.until_ended().scan(row()).detail()
    argv = [word for check in checks for word in ("--assert", check)]
    result = gate("runs", "start", "42", "--wait", *argv, "--json")
    assert result.exit_code == code
    assert [entry["check"] for entry in result.json["data"]["checks"]] == checks


@pytest.mark.parametrize(("before", "code"), [(20.0, ExitCode.OK), (15.0, ExitCode.FAIL)])
def test_relative_check_reads_the_baseline_run(gate, server, before, code):
    server.until_ended().scan(row()).detail()
    server.detail(5, runId="older", latencyQuantiles=json.dumps({"p95": before}))
    result = gate("runs", "start", "42", "--wait", "--assert", "p95<+10%")
    assert result.exit_code == code
    assert "baseline" in result.stdout


# Interruptions: the clock raises what a signal handler would.


def interrupt_at(clock, moment):
    """Have the first sleep that passes `moment` seconds be cut short by SIGINT."""
    began, sleep = clock.seconds, clock.sleep

    def interrupted(seconds):
        sleep(seconds)
        if clock.seconds - began >= moment:
            raise SignalReceived(2)

    clock.sleep = interrupted


@pytest.mark.parametrize(
    ("argv", "environ", "stops"),
    [
        ([], {}, 0),
        ([], {"CI": "true"}, 1),
        ([], {"TEAMCITY_VERSION": "2026.1"}, 1),
        (["--on-interrupt", "stop"], {}, 1),
        (["--on-interrupt", "detach"], {"TF_BUILD": "True"}, 0),
        ([], {"TM_ON_INTERRUPT": "stop"}, 1),
    ],
)
def test_interrupted_run_goes_on_or_is_stopped_as_announced(
    run, fleet, clock, argv, environ, stops
):
    fleet.profile(42, "PASS")
    interrupt_at(clock, 30)
    result = run(*GATED, *argv, environ=environ)
    assert result.exit_code == ExitCode.INTERRUPTED
    assert fleet.calls["POST", "profiles/N/stop"] == stops
    assert ("stops the run" if stops else "leaves the run going") in result.stderr
    resume = "tm runs wait 42 --run-id run-42-1 --fail-on FAIL,WARN"
    assert ("was stopped" if stops else resume) in result.stderr


@pytest.mark.parametrize("argv", [[], ["--on-interrupt", "stop"]])
def test_interruption_after_the_end_of_the_run_stops_nothing_and_says_so(
    gate, httpserver, server, clock, argv
):
    server.until_ended()
    httpserver.expect_request("/api/v1/history").respond_with_json(page())
    interrupt_at(clock, 8)
    result = gate(*GATED, *argv, "--poll-interval", "5s")
    assert result.exit_code == ExitCode.INTERRUPTED
    assert f"run {RUN} has ended; its verdict is open" in result.stderr
    assert f"tm runs wait 42 --run-id {RUN}" in result.stderr


def test_printed_command_repeats_the_gate_and_the_server(run, fleet, clock, tmp_path):
    fleet.profile(42, "FAIL")
    (tmp_path / "key").write_text(KEY, encoding="utf-8")
    flags = ("--base-url", fleet.url, "--api-key-file", str(tmp_path / "key"))
    interrupt_at(clock, 30)
    result = run(*GATED, "--assert", "p95<1s", *flags)
    hint = next(line for line in result.stderr.splitlines() if line.startswith("hint: "))
    del clock.sleep
    again = run(*shlex.split(hint.partition(" tm ")[2]))
    assert again.exit_code == ExitCode.FAIL


def test_start_tells_what_the_user_may_not_have_meant(gate, server):
    server.profile(status="RUNNING", duration=7200, targetUrl="https://shop.example/?key=k\x1b")
    server.status(runId=OTHER_RUN).snapshot().start().status("COMPLETED")
    server.scan(row()).detail()
    result = gate(*GATED)
    assert f"checkout is RUNNING (run {OTHER_RUN}); this start replaces that run" in result.stderr
    load = "checkout sends POST https://shop.example/?... at 10/s for 2h"
    assert load in result.stderr
    assert "checkout takes 2h, longer than --wait-timeout 30m" in result.stderr


def test_the_wait_for_the_target_counts_towards_the_time_to_wait(gate, server):
    server.features(waitForTarget=True).profile(duration=60).snapshot()
    started = {"runId": RUN, "status": "RUNNING", "profileId": PROFILE}
    server.answer("POST", f"/profiles/{PROFILE}/runs", started, body={"waitForTarget": 120})
    reason = "the target localhost:8080 cannot be reached"
    server.status("RUNNING", waitingFor=reason).status("COMPLETED").scan(row()).detail()
    result = gate(*GATED, "--wait-for-target", "2m", "--wait-timeout", "150s")
    longer = "may wait 2m for its target and takes 1m, longer than --wait-timeout 2m30s"
    assert f"checkout {longer}" in result.stderr
    assert f"no load is sent yet: {reason}" in result.stderr


@pytest.mark.parametrize("quiet", [(), ("--quiet",)], ids=["", "quiet"])
def test_start_without_wait_says_that_it_replaces_a_run(gate, server, quiet):
    server.profile(status="PAUSED").error("GET", "/profiles/42/status", 404, "Not Found").start()
    result = gate("runs", "start", "42", *quiet)
    assert result.exit_code == ExitCode.OK
    assert "tm: checkout is PAUSED; this start replaces that run" in result.stderr
    assert ("sends POST" in result.stderr) is (quiet == ())


def test_start_without_wait_needs_no_profile_that_can_be_read(gate, server):
    server.error("GET", "/profiles/42", 503, "busy").start()
    assert gate("runs", "start", "42").exit_code == ExitCode.OK


def test_mistyped_run_id_is_not_called_replaced(gate, server):
    server.status()
    for _ in range(2):
        server.scan(row(8))
    argv = ("runs", "wait", "42", "--run-id", "mistyped", "--verdict-timeout", "0.1")
    result = gate(*argv)
    assert result.exit_code == ExitCode.UNDECIDED
    assert "check the id" in result.stderr
    assert "replaced" not in result.stderr


@pytest.mark.parametrize(
    ("argv", "wait"),
    [
        (("start", "42", "--wait"), "--last"),
        (
            ("wait", "42", "--run-id", "run-42-1"),
            "42 --run-id run-42-1 --fail-on FAIL",
        ),
    ],
)
def test_interrupt_at_a_terminal_names_the_two_short_commands_once(run, fleet, clock, argv, wait):
    fleet.profile(42, "PASS")
    if argv[0] == "wait":
        assert run("runs", "start", "42").exit_code == ExitCode.OK
    interrupt_at(clock, 30)
    result = run("runs", *argv, "--fail-on", "FAIL", at_terminal=True)
    assert result.exit_code == ExitCode.INTERRUPTED
    assert (result.stdout + result.stderr).count("is still running") == 1
    hint = f"hint: `tm runs wait {wait}` waits for it again, `tm runs stop 42` stops it\n"
    assert result.stderr.endswith(hint)


def test_verdict_says_where_it_leads(gate, server):
    server.until_ended().scan(row(autoVerdict="FAIL")).detail(autoVerdict="FAIL")
    result = gate("runs", "start", "42", "--wait", "--fail-on", "FAIL")
    assert "hint: `tm history compare 7 5` and `--report html=gate.html` show it" in result.stderr
    assert "; intended? `tm baseline pin 7`" in result.stderr


def test_failed_check_does_not_lead_to_another_baseline(gate, server):
    server.until_ended().scan(row()).detail()
    result = gate("runs", "start", "42", "--wait", "--assert", "p95<1ms")
    assert result.exit_code == ExitCode.FAIL
    assert "`tm history compare 7 5` and" in result.stderr
    assert "baseline pin" not in result.stderr


@pytest.mark.parametrize("fail_on", ["FAIL", "NO_BASELINE"])
def test_first_run_says_what_it_is_for(gate, server, fail_on):
    verdict = {"autoVerdict": "NO_BASELINE", "autoCompareBaselineRunId": None}
    server.until_ended().scan(row(**verdict)).detail(**verdict)
    result = gate("runs", "start", "42", "--wait", "--fail-on", fail_on)
    assert "hint: the next run of this profile is compared with this one" in result.stderr


def test_bug_during_a_wait_leaves_no_run_without_its_name(gate, server, clock, monkeypatch):
    def broken(_seconds):
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(clock, "sleep", broken)
    server.profile().snapshot().start()
    result = gate("runs", "start", "42", "--wait", "--fail-on", "FAIL")
    assert result.exit_code == ExitCode.INTERNAL
    assert f"run {RUN} of checkout may still be running; wait: tm runs wait 42" in result.stderr


@pytest.fixture
def idle(httpserver):
    """Serve a profile whose status and history are always the same."""

    def serve(state, *rows):
        for path, answer in (("profiles/42/status", state), ("history", page(*rows))):
            httpserver.expect_request(f"/api/v1/{path}").respond_with_json(answer)

    return serve


@pytest.mark.parametrize(
    "state", [status(runId=OTHER_RUN), status("IDLE", runId=None), status("COMPLETED")]
)
def test_run_that_does_not_exist_is_told_in_seconds_with_those_that_do(gate, idle, clock, state):
    idle(state, row(8), row(7, runId=OTHER_RUN, autoVerdict="FAIL"))
    began = clock.monotonic()
    result = gate("runs", "wait", "42", "--run-id", "mistyped", "--json")
    assert result.exit_code == ExitCode.UNDECIDED
    assert clock.monotonic() - began < 5
    error = result.json["error"]
    assert error["code"] == "unknown_run"
    assert "there is no such run: run mistyped is not in the history" in error["message"]
    assert f"the newest are {RUN} (PASS), {OTHER_RUN} (FAIL)" in error["hint"]
    assert "tm runs wait" not in error["hint"]


def test_history_id_in_place_of_the_run_id_is_explained(gate, idle):
    idle(status("IDLE", runId=None), row(8))
    result = gate("runs", "wait", "42", "--run-id", "8")
    assert f"8 is the history id of run {RUN}" in result.stderr


def test_run_is_not_denied_while_the_history_cannot_be_read(gate, httpserver, clock):
    ended = status("IDLE", runId=None)
    httpserver.expect_request("/api/v1/profiles/42/status").respond_with_json(ended)
    httpserver.expect_request("/api/v1/history").respond_with_data("<html>", 502)
    began = clock.monotonic()
    result = gate("runs", "wait", "42", "--run-id", RUN)
    assert clock.monotonic() - began >= 60
    assert "no such run" not in result.stderr


def test_run_that_was_remembered_is_searched_for_as_long_as_after_its_start(
    gate, server, httpserver, clock
):
    server.profile().start()
    assert gate("runs", "start", "42").exit_code == ExitCode.OK
    ended = status("IDLE", runId=None)
    httpserver.expect_request("/api/v1/profiles/42/status").respond_with_json(ended)
    httpserver.expect_request("/api/v1/history").respond_with_json(page())
    began = clock.monotonic()
    result = gate("runs", "wait", "--last")
    assert clock.monotonic() - began >= 60
    assert "no such run" not in result.stderr


def test_who_replaced_a_run_is_told_to_the_one_who_lost_it(gate, httpserver, server):
    server.profile().snapshot().start()
    taken = status(runId=OTHER_RUN, tags=["nightly"])
    httpserver.expect_request("/api/v1/profiles/42/status").respond_with_json(taken)
    httpserver.expect_request("/api/v1/history").respond_with_json(page())
    result = gate("runs", "start", "42", "--wait", "--fail-on", "FAIL")
    assert result.exit_code == ExitCode.UNDECIDED
    assert f"another run replaced this one before it ended: run {OTHER_RUN} (tags: nightly)" in (
        result.stderr
    )
    assert "let one pipeline at a time use it, or give each a profile of its own" in result.stderr


def test_run_that_was_replaced_is_never_stopped(gate, server, clock):
    server.profile().snapshot().start().status(runId="of somebody else").scan()
    interrupt_at(clock, 0)
    result = gate(*GATED, "--on-interrupt", "stop", "--poll-interval", "5s")
    assert result.exit_code == ExitCode.INTERRUPTED
    assert "is still running" in result.stderr


def test_status_without_run_id_is_no_evidence_for_a_stop(gate, server, clock):
    server.profile().snapshot().start().status(runId=None)
    interrupt_at(clock, 0)
    argv = ("--on-interrupt", "stop", "--poll-interval", "5s")
    assert gate(*GATED, *argv).exit_code == ExitCode.INTERRUPTED


def test_all_runs_are_stopped_on_an_interrupt(run, fleet, clock):
    fleet.profile(1, "PASS")
    fleet.profile(2, "PASS")
    interrupt_at(clock, 30)
    argv = ("runs", "start", "1", "2", "--wait", "--on-interrupt", "stop", "--json")
    result = run(*argv)
    assert result.exit_code == ExitCode.INTERRUPTED
    assert fleet.calls["POST", "profiles/N/stop"] == 2
    assert [entry["exit_name"] for entry in result.json["data"]["runs"]] == ["INTERRUPTED"] * 2


# What is remembered.


def test_last_run_is_found_again(run, fleet, clock):
    fleet.profile(42, "WARN")
    interrupt_at(clock, 10)
    assert run(*GATED).exit_code == ExitCode.INTERRUPTED
    del clock.sleep
    result = run("runs", "wait", "--last", "--fail-on", "WARN", "--json")
    assert result.exit_code == ExitCode.WARN
    assert result.json["data"]["started_run_id"] == "run-42-1"
    assert fleet.calls["POST", "profiles/N/start"] == 1


@pytest.fixture
def crashed(run, fleet, clock):
    """A gate with a check beside the verdict that was cut off."""
    fleet.profile(42, "WARN")
    interrupt_at(clock, 10)
    argv = ("--fail-on", "WARN", "--assert", "requests>=1")
    assert run(*GATED[:4], *argv).exit_code == ExitCode.INTERRUPTED
    del clock.sleep


def test_last_run_is_judged_by_the_gate_of_its_start(run, tm, crashed):
    result = run("runs", "wait", "--last")
    assert result.exit_code == ExitCode.WARN
    assert "as at the start, the gate fails on WARN" in result.stderr
    assert "as at the start, this must hold: requests>=1" in result.stderr


def test_settings_of_a_later_day_do_not_replace_the_gate_of_the_start(run, tm, crashed):
    (tm.cwd / "tm.toml").write_text('fail_on = "FAIL"\n')
    assert run("runs", "wait", "--last").exit_code == ExitCode.WARN
    assert run("runs", "wait", "--last", "--fail-on", "FAIL").exit_code == ExitCode.OK


def test_run_that_was_started_without_a_gate_is_judged_by_the_settings(gate, tm, server):
    server.profile().start()
    assert gate("runs", "start", "42").exit_code == ExitCode.OK
    (tm.cwd / "tm.toml").write_text('fail_on = "WARN"\n')
    server.status("COMPLETED").scan(row(autoVerdict="WARN")).detail(autoVerdict="WARN")
    assert gate("runs", "wait", "--last").exit_code == ExitCode.WARN


@pytest.mark.parametrize(
    ("answer", "code"), [(502, ExitCode.START_UNKNOWN), (409, ExitCode.REFUSED)]
)
def test_run_before_a_start_that_failed_does_not_pass_for_it(run, fleet, answer, code):
    fleet.profile(42, "PASS")
    assert run(*GATED).exit_code == ExitCode.OK
    fleet.failing_starts[42] = answer
    assert run(*GATED).exit_code == code
    result = run("runs", "wait", "--last")
    assert result.exit_code == ExitCode.START_UNKNOWN
    assert "the last start of p42 has no run that is known here" in result.stderr


@pytest.mark.parametrize("waits", [True, False], ids=["waited", "started"])
def test_run_beside_one_that_was_refused_does_not_pass_for_both(run, fleet, waits):
    fleet.profile(1, "PASS")
    fleet.failing_starts[2] = 409
    more = ("--wait", "--fail-on", "FAIL") if waits else ()
    assert run("runs", "start", "1", "2", *more).exit_code == ExitCode.REFUSED
    result = run("runs", "wait", "--last")
    assert result.exit_code == ExitCode.START_UNKNOWN
    assert "known are: " in result.stderr
    assert "1 run-1-1" in result.stderr


def test_run_that_was_started_is_told_when_the_next_start_fails(run, fleet):
    fleet.profile(1, "PASS")
    fleet.failing_starts[2] = 409
    result = run("runs", "start", "1", "2", "--quiet")
    assert result.exit_code == ExitCode.REFUSED
    assert "started run run-1-1 of" in result.stderr


def test_signal_while_a_run_is_being_remembered_forgets_nothing(run, tm, fleet, clock):
    fleet.profile(42, "PASS")
    interrupt_at(clock, 0.5)
    run(*GATED)
    del clock.sleep
    result = run("runs", "wait", "--last", "--json")
    assert result.json["data"]["started_run_id"] == "run-42-1"


def test_start_without_wait_is_remembered_too(gate, server):
    server.profile().start()
    assert gate("runs", "start", "42").exit_code == ExitCode.OK
    server.status("COMPLETED").scan(row()).detail()
    assert gate("runs", "wait", "--last", "--fail-on", "FAIL").exit_code == ExitCode.OK


def test_last_run_of_another_server_is_not_looked_for(gate, tm, server):
    server.profile().start()
    gate("runs", "start", "42")
    environ = {"TM_BASE_URL": "https://other.example", "TM_API_KEY": KEY}
    result = tm("runs", "wait", "--last", environ=environ)
    assert result.exit_code == ExitCode.CONFIGURATION
    assert server.url in result.stderr


def test_nothing_remembered_is_said(gate, server):
    assert gate("runs", "wait", "--last").exit_code == ExitCode.CONFIGURATION


@pytest.mark.parametrize("argv", [("42", "--last"), ("--last", "--run-id", RUN)], ids=" ".join)
def test_last_stands_alone(gate, server, argv):
    assert gate("runs", "wait", *argv).exit_code == ExitCode.USAGE


@pytest.mark.parametrize(
    "argv", [("--assert", "p95<1s"), ("--confirm", "1"), ("--fail-fast",)], ids=" ".join
)
def test_gate_without_wait_is_a_mistake(gate, server, argv):
    assert gate("runs", "start", str(PROFILE), *argv).exit_code == ExitCode.USAGE


@pytest.mark.parametrize("quiet", [(), ("--quiet",)], ids=["", "quiet"])
def test_start_that_leaves_the_gate_of_the_settings_aside_says_so(gate, tm, server, quiet):
    (tm.cwd / "tm.toml").write_text('fail_on = "FAIL"\n', encoding="utf-8")
    server.profile().start()
    result = gate("runs", "start", "42", *quiet)
    assert result.exit_code == ExitCode.OK
    (line,) = [line for line in result.stderr.splitlines() if "does not gate" in line]
    assert f"project file {tm.cwd / 'tm.toml'}" in line
    assert "--wait" in line


def test_start_without_any_gate_says_nothing_of_one(gate, server):
    server.profile().start()
    assert "gate" not in gate("runs", "start", "42").stderr


@pytest.mark.parametrize(
    "argv",
    [
        ("start", "checkout", "--wait", "--fail-on", "FAIL,", "WARN"),
        ("start", "--fail-on", "FAIL", ",warn", "--wait", "checkout"),
        ("wait", "--last", "--fail-on", "FAIL,", "WARN"),
        ("start", "checkout", "--wait", "--fail-on", "FAIL", "WARN"),
    ],
    ids=" ".join,
)
def test_blank_beside_a_comma_makes_no_profile_of_a_verdict(gate, server, argv):
    result = gate("runs", *argv)
    assert result.exit_code == ExitCode.USAGE
    assert "a comma and no space: --fail-on FAIL," in result.stderr
    assert not server.requests


def test_profile_may_be_named_like_a_verdict(gate, server):
    server.answer("GET", "/profiles", [{"id": PROFILE, "name": "WARN"}]).until_ended()
    server.scan(row()).detail()
    argv = ("runs", "start", "WARN", "--wait", "--fail-on", "FAIL")
    assert gate(*argv).exit_code == ExitCode.OK


@pytest.mark.parametrize(
    "argv",
    [("--assert", "p95"), ("--confirm", "-1"), ("--confirm", "x"), ("--on-interrupt", "wait")],
    ids=" ".join,
)
def test_value_that_makes_no_sense_sends_nothing(gate, server, argv):
    assert gate(*GATED, *argv).exit_code == ExitCode.USAGE


def test_checks_of_the_project_hold_in_addition_to_those_of_the_flags(gate, tm, server):
    (tm.cwd / "tm.toml").write_text('assert = ["p95<1ms", "errors<50%"]\n', encoding="utf-8")
    server.until_ended().scan(row()).detail()
    result = gate("runs", "start", str(PROFILE), "--wait", "--assert", "rps>0", "--json")
    assert result.exit_code == ExitCode.FAIL
    checks = result.json["data"]["checks"]
    assert [check["check"] for check in checks] == ["p95<1ms", "errors<50%", "rps>0"]


@pytest.mark.parametrize("text", ['"p95<<1"', '["p95"]', '"exported>=1"', '""'])
def test_unusable_check_of_the_project_is_named_before_anything_is_sent(gate, tm, server, text):
    (tm.cwd / "tm.toml").write_text(f"assert = {text}\n", encoding="utf-8")
    result = gate("runs", "start", str(PROFILE), "--wait")
    assert result.exit_code == ExitCode.CONFIGURATION
    assert result.stderr.startswith("tm: assert")
    assert str(tm.cwd / "tm.toml") in result.stderr
    assert not server.requests
    checked = tm("init", "--check", "--json").json["data"]["checks"]
    assert ("tm.toml", "problem") in [(item["check"], item["status"]) for item in checked]


def test_misspelt_variable_refuses_the_gate_and_shows_in_other_commands(tm, server):
    environ = {"TM_BASE_URL": server.url, "TM_API_KEY": KEY, "TM_FAILON": "FAIL"}
    result = tm("runs", "start", str(PROFILE), "--wait", environ=environ)
    assert result.exit_code == ExitCode.CONFIGURATION
    assert "the variable TM_FAILON means nothing to tm" in result.stderr
    assert "did you mean TM_FAIL_ON?" in result.stderr
    assert not server.requests
    server.answer("GET", "/profiles", [])
    listed = tm("profiles", "list", "--quiet", environ=environ)
    assert (listed.exit_code, "did you mean TM_FAIL_ON?" in listed.stderr) == (ExitCode.OK, True)


def test_flag_of_a_later_wait_takes_no_check_of_the_project_away(gate, tm, server):
    (tm.cwd / "tm.toml").write_text('assert = ["p95<1ms"]\n', encoding="utf-8")
    server.profile().start()
    gate("runs", "start", str(PROFILE))
    server.status("COMPLETED").scan(row()).detail()
    result = gate("runs", "wait", "--last", "--assert", "rps>0", "--json")
    assert result.exit_code == ExitCode.FAIL
    assert [check["check"] for check in result.json["data"]["checks"]] == ["p95<1ms", "rps>0"]


@pytest.mark.parametrize("where", ["variable", "file"])
def test_condition_that_is_set_after_the_start_counts_in_a_later_wait(tm, server, where):
    environ = {"TM_BASE_URL": server.url, "TM_API_KEY": KEY}
    server.profile().start()
    tm("runs", "start", str(PROFILE), environ=environ)
    server.status("COMPLETED").scan(row()).detail()
    if where == "variable":
        environ["TM_ASSERT"] = "p95<1ms"
    else:
        (tm.cwd / "tm.toml").write_text('assert = ["p95<1ms"]\n', encoding="utf-8")
    result = tm("runs", "wait", "--last", "--json", environ=environ)
    assert result.exit_code == ExitCode.FAIL
    assert [check["check"] for check in result.json["data"]["checks"]] == ["p95<1ms"]
    assert "by the settings, this must hold, too: p95<1ms" in result.stderr
