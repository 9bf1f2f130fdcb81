"""The loop that follows runs, when a signal arrives while an event is being shown."""

from __future__ import annotations

import pytest

from tm_cli.exit_codes import ExitCode
from tm_cli.gate.drive import consume, drive
from tm_cli.gate.events import Decided, Ended, Observed, Started
from tm_cli.gate.evidence import Phase, Progress, Result, Run
from tm_cli.gate.flow import Follow
from tm_cli.gate.policy import Gate
from tm_cli.gate.verdict import Verdict
from tm_cli.signals import SignalReceived


class QuickSystem:
    """A run that has ended at the second look, and passed."""

    def __init__(self):
        self.looks = 0
        self.stopped = 0

    def prepare(self):
        pass

    def start(self):
        return Run("r", "subject", "RUNNING", None)

    def observe(self, run):
        self.looks += 1
        return Progress(Phase.ACTIVE if self.looks < 2 else Phase.ENDED, "", is_ours=True)

    def find_result(self, run):
        return Result("r", Verdict.PASS, "PASS")

    def confirm(self, run, result):
        return result

    def stop(self, run):
        self.stopped += 1


@pytest.mark.parametrize(
    ("moment", "code", "stops"),
    [
        (Started, ExitCode.INTERRUPTED, 1),
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
