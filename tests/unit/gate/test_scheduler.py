"""The loop that follows runs, when a signal arrives while an event is being shown."""

from __future__ import annotations

import pytest

from tm_cli.errors import TmError
from tm_cli.exit_codes import ExitCode
from tm_cli.gate.backend import Backend
from tm_cli.gate.events import Decided, Ended, Observed, RunStarted
from tm_cli.gate.lifecycle import Follow
from tm_cli.gate.model import Phase, Progress, Result, Run
from tm_cli.gate.policy import Gate
from tm_cli.gate.polling import PollingPolicy
from tm_cli.gate.scheduler import consume, drive
from tm_cli.runtime.signals import SignalReceived
from tm_cli.values.verdict import Verdict


class QuickSystem(Backend):
    """A run that has ended at the second look, and passed."""

    def __init__(self):
        self.looks = 0
        self.stopped = 0

    def start(self):
        return Run("r", "subject", "RUNNING", None)

    def observe(self, run):
        self.looks += 1
        return Progress(Phase.ACTIVE if self.looks < 2 else Phase.ENDED, "", is_ours=True)

    def find_result(self, run):
        return Result("r", Verdict.PASS, "PASS")

    def stop(self, run):
        self.stopped += 1

    def retry_pause(self, error):
        return None


@pytest.mark.parametrize(
    ("moment", "code", "stops"),
    [
        (RunStarted, ExitCode.INTERRUPTED, 1),
        (Observed, ExitCode.INTERRUPTED, 1),
        (Ended, ExitCode.INTERRUPTED, 0),
        (Decided, ExitCode.OK, 0),
        (None, ExitCode.OK, 0),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_signal_while_an_event_is_shown_reaches_the_run(clock, moment, code, stops):
    system, gate = QuickSystem(), Gate(frozenset({Verdict.FAIL}))
    seen = []
    signals = iter([SignalReceived(2)])

    def handle(_position, event):
        if moment is not None and isinstance(event, moment):
            for signal in signals:
                raise signal
        seen.append(event)

    follows = [Follow(system, gate, clock)]
    consume(drive(follows, gate, clock, stop_on_interrupt=True), handle)
    assert isinstance(seen[-1], Decided)
    assert seen[-1].decision.exit_code == code
    assert system.stopped == stops


class Interrupted(QuickSystem):
    """Raises a signal in one of its methods, as a handler would."""

    def __init__(self, method):
        super().__init__()
        setattr(self, method, self._interrupt)

    def _interrupt(self, *_arguments):
        raise SignalReceived(15)


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("prepare", "nothing was started"),
        ("start", "it may have happened"),
        ("observe", "was stopped"),
        ("find_result", "has ended; its verdict is open"),
    ],
)
def test_interruption_says_what_it_leaves_behind(clock, method, words):
    gate, system = Gate(frozenset({Verdict.FAIL})), Interrupted(method)
    events = drive([Follow(system, gate, clock)], gate, clock, stop_on_interrupt=True)
    *_, (_, last) = events
    assert last.decision.exit_code == ExitCode.TERMINATED
    assert words in last.decision.message
    assert system.stopped == (1 if words == "was stopped" else 0)


def test_stop_that_fails_is_not_called_a_stop(clock):
    class Stubborn(Interrupted):
        def stop(self, run):
            raise TmError("no answer")

    gate = Gate()
    events = drive([Follow(Stubborn("observe"), gate, clock)], gate, clock, stop_on_interrupt=True)
    *_, (_, last) = events
    assert "still running" in last.decision.message


class Silent(QuickSystem):
    """Shows the run once; later looks take `takes` seconds and bring nothing."""

    def __init__(self, clock, takes=3.0):
        super().__init__()
        self._clock, self._takes = clock, takes

    def observe(self, run):
        self.looks += 1
        if self.looks == 1:
            return Progress(Phase.ACTIVE, "RUNNING", is_ours=True)
        self._clock.sleep(self._takes)
        raise TmError("no answer")

    def retry_pause(self, error):
        return 0.0


def test_timeout_claims_nothing_of_a_run_that_the_server_is_silent_about(clock):
    gate = Gate(wait_timeout=60.0)
    *_, (_, last) = drive([Follow(Silent(clock), gate, clock)], gate, clock)
    assert last.decision.exit_code == ExitCode.WAIT_TIMEOUT
    assert last.decision.message == (
        "waited 1m: the server has not answered for 58s; nothing is known about run r"
    )


def test_timeout_tells_of_a_run_that_was_seen_going_on(clock):
    class Going(QuickSystem):
        def observe(self, run):
            return Progress(Phase.ACTIVE, "RUNNING", is_ours=True)

    gate = Gate(wait_timeout=60.0)
    *_, (_, last) = drive([Follow(Going(), gate, clock)], gate, clock)
    assert last.decision.message == "timed out after 1m; run r is still running"


@pytest.mark.parametrize(
    ("failed", "waiting", "words"),
    [
        (False, 0.1, "run r is still running"),
        (False, 18.0, "the server has not answered for 18s; nothing is known about run r"),
        (True, 0.0, "the server has not answered; nothing is known about run r"),
        (True, 18.0, "the server has not answered for 18s; nothing is known about run r"),
    ],
)
def test_interruption_claims_nothing_while_the_server_is_silent(clock, failed, waiting, words):
    class Awaited(Silent):
        def observe(self, run):
            if self.looks < (2 if failed else 1):
                return super().observe(run)
            clock.sleep(waiting)
            raise SignalReceived(2)

    gate = Gate(polling=PollingPolicy(interval=0.01))
    follow = Follow(Awaited(clock, takes=0.0), gate, clock)
    *_, (_, last) = drive([follow], gate, clock)
    assert last.decision.exit_code == ExitCode.INTERRUPTED
    assert last.decision.message == f"interrupted; {words}"


def test_server_that_answers_again_is_believed_again(clock):
    class Recovered(Silent):
        def observe(self, run):
            if self.looks < 2:
                return super().observe(run)
            return Progress(Phase.ACTIVE, "RUNNING", is_ours=True)

    gate = Gate(wait_timeout=60.0)
    *_, (_, last) = drive([Follow(Recovered(clock), gate, clock)], gate, clock)
    assert "is still running" in last.decision.message


def test_signal_while_others_are_given_up_leaves_the_failure_and_every_outcome(clock):
    class Failing(QuickSystem):
        def find_result(self, run):
            return Result("r", Verdict.FAIL, "FAIL")

    class Stubborn(QuickSystem):
        def observe(self, run):
            return Progress(Phase.ACTIVE, "", is_ours=True)

        def stop(self, run):
            raise SignalReceived(15)

    gate = Gate(frozenset({Verdict.FAIL}))
    follows = [Follow(Failing(), gate, clock), Follow(Stubborn(), gate, clock)]
    ends = {
        position: event.decision.exit_code
        for position, event in drive(follows, gate, clock, fail_fast=True)
        if isinstance(event, Decided)
    }
    assert ends == {0: ExitCode.FAIL, 1: ExitCode.TERMINATED}


def test_signal_while_a_start_is_told_has_it_told_once_more(clock):
    told = []

    def handle(_position, event):
        if isinstance(event, RunStarted):
            told.append(event.run.run_id)
            if len(told) == 1:
                raise SignalReceived(2)

    gate = Gate(frozenset({Verdict.FAIL}))
    consume(drive([Follow(QuickSystem(), gate, clock)], gate, clock), handle)
    assert told == ["r", "r"]


def test_runs_that_were_not_started_are_given_up_with_the_first_failure(clock):
    class Failing(QuickSystem):
        def observe(self, run):
            return Progress(Phase.ENDED, "", is_ours=True)

        def find_result(self, run):
            return Result("r", Verdict.FAIL, "FAIL")

    gate, other = Gate(frozenset({Verdict.FAIL})), QuickSystem()
    follows = [Follow(Failing(), gate, clock), Follow(other, gate, clock)]
    endings = [event for _, event in drive(follows, gate, clock, fail_fast=True)]
    assert isinstance(endings[-1], Decided)
    assert endings[-1].abandoned
    assert endings[-1].run is None
    assert other.stopped == 0
