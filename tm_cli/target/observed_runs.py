"""Runs of a backend whose target is on this machine: its service must run, and it is recorded."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from tm_cli.errors import TargetUntestable, TmError
from tm_cli.gate.backend import Backend
from tm_cli.gate.model import Missing, Phase, Progress, Result, Run
from tm_cli.gate.target_metrics import RESTARTS
from tm_cli.target.recording import Recording
from tm_cli.target.service import Service
from tm_cli.values.durations import format_duration

_GOES_ON = (Phase.ACTIVE, Phase.PAUSED)
RECORD_WAIT = 5.0
"""Seconds to wait for the record of a run whose service has ended."""


class ObservedRuns(Backend):
    """Adds what was recorded to results; a run whose service has ended is stopped, and undecided.

    Times are those of the recording, whose clock is the system's.
    """

    def __init__(self, runs: Backend, recording: Recording, service: Service | None) -> None:
        self._runs, self._recording, self._service = runs, recording, service
        self.search_hint = runs.search_hint
        self._reset()

    def _reset(self) -> None:
        self._began: float | None = None
        self._zero: float | None = None
        self._ended: float | None = None
        self._seen = Progress(Phase.ACTIVE, "")
        self._active: Run | None = None
        self._crash: TargetUntestable | None = None

    def prepare(self) -> None:
        self._runs.prepare()

    def start(self) -> Run:
        """Start a run, but not against a service that has ended."""
        self._reset()
        if self._service is not None and self._service.has_ended:
            raise self._service.ended("before the run was started")
        run = self._runs.start()
        self._began, self._active = time.monotonic(), run
        return run

    def notify_on_change(self, notify: Callable[[], None]) -> bool:
        if self._service is not None:
            self._service.notify_on_end(notify)
        return self._runs.notify_on_change(notify) or self._service is not None

    def observe(self, run: Run) -> Progress:
        progress = self._runs.observe(run)
        if progress.phase in _GOES_ON:
            self._note(progress)
            if self._service is not None and self._service.has_ended:
                return self._stop_untested(run, progress)
        else:
            self._finish()
        return progress

    def _note(self, progress: Progress) -> None:
        self._seen = progress
        if progress.elapsed:
            self._zero = time.monotonic() - progress.elapsed

    def _finish(self) -> None:
        """Note the end of the run; a service that has ended before makes it worthless."""
        self._active = None
        if self._ended is None:
            self._ended = time.monotonic()
            if self._service is not None and self._service.has_ended:
                self._crash = self._service.ended(self._moment())

    def _stop_untested(self, run: Run, progress: Progress) -> Progress:
        """Stop a run that would measure only that there is no service any more."""
        self._finish()
        with suppress(TmError):
            self._runs.stop(run)
        return replace(progress, phase=Phase.ENDED, status="stopped")

    def _moment(self) -> str:
        if not (self._seen.requests or self._seen.elapsed):
            return "before any load was sent"
        if self._zero is None or self._service is None:
            return "during the run"
        at = (self._service.ended_at or time.monotonic()) - self._zero
        return f"{format_duration(max(round(at, 1), 0.0))} into the run, under its load"

    def find_result(self, run: Run) -> Result | Missing:
        """Search the record; without the service it can have no verdict."""
        self._finish()
        found = self._runs.find_result(run)
        if self._crash is None:
            return found if isinstance(found, Missing) else self._with_metrics(found)
        if isinstance(found, Missing):
            if time.monotonic() - (self._ended or 0.0) > RECORD_WAIT:
                raise self._crash
            return found
        return self._without_verdict(found, self._crash)

    def _without_verdict(self, result: Result, crash: TargetUntestable) -> Result:
        without = replace(result, verdict=None, verdict_text=None, final=True, note=crash.message)
        found = self._with_metrics(without)
        metrics = {name: each for name, each in found.target_metrics.items() if name != RESTARTS}
        return replace(found, target_metrics=metrics)  # no sample shows that it has ended

    def confirm(self, run: Run, result: Result) -> Result:
        if self._crash is not None:
            raise self._crash
        return self._with_metrics(self._runs.confirm(run, result))

    def with_measurements(self, run: Run, result: Result) -> Result:
        return self._with_metrics(self._runs.with_measurements(run, result))

    def find_baseline(self, result: Result) -> Result | None:
        return self._runs.find_baseline(result)

    def stop(self, run: Run) -> None:
        self._runs.stop(run)
        self._active = None

    def retry_pause(self, error: TmError) -> float | None:
        return None if isinstance(error, TargetUntestable) else self._runs.retry_pause(error)

    def stop_if_active(self) -> Run | None:
        """Stop the run if it was under way when it was last seen; return the one that was."""
        run, is_ours = self._active, self._seen.is_ours or not self._seen.status
        if run is None or not is_ours:
            return None
        with suppress(TmError):
            self.stop(run)
            return run
        return None

    def _with_metrics(self, result: Result) -> Result:
        begin, end = self._judged_time()
        found = self._recording.during(begin, end, zero=self._zero)
        problems = tuple(
            f"{name}: not all readings succeeded, the last problem: {problem}"
            for name, problem in sorted(self._recording.problems.items())
        )
        notes = tuple(note for note in problems if note not in result.notes)
        return replace(result, target_metrics=found, notes=(*result.notes, *notes))

    def _judged_time(self) -> tuple[float, float]:
        """Return when the load began, without its warm-up, and when it ended."""
        end = self._ended or time.monotonic()
        begin = self._began if self._began is not None else end
        if self._zero is None:
            return begin, end
        if self._seen.duration:
            end = min(end, self._zero + self._seen.duration)
        return min(max(begin, self._zero + self._seen.warmup), end), end
