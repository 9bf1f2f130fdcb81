"""Starts, stops and follows runs, and stores how each ended."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from tm_cli.runtime.clock import Clock
from tm_cli.server.engine.job import EngineJob
from tm_cli.server.runs.live_run import EarlyStop, LiveRun, Look
from tm_cli.server.runs.progress import RunOutcome, ServerRun
from tm_cli.server.runs.results import Results, metrics, no_results, summarize_partial
from tm_cli.server.runs.steps import with_steps
from tm_cli.server.store.history import HistoryStore
from tm_cli.server.store.runs import RunStore
from tm_cli.server.web.bodies import Refusal
from tm_cli.server.workers.engine_events import Launch
from tm_cli.values.text import sanitize

STOP_GRACE = 12.0  # the engine drains for at most its request timeout, 10 s
REPLACE_GRACE = 1.0  # the new run waits for the old engine; what is still in flight is forgone
SHUTDOWN_GRACE = 1.2

logger = logging.getLogger(__name__)


def month_of(instant: datetime) -> datetime:
    """The beginning of the calendar month, in UTC."""
    return instant.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


@dataclass(slots=True)
class Supervisor:
    """At most one active run per profile; every run that ends gets its row.

    Limits that are 0 are none; `max_rps` is for the requests per second of all active runs, and
    `monthly_requests` ends a looping run after the iteration in which they are used up.
    """

    runs: RunStore
    history: HistoryStore
    clock: Clock
    launch: Launch
    judge: Callable[[int], None]
    concurrent_runs: int
    look: Look | None = None
    max_rps: int = 0
    monthly_requests: int = 0
    _closing: bool = field(default=False, init=False)
    _newest: dict[int, LiveRun] = field(default_factory=dict, init=False)
    _tasks: dict[asyncio.Task[None], LiveRun] = field(default_factory=dict, init=False)

    def find(self, profile_id: int) -> LiveRun | None:
        """The newest run of a profile, unless it was stopped; may be completed."""
        return self._newest.get(profile_id)

    @property
    def active(self) -> list[LiveRun]:
        return [live for live in self._newest.values() if live.is_active]

    @property
    def is_busy(self) -> bool:
        return bool(self._tasks)

    @property
    def used_requests(self) -> int:
        """Requests sent in this calendar month (UTC), those of active runs included."""
        live = sum(run.state.sent for run in self.active)
        return self.history.requests_since(month_of(self.clock.now())) + live

    def _end_if_used_up(self, live: LiveRun) -> None:
        """End a looping run between two iterations if no requests are left for the next one."""
        if 0 < self.monthly_requests <= self.used_requests:
            live.state.notes.append("stopped after an iteration: the month's requests are used up")
            live.end(RunOutcome.STOPPED, grace=STOP_GRACE)

    @property
    def busy_profiles(self) -> set[int]:
        """The profiles with a run that is active, or is being stored or judged."""
        return {live.run.profile_id for live in list(self._tasks.values())}

    def start(self, run: ServerRun, job: EngineJob) -> LiveRun:
        """Start a run, replacing the profile's active one; it is on disk when this returns.

        Raises `Refusal` when too many others are in progress.
        """
        self.require_room(run.profile_id)
        previous = self._newest.get(run.profile_id)
        looks = run.stops_early and self.look
        early = EarlyStop(run, job, looks) if looks else None
        live = LiveRun(run, job, self.runs, early, self._end_if_used_up)
        self._check_rate(live)
        self.runs.add(run)
        if previous:
            previous.end(RunOutcome.REPLACED, grace=REPLACE_GRACE)
        self._newest[run.profile_id] = live
        task = asyncio.create_task(self._follow(live, after=previous))
        self._tasks[task] = live
        task.add_done_callback(self._tasks.pop)
        return live

    def require_room(self, profile_id: int) -> None:
        """Raise `Refusal` unless a run of the profile may start now."""
        if self._closing:
            raise Refusal("The server is shutting down", status=503)
        others = sum(live.run.profile_id != profile_id for live in self.active)
        if 0 < self.concurrent_runs <= others:
            raise Refusal(f"Concurrent run limit reached ({self.concurrent_runs})")

    def rate_of_others(self, profile_id: int) -> float:
        """Requests per second that the active runs of other profiles send at most."""
        return sum(live.highest_rate for live in self.active if live.run.profile_id != profile_id)

    def _check_rate(self, live: LiveRun) -> None:
        """Refuse a run whose rate was left to it until another one has started."""
        if not self.max_rps:
            return
        total = live.highest_rate + self.rate_of_others(live.run.profile_id)
        if total > self.max_rps * (1 + 1e-9):
            raise Refusal("Another run has just started, and takes the rate; start this one again")

    def stop(self, profile_id: int) -> LiveRun | None:
        """End the active run, or forget the completed one; return what there was."""
        live = self._newest.pop(profile_id, None)
        if live:
            live.end(RunOutcome.STOPPED, grace=STOP_GRACE)
        return live

    async def shut_down(self) -> None:
        """Interrupt active runs; what cannot be stored in time is recovered at the next start."""
        self._closing = True
        for live in self._tasks.values():
            live.end(RunOutcome.INTERRUPTED, grace=SHUTDOWN_GRACE / 2)
            live.hang_up()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=SHUTDOWN_GRACE)
        for task, live in list(self._tasks.items()):
            live.kill()
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def recover(self) -> None:
        """Store the runs of a server that died, and judge what it had not judged."""
        for run in self.runs.unfinished():
            self._recover(run)
        for history_id in self.history.unjudged():
            self._judge(history_id)

    def _recover(self, run: ServerRun) -> None:
        """Store one run, without results if need be, so that the others are stored as well."""
        reasons = ["the server went away"]
        try:
            results, damage = self._read_results(run, run.curve_end)
            reasons += [damage] if damage else []
            self._write_row(run, RunOutcome.INTERRUPTED, results, reasons=reasons)
        except Exception:  # the disk is full, perhaps; the next start finds the run unfinished
            logger.exception("the end of run %s could not be written", run.run_id)

    def _read_results(
        self, run: ServerRun, curve_end: float, **facts: Any
    ) -> tuple[Results, str | None]:
        """Summarize the stored buckets of a run; also return the problem, if any."""
        try:
            results, damage = summarize_partial(
                self.runs.buckets(run.run_id), curve_end=curve_end, warmup=run.warmup, **facts
            )
            return with_steps(results, self.runs.steps(run.run_id)), damage
        except sqlite3.Error:  # the file may be readable later
            raise
        except Exception as error:
            logger.exception("the measurements of run %s cannot be read", run.run_id)
            return no_results(), f"its measurements cannot be read: {sanitize(error)}"

    async def _follow(self, live: LiveRun, *, after: LiveRun | None) -> None:
        """Follow a run from start to verdict, and do what it wants done then.

        `after` is the run that it replaces.
        """
        if after:
            await after.over.wait()
        try:
            outcome = await live.run_engine(self.launch)
        except Exception:  # a bug; the run must get its row all the same
            logger.exception("run %s broke", live.run.run_id)
            live.state.failure = "the server failed to follow the load generator"
            outcome = RunOutcome.ABORTED
        history_id, results = None, no_results()
        try:
            outcome, history_id, results = await self._write_down(live, outcome)
        except Exception:  # the disk is full, perhaps; the next start finds the run unfinished
            logger.exception("the end of run %s could not be written", live.run.run_id)
            live.conclude(RunOutcome.ABORTED)
        finally:
            live.over.set()
        if history_id is not None and outcome is RunOutcome.COMPLETED:
            await asyncio.sleep(0)  # the row is visible before its verdict, as in the reference
            await asyncio.to_thread(self._judge, history_id)
        await self._finish(live.run, history_id, results)

    async def _finish(self, run: ServerRun, history_id: int | None, results: Results) -> None:
        """Do what a run wants done at its end; its row and its verdict are there by now."""
        if run.at_end is None:
            return
        try:
            await run.at_end(history_id, metrics(results))
        except Exception:  # a bug; the run itself is over
            logger.exception("what run %s wanted done at its end has failed", run.run_id)

    async def _write_down(
        self, live: LiveRun, outcome: RunOutcome
    ) -> tuple[RunOutcome, int, Results]:
        """Store the row first, then change the status: no client sees the end without the row.

        A completed run whose results are incomplete counts as aborted: it must not be judged.
        """
        state = live.state
        results, complaint = await asyncio.to_thread(
            self._read_results,
            live.run,
            state.curve_end,
            finished=state.finished,
            elapsed=state.elapsed,
            flags=state.flags,
        )
        complaint = complaint or live.complaint
        if complaint and outcome is RunOutcome.COMPLETED:
            outcome, state.failure = RunOutcome.ABORTED, complaint
        results = replace(results.with_counts(state.counts), script=state.counts.script)
        reasons = [state.failure] if state.failure else []
        history_id = self._write_row(live.run, outcome, results, reasons=reasons, notes=state.notes)
        live.conclude(outcome)
        return outcome, history_id, results

    def _write_row(
        self,
        run: ServerRun,
        outcome: RunOutcome,
        results: Results,
        *,
        reasons: Sequence[str],
        notes: Sequence[str] = (),
    ) -> int:
        return self.history.add(
            run.run_id,
            outcome,
            results,
            finished_at=self.clock.now(),
            reasons=reasons,
            notes=notes,
        )

    def _judge(self, history_id: int) -> None:
        try:
            self.judge(history_id)
        except Exception:  # without a verdict the gate stays undecided, which is the safe side
            logger.exception("the run in row %d could not be judged", history_id)
