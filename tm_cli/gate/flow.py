"""start -> observe -> find the result -> decide, told as events."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field

from tm_cli.clock import Clock
from tm_cli.durations import format_duration
from tm_cli.errors import TmError, Undecided, WaitTimeout
from tm_cli.gate.events import Awaited, Decided, Ended, Event, Observed, Started, Unobserved
from tm_cli.gate.evidence import Missing, Phase, Progress, Result, Run
from tm_cli.gate.policy import decide, from_error
from tm_cli.gate.polling import Pace, pause_before_look, pause_before_scan
from tm_cli.gate.system import System
from tm_cli.gate.verdict import Verdict
from tm_cli.signals import SignalReceived

SCANS_AFTER_REPLACEMENT = 4
"""A run that ended just before it was replaced still gets its row: look for a few seconds."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What this invocation accepts and how long it waits; limits in seconds."""

    fail_on: frozenset[Verdict] = frozenset()
    wait_timeout: float = 1800.0
    verdict_timeout: float = 60.0
    pace: Pace = field(default_factory=Pace)


def run_gate(
    system: System, gate: Gate, clock: Clock, *, attach_to: Run | None = None
) -> Iterator[Event]:
    """Start a run, or attach to one, and follow it to a decision.

    The last event is always Decided: whatever goes wrong becomes a decision that is not OK, and
    what was known by then stays with it.
    """
    follow = _Follow(system, gate, clock, run=attach_to)
    try:
        yield from follow.events()
    except SignalReceived as signal:
        error = signal.as_error(*follow.interruption())
        yield Decided(from_error(error, gate.fail_on), follow.run, follow.result)
    except TmError as error:
        yield Decided(from_error(error, gate.fail_on), follow.run, follow.result)


class _Follow:
    """One run being followed; holds what is known so that an error cannot lose it."""

    def __init__(self, system: System, gate: Gate, clock: Clock, *, run: Run | None) -> None:
        self._system = system
        self._gate = gate
        self._clock = clock
        self._starting = False
        self.run = run
        self.result: Result | None = None

    def events(self) -> Iterator[Event]:
        run = self.run or self._start()
        yield Started(run)
        last = yield from self._watch(run)
        yield Ended(last)
        yield from self._search(run, last)
        if self.result is None:
            raise AssertionError("a search ends with a result or an error")
        yield Decided(decide(self.result, self._gate.fail_on), run, self.result)

    def interruption(self) -> tuple[str, str | None]:
        """What a signal leaves behind: a sentence and a hint."""
        if self.run is not None:
            resume = f"wait for it again: {self.run.resume}" if self.run.resume else None
            return f"interrupted; run {self.run.run_id or 'without id'} goes on", resume
        if self._starting:
            return "interrupted while the start was sent; it may have happened", None
        return "interrupted; nothing was started", None

    def _start(self) -> Run:
        self._system.prepare()
        self._starting = True
        self.run = self._system.start()
        return self.run

    def _watch(self, run: Run) -> Generator[Event, None, Progress]:
        deadline = self._clock.monotonic() + self._gate.wait_timeout
        last: Progress | None = None
        overdue = 0
        while True:
            at_least = 0.0
            try:
                last = self._system.observe(run)
            except TmError as error:
                at_least = self._tolerate(error)
                yield Unobserved(error.message, at_least)
            else:
                if last.phase in (Phase.ENDED, Phase.REPLACED):
                    return last
                yield Observed(last)
            overdue = overdue + 1 if last and last.remaining == 0 else 0
            pause = max(pause_before_look(last, self._gate.pace, overdue=overdue), at_least)
            self._sleep_until(deadline, pause, run)

    def _sleep_until(self, deadline: float, pause: float, run: Run) -> None:
        remaining = deadline - self._clock.monotonic()
        if remaining <= 0:
            waited = format_duration(self._gate.wait_timeout)
            raise WaitTimeout(
                f"run {run.run_id or ''} was still going after {waited}; it goes on".replace(
                    "  ", " "
                ),
                hint=f"raise --wait-timeout, or wait again: {run.resume}" if run.resume else None,
            )
        self._clock.sleep(min(pause, remaining))

    def _search(self, run: Run, last: Progress) -> Iterator[Event]:
        deadline = self._clock.monotonic() + self._gate.verdict_timeout
        attempt = 0
        while True:
            missing, at_least = self._look_for_result(run)
            if self.result is not None and (self.result.verdict or self.result.final):
                self.result = self._system.confirm(run, self.result)
                return
            replaced = last.phase is Phase.REPLACED and self.result is None
            remaining = deadline - self._clock.monotonic()
            if remaining <= 0 or (replaced and attempt >= SCANS_AFTER_REPLACEMENT):
                self._give_up(missing, replaced=replaced)
                return
            yield Awaited(missing.reason if missing else "the verdict is not there yet")
            self._clock.sleep(min(max(pause_before_scan(attempt), at_least), remaining))
            attempt += 1

    def _look_for_result(self, run: Run) -> tuple[Missing | None, float]:
        """Update `result`; return what is missing and the least pause before the next scan."""
        try:
            found = self._system.find_result(run)
        except TmError as error:
            at_least = self._tolerate(error)
            return Missing(f"the history could not be read: {error.message}"), at_least
        if isinstance(found, Missing):
            return found, 0.0
        self.result = found
        return None, 0.0

    def _give_up(self, missing: Missing | None, *, replaced: bool) -> None:
        """Leave a result without verdict to the policy; without a result nothing is decided."""
        if self.result is not None:
            return
        if missing is None:
            raise AssertionError("neither a result nor a reason")
        if replaced:
            raise Undecided(
                f"another run replaced ours before it ended ({missing.reason})",
                hint="let one pipeline at a time use this profile",
            )
        waited = format_duration(self._gate.verdict_timeout)
        raise Undecided(
            f"{missing.reason}, {waited} after it ended",
            hint=missing.hint or "raise --verdict-timeout if the server is slow to judge",
        )

    def _tolerate(self, error: TmError) -> float:
        """Return the least pause after a read that observed nothing; raise what is final."""
        pause = self._system.observed_nothing(error)
        if pause is None:
            raise error
        return pause
