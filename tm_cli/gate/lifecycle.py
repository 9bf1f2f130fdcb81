"""Lifecycle of one run: start -> observe -> find the result -> decide, as events and pauses.

Nothing here sleeps: a pause is yielded, so that one loop can follow several runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import replace

from tm_cli.errors import TmError, Undecided, WaitTimeout
from tm_cli.exit_codes import ExitCode
from tm_cli.gate.backend import Backend
from tm_cli.gate.events import (
    FIRST_NEWS_PAUSES,
    NEWS_PAUSE,
    Awaited,
    Broken,
    Decided,
    Ended,
    Observed,
    Pause,
    Repeated,
    RunAttempt,
    RunStarted,
    Step,
    Unobserved,
)
from tm_cli.gate.live_limits import Breach, LiveReadings
from tm_cli.gate.model import Missing, Phase, Progress, Result, Run
from tm_cli.gate.policy import Decision, Gate, decide, decide_broken, from_error
from tm_cli.gate.polling import (
    POLL_DEFAULT,
    REPLACEMENT_GRACE,
    ResponseTracker,
    needs_first_poll,
    pause_before_poll,
    pause_before_scan,
)
from tm_cli.runtime.clock import Clock, reads_of_a_wait
from tm_cli.values.durations import format_duration

UNKNOWN_RUN = "unknown_run"
"""The code of errors about a run that the server does not know."""

STOP_PAUSES = (1.0, 2.0, 5.0)
"""Seconds before each further attempt to stop a run that broke a live limit."""

LONGEST_STOP_PAUSE = 60.0
"""A server that counts requests over a minute may ask for so much; more is too late."""


class Follow:
    """One subject followed to a decision; holds what is known so that an error cannot lose it."""

    def __init__(
        self, system: Backend, gate: Gate, clock: Clock, *, attach_to: Run | None = None
    ) -> None:
        self._system = system
        self._gate = gate
        self._clock = clock
        self._attach_to = attach_to
        self._responses = ResponseTracker(clock)
        self._starting = False
        self._seen_active = False
        self._has_ended = False
        self._key_works = attach_to is None
        self._was_ours = False
        self._readings = LiveReadings(gate.abort_if)
        self.run: Run | None = None
        self.result: Result | None = None
        self.baseline: Result | None = None
        self.earlier: tuple[RunAttempt, ...] = ()

    def steps(self) -> Iterator[Step]:
        """Yield events and pauses; the last event is Decided, whatever goes wrong."""
        while True:
            try:
                decision = yield from self._one_run()
            except TmError as error:
                breach = self._readings.breach
                broken = self._broken(breach, error.message) if breach else None
                decision = broken or from_error(error, self._gate)
            decision = self._resumable(decision)
            left = self._gate.confirm - len(self.earlier)
            if not decision.is_gated or decision.breach or left <= 0:
                yield self.decided(self._confirmed(decision))
                return
            attempt = RunAttempt(decision, self.run, self.result, self.baseline)
            self.earlier = (*self.earlier, attempt)
            yield Repeated(attempt, left)
            self._attach_to = self.run = self.result = self.baseline = None
            self._readings = LiveReadings(self._gate.abort_if)

    def decided(self, decision: Decision, *, abandoned: bool = False) -> Decided:
        """Return the last event, with everything that is known."""
        return Decided(decision, self.run, self.result, self.earlier, abandoned, self.baseline)

    def _resumable(self, decision: Decision) -> Decision:
        """Name the run, and the command that waits for it again, unless that shows nothing new."""
        run, is_judged = self.run, decision.judged and self.result and self.result.verdict
        if run is None or run.resume is None or decision.exit_code is ExitCode.OK or is_judged:
            return decision
        if decision.breach is not None:
            return decision
        is_known = run.asked_at or self._was_ours or self.result
        is_doubtful = run.is_named or decision.code == UNKNOWN_RUN
        if (is_doubtful and not is_known) or _is_final(self.result):
            return decision
        message, hint = decision.message, decision.hint or ""
        if self._seen_active and (run.run_id or "") not in message:
            message += f"; {_name(run)} was running when it was last seen"
        if run.resume not in hint:
            hint = f"{hint}; " * bool(hint) + f"wait for it again: {run.resume}"
        return replace(decision, message=message, hint=hint)

    def _confirmed(self, decision: Decision) -> Decision:
        """Note what a repetition showed; only when all runs agree does the gate fail."""
        if not self.earlier or decision.exit_code is not ExitCode.OK:
            return decision
        before = self.earlier[0].decision.message
        message = f"{decision.message}; it does not confirm the run before it ({before})"
        return replace(decision, message=message)

    def _one_run(self) -> Generator[Step, None, Decision]:
        run = self._attach_to or self._start()
        self.run = run
        yield RunStarted(run)
        deadline = self._clock.monotonic() + self._gate.wait_timeout
        is_over = False
        first = self._just_started(run)
        while not is_over:
            last = yield from self._poll_until_over(run, deadline, first)
            first = None
            if (breach := self._readings.breach) and last.phase in (Phase.ACTIVE, Phase.PAUSED):
                return (yield from self._abort(run, breach, deadline))
            self._seen_active = False
            self._has_ended = last.is_ours and last.phase is Phase.ENDED
            yield Ended(last)
            is_over = yield from self._search(run, last)
        if self.result is None:  # pragma: no cover
            raise AssertionError("a search ends with a result or an error")
        self._readings.finish(self.result)
        if breach := self._readings.breach:
            ending = self.result.note or f"{_name(run)} has ended"
            return self._broken(breach, ending)
        if self._gate.needs_baseline:
            with reads_of_a_wait(self._verdict_deadline(), self._clock):
                self.baseline = self._system.find_baseline(self.result)
        metrics = self.baseline.metrics if self.baseline else None
        kept = (outcome.check for outcome in self._readings.outcomes())
        gate = replace(self._gate, checks=(*self._gate.checks, *kept))
        return decide(self.result, gate, baseline=metrics)

    def _abort(self, run: Run, breach: Breach, deadline: float) -> Generator[Step, None, Decision]:
        """Stop a run that broke a live limit; it fails, whatever comes of that."""
        yield Broken(breach.reason)
        problem = yield from self._stop_in_attempts(run, deadline)
        if problem is not None:
            ending = f"{_name(run)} may still be running, it could not be stopped: {problem}"
            hint = f"stop it: {run.stop}" if run.stop else None
            return self._broken(breach, ending, hint=hint)
        if self._seen_active:
            breach = self._readings.breach = replace(breach, stopped=True)
        self._seen_active = False
        yield from self._find_stopped(run)
        ending = "was stopped" if breach.stopped else "has ended"
        return self._broken(breach, f"{_name(run)} {ending}")

    def _broken(self, breach: Breach, ending: str, *, hint: str | None = None) -> Decision:
        first = "aborted after" if breach.stopped else "a live limit was broken after"
        message = f"{first} {format_duration(int(breach.at))}: {breach.reason}; {ending}"
        return decide_broken(breach, message, self._readings.outcomes(), hint=hint)

    def _stop_in_attempts(self, run: Run, deadline: float) -> Generator[Step, None, str | None]:
        """Stop the run, unless it has ended by then; return what prevented it.

        Each attempt follows a poll that named our run: a run that has replaced it goes on.
        """
        problem: TmError | None = self._stop_problem(run)
        for pause in STOP_PAUSES:
            if problem is None:
                return None
            asked = self._system.retry_pause(problem)
            if asked is None or asked > LONGEST_STOP_PAUSE:
                break
            yield Unobserved(problem.message, max(pause, asked))
            yield Pause(max(pause, asked), max(pause, asked))
            try:
                seen = self._observe(run, deadline)
            except TmError as error:
                problem = error
                continue
            self._seen_active = seen.is_ours and seen.phase not in (Phase.ENDED, Phase.REPLACED)
            problem = self._stop_problem(run) if self._seen_active else None
        return None if problem is None else problem.message

    def _find_stopped(self, run: Run) -> Iterator[Step]:
        """Search the record of the stopped run for a moment, because of its measurements."""
        began = self._clock.monotonic()
        deadline = began + min(self._gate.verdict_timeout, REPLACEMENT_GRACE)
        with suppress(TmError):
            while True:
                _, at_least = self._read_result(run, deadline)
                if self.result is not None:
                    self.result = self._system.confirm(run, self.result)
                    return
                now = self._clock.monotonic()
                if now >= deadline or at_least > deadline - now:
                    return
                pause = max(pause_before_scan(now - began, self._gate.polling), at_least)
                yield Pause(min(pause, deadline - now))

    def _start(self) -> Run:
        with reads_of_a_wait(self._clock.monotonic() + self._gate.wait_timeout, self._clock):
            self._system.prepare()
        self._starting = True
        run = self._system.start()
        self._starting, self._seen_active = False, True
        return run

    def _just_started(self, run: Run) -> Progress | None:
        """Return what the answer to the start shows; None when the run must be polled."""
        if run.asked_at is None or needs_first_poll(run.duration, self._gate.polling):
            return None
        return Progress(Phase.ACTIVE, run.status, is_ours=True, elapsed=0.0, duration=run.duration)

    def _poll_until_over(
        self, run: Run, deadline: float, last: Progress | None
    ) -> Generator[Step, None, Progress]:
        """Poll until the run is over; `last` is what is known of it already."""
        seen_at = self._clock.monotonic()
        pause = pause_before_poll(last, self._gate.polling) if last else 0.0
        due_since: float | None = None
        at_least, polls = 0.0, 0
        while True:
            news = max(at_least, self._pause_for_news(polls))
            yield from self._pause(run, pause, deadline, at_least=news)
            at_least, failed, polls = 0.0, False, polls + 1
            try:
                last = self._observe(run, deadline)
            except TmError as error:
                at_least, failed = self._tolerate(error), True
                yield Unobserved(error.message, at_least)
            else:
                seen_at = self._clock.monotonic()
                self._seen_active = last.is_ours
                if last.phase in (Phase.ENDED, Phase.REPLACED):
                    return last
                yield Observed(last)
                if self._readings.breach:
                    return last
            now = self._clock.monotonic()
            known = last.after(now - seen_at) if last else None
            due_since = (due_since or now) if known and known.remaining == 0 else None
            overdue = now - due_since if due_since is not None else 0.0
            pause = pause_before_poll(known, self._gate.polling, overdue=overdue)
            pause = max(min(pause, POLL_DEFAULT) if failed else pause, at_least)

    def _pause(
        self, run: Run, seconds: float, deadline: float, *, at_least: float
    ) -> Iterator[Step]:
        """Pause within the deadline; raises WaitTimeout once a poll at the deadline was in vain."""
        remaining = deadline - self._clock.monotonic()
        if seconds > 0:
            if remaining <= 0:
                raise self._timed_out(run)
            yield Pause(min(seconds, remaining), at_least)

    def _pause_for_news(self, polls: int) -> float:
        """Return the least pause after so many polls; several runs share a budget of them."""
        if polls > len(FIRST_NEWS_PAUSES) or self._gate.polling.budget_interval:
            return NEWS_PAUSE
        return FIRST_NEWS_PAUSES[max(polls - 1, 0)]

    def _timed_out(self, run: Run) -> WaitTimeout:
        waited, overdue = format_duration(self._gate.wait_timeout), self._responses.overdue
        message = f"timed out after {waited}; {_name(run)} is still running"
        if overdue:
            message = f"waited {waited}: {overdue}; nothing is known about {_name(run)}"
        last = f"the last request failed: {self._responses.problem}; " if overdue else ""
        hint = f"{last}raise --wait-timeout, or wait again: {run.resume}" if run.resume else None
        return WaitTimeout(message, hint=hint)

    def _search(self, run: Run, last: Progress) -> Generator[Step, None, bool]:
        """Find the result; False when the run turns out to be still running."""
        began, deadline = self._clock.monotonic(), self._verdict_deadline()
        while True:
            missing, at_least = self._read_result(run, deadline)
            if self.result is not None and (self.result.verdict or self.result.final):
                with reads_of_a_wait(self._verdict_deadline(), self._clock):
                    self.result = self._system.confirm(run, self.result)
                return True
            is_gone = self._is_unknown(run, last) or last.phase is Phase.REPLACED
            limit = self._gate.verdict_timeout
            limit = min(limit, REPLACEMENT_GRACE) if is_gone and self.result is None else limit
            waited = self._clock.monotonic() - began
            remaining = limit - waited
            if remaining <= 0:
                self._give_up(run, missing, last)
                return True
            if self.result is None and not at_least:
                goes_on, at_least = self._recheck(run, last, deadline)
                if goes_on:
                    return False
            yield Awaited(missing.reason if missing else "the verdict is not there yet")
            pause = max(pause_before_scan(waited, self._gate.polling), at_least)
            yield Pause(min(pause, remaining))

    def _recheck(self, run: Run, last: Progress, deadline: float) -> tuple[bool, float]:
        """Read again after an end that did not name this run: it may be from a stale replica.

        Return whether the run is still running after all, and the least pause before the next read.
        """
        if last.is_ours or last.phase is Phase.REPLACED:
            return False, 0.0
        try:
            now = self._observe(run, deadline)
        except TmError as error:
            return False, self._tolerate(error)
        return now.is_ours and now.phase in (Phase.ACTIVE, Phase.PAUSED), 0.0

    def _read_result(self, run: Run, deadline: float) -> tuple[Missing | None, float]:
        """Update `result`; return what is missing and the least pause before the next scan."""
        try:
            with reads_of_a_wait(deadline, self._clock):
                found = self._responses.track(lambda: self._system.find_result(run))
        except TmError as error:
            at_least = self._tolerate(error)
            return Missing(f"the history could not be read: {error.message}"), at_least
        self._key_works = True
        if isinstance(found, Missing):
            return found, 0.0
        self.result = found
        return None, 0.0

    def _is_unknown(self, run: Run, last: Progress) -> bool:
        """Whether the server has answered, and neither names the run that the user named."""
        is_answered = self._responses.problem is None and last.other_run is not None
        return run.is_named and not self._was_ours and is_answered

    def _give_up(self, run: Run, missing: Missing | None, last: Progress) -> None:
        """Leave a result without verdict to the policy; without a result nothing is decided."""
        if self.result is not None:
            with reads_of_a_wait(self._verdict_deadline(), self._clock):
                self.result = self._system.with_measurements(run, self.result)
            return
        if missing is None:  # pragma: no cover
            raise AssertionError("neither a result nor a reason")
        if self._is_unknown(run, last):
            raise Undecided(
                f"there is no such run: {missing.reason}, and it is not under way",
                hint=f"check the id of the run{'; ' * bool(missing.hint)}{missing.hint or ''}",
                code=UNKNOWN_RUN,
            )
        if last.phase is Phase.REPLACED:
            raise Undecided(
                f"another run replaced this one before it ended: run {last.other_run} "
                f"({missing.reason})",
                hint="a profile has one run at a time: let one pipeline at a time use it, or give "
                "each a profile of its own",
            )
        waited = format_duration(self._gate.verdict_timeout)
        raise Undecided(
            f"{missing.reason}, {waited} after it ended",
            hint=missing.hint or "raise --verdict-timeout if the server is slow to judge",
        )

    def notify_on_change(self, notify: Callable[[], None]) -> bool:
        """Have `notify` called when a poll may show something new; False when it never will be."""
        return self._system.notify_on_change(notify)

    def _observe(self, run: Run, deadline: float) -> Progress:
        with reads_of_a_wait(deadline, self._clock):
            seen = self._responses.track(lambda: self._system.observe(run))
        self._key_works = True
        self._was_ours = self._was_ours or seen.is_ours
        self._readings.take(seen)
        return seen

    def _verdict_deadline(self) -> float:
        """When reads after the end must end; a single poll may take as long as any request."""
        limit = self._gate.verdict_timeout
        return self._clock.monotonic() + limit if limit else math.inf

    def _tolerate(self, error: TmError) -> float:
        """Return the least pause after a read that observed nothing; raise what is final."""
        pause = self._system.retry_pause(error)
        if pause is None:
            if not (error.is_refused_key and self._key_works):
                raise error
            self._key_works, pause = False, POLL_DEFAULT  # it may have been replaced just now
        self._responses.fail(error.message)
        return pause

    def interrupted(self, *, stop: bool) -> tuple[str, str | None]:
        """Return a sentence and a hint on what an interruption leaves; stop the run if asked."""
        if self._starting:
            text = "interrupted while the start was sent; it may have happened"
            return text, self._system.search_hint
        if self.run is None:
            return "interrupted; nothing was started", None
        breach = self._readings.breach
        why = f"; {breach.reason}" if breach else ""
        stops = (stop or breach) and not self._has_ended
        if (breach and breach.stopped) or (stops and self._stopped(self.run)):
            return f"interrupted{why}; {_name(self.run)} was stopped", None
        resume = f"wait for it again: {self.run.resume}" if self.run.resume else None
        if self._has_ended:
            return f"interrupted{why}; {_name(self.run)} has ended; its verdict is open", resume
        if overdue := self._responses.overdue:
            return f"interrupted{why}; {overdue}; nothing is known about {_name(self.run)}", resume
        return f"interrupted{why}; {_name(self.run)} is still running", resume

    def abandon(self) -> Decided:
        """Stop the run, because another one has failed the gate already."""
        if self.run is not None:
            self._stopped(self.run)
        message = "canceled: another run failed the gate (--fail-fast)"
        decision = Decision(ExitCode.UNDECIDED, message, code="abandoned", matched=True)
        return self.decided(decision, abandoned=True)

    def _stopped(self, run: Run) -> bool:
        """Stop the run, but only while the last evidence says that it is the active one."""
        return self._seen_active and self._stop_problem(run) is None

    def _stop_problem(self, run: Run) -> TmError | None:
        try:
            self._system.stop(run)
        except TmError as error:
            return error
        return None


def _is_final(result: Result | None) -> bool:
    return result is not None and result.final


def _name(run: Run) -> str:
    return f"run {run.run_id}" if run.run_id else "the run"
