"""Runs whose target is on this machine: a service that has ended is never a pass, and no fail."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tm_cli.errors import TargetUntestable, TmError
from tm_cli.exit_codes import ExitCode
from tm_cli.gate.backend import Backend
from tm_cli.gate.lifecycle import Follow
from tm_cli.gate.model import Phase, Progress, Result, Run
from tm_cli.gate.policy import Gate
from tm_cli.gate.scheduler import drive
from tm_cli.target.observed_runs import ObservedRuns
from tm_cli.target.recording import Recording
from tm_cli.target.service import Service
from tm_cli.values.verdict import Verdict

GATE = Gate(fail_on=frozenset({Verdict.FAIL}))


class Command:
    """A command that ends when a test says so."""

    pid, code = 1, None

    def poll(self):
        return self.code

    def end(self, patience):
        self.code = -9

    kill = end


class Runs(Backend):
    """A run that takes some polls; `at` calls something after so many of them."""

    def __init__(self, *, polls=3, verdict=Verdict.PASS, at=None, requests=100):
        self.polls, self.verdict, self.at, self.requests = polls, verdict, at or {}, requests
        self.polled, self.stopped, self.started = 0, 0, 0

    def start(self):
        self.started += 1
        return Run("r1", "p", "RUNNING", datetime.now(UTC), "tm runs wait p --run-id r1", 60.0)

    def observe(self, run):
        self.polled += 1
        self.at.get(self.polled, lambda: None)()
        if self.stopped or self.polled > self.polls:
            return Progress(Phase.ENDED, "COMPLETED", is_ours=True)
        return Progress(
            Phase.ACTIVE, "RUNNING", is_ours=True, elapsed=float(self.polled), duration=60.0,
            requests=self.requests,
        )  # fmt: skip

    def find_result(self, run):
        verdict = None if self.stopped else self.verdict
        return Result("r1", verdict, verdict, final=bool(self.stopped), facts={"id": 7})

    def stop(self, run):
        self.stopped += 1

    def retry_pause(self, error):
        return 1.0


@pytest.fixture
def command():
    return Command()


@pytest.fixture
def service(command, tmp_path: Path):
    log = tmp_path / "serve.log"
    log.write_text("starting\nout of \x1b[31mmemory\n", encoding="utf-8")
    found = Service(command, log)
    yield found
    found.end()


def play(runs, service, clock, gate=GATE):
    """Return how a gate over the run ends."""
    observed = ObservedRuns(runs, Recording(), service)
    events = [event for _, event in drive([Follow(observed, gate, clock)], gate, clock)]
    return events[-1]


def end_with(command, code):
    def end():
        command.code = code

    return end


@pytest.mark.parametrize("verdict", [Verdict.PASS, Verdict.FAIL, Verdict.WARN])
def test_verdict_counts_while_the_service_runs(service, clock, verdict):
    end = play(Runs(verdict=verdict), service, clock)
    assert end.result.verdict is verdict
    assert end.decision.exit_code.name == ("FAIL" if verdict is Verdict.FAIL else "OK")


@pytest.mark.parametrize("verdict", [Verdict.PASS, Verdict.FAIL])
@pytest.mark.parametrize("gate", [GATE, Gate()], ids=["gate", "no gate"])
@pytest.mark.parametrize("code", [0, 3, -11])
def test_service_that_ends_under_load_is_undecided_and_its_run_is_stopped(
    command, service, clock, code, gate, verdict
):
    runs = Runs(polls=10, verdict=verdict, at={2: end_with(command, code)})
    end = play(runs, service, clock, gate)
    assert end.decision.exit_code is ExitCode.UNDECIDED
    assert end.decision.code == "untestable"
    assert runs.stopped == 1
    what = "signal 11" if code == -11 else f"exit code {code}"
    assert f"ended with {what} 2s into the run" in end.decision.message
    assert "(its last line: out of [31mmemory)" in end.decision.message
    assert "tm runs wait" not in (end.decision.hint or "")
    assert end.result is not None, "the record of the run is shown"
    assert end.result.verdict is None


@pytest.mark.parametrize("verdict", [Verdict.PASS, Verdict.FAIL])
def test_service_that_ends_just_before_its_run_is_undecided(command, service, clock, verdict):
    end = play(Runs(verdict=verdict, at={4: end_with(command, 1)}), service, clock)
    assert end.decision.exit_code is ExitCode.UNDECIDED


def test_service_that_ends_after_its_run_changes_nothing(command, service, clock):
    class EndsDuringTheSearch(Runs):
        def find_result(self, run):
            command.code = 1
            return super().find_result(run)

    assert play(EndsDuringTheSearch(), service, clock).decision.exit_code is ExitCode.OK


def test_service_that_ends_while_the_target_is_awaited_sent_no_load(command, service, clock):
    class Waiting(Runs):
        def observe(self, run):
            seen = super().observe(run)
            return Progress(seen.phase, "RUNNING", is_ours=True, elapsed=0.0, requests=0)

    end = play(Waiting(at={2: end_with(command, 1)}), service, clock)
    assert "before any load was sent" in end.decision.message


def test_no_run_is_started_against_a_service_that_has_ended(command, service, clock):
    command.code = 1
    runs = Runs()
    end = play(runs, service, clock)
    assert (runs.started, end.decision.exit_code) == (0, ExitCode.UNDECIDED)


def test_run_that_cannot_be_stopped_is_undecided_all_the_same(command, service, clock):
    class Stubborn(Runs):
        def stop(self, run):
            super().stop(run)
            raise TmError("no")

    runs = Stubborn(at={2: end_with(command, 1)})
    assert play(runs, service, clock).decision.exit_code is ExitCode.UNDECIDED


def test_run_that_is_left_when_tm_ends_is_stopped(service, clock):
    runs = Runs(polls=10**6)
    observed = ObservedRuns(runs, Recording(), service)
    gate = Gate(fail_on=GATE.fail_on, wait_timeout=20.0)
    events = [event for _, event in drive([Follow(observed, gate, clock)], gate, clock)]
    assert events[-1].decision.exit_code is ExitCode.WAIT_TIMEOUT
    assert observed.stop_if_active().run_id == "r1"
    assert observed.stop_if_active() is None
    assert runs.stopped == 1


def test_error_of_a_service_is_not_repeated(service):
    observed = ObservedRuns(Runs(), Recording(), service)
    assert observed.retry_pause(TargetUntestable("x")) is None
    assert observed.retry_pause(TmError("x")) == 1.0
