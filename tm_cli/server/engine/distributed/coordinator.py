"""Coordinates the workers of a run: shares, lost workers, the end."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tm_cli.server.engine.distributed.aggregate import Aggregate, WholePlan, WorkerState
from tm_cli.server.workers.engine_events import (
    AddressCounts,
    EngineBucket,
    EngineEvent,
    EngineFailed,
    EngineFinished,
    EnginePaused,
    EngineProgress,
    EngineReady,
    EngineResumed,
    EngineStarted,
    EngineSteps,
    EngineWaiting,
    RunNote,
    ScriptCounts,
    TransferCounts,
)

READY_TIMEOUT = 10.0
"""Seconds in which a worker has to get ready."""
SILENCE_TIMEOUT = 3.0
"""Seconds without a message after which a worker counts as lost, if there are others."""
REBALANCE_LEAD = 1.0
"""Curve seconds that a change of shares is announced ahead."""
_REPORT_INTERVAL = 1.0


@dataclass(frozen=True, slots=True)
class WorkerCommand:
    """A command for one worker; `kill` is for its process, everything else for its engine."""

    worker: int
    command: str
    details: dict[str, object] = field(default_factory=dict)


class Coordinator:
    """Assigns shares to workers and follows their events. Nothing here waits: `now` is monotonic.

    The caller empties `commands`, which are for workers, and `events`, which are the run's. Workers
    get `extra_time` seconds to get ready in addition to the usual ones.
    """

    def __init__(
        self,
        names: Sequence[str],
        plan: WholePlan,
        *,
        request_timeout: float,
        now: float,
        extra_time: float = 0.0,
    ) -> None:
        self.commands: list[WorkerCommand] = []
        self.events: list[EngineEvent] = []
        self.is_over = False
        self._workers = [WorkerState(name, now) for name in names]
        self._plan = plan
        self._aggregate = Aggregate(self._workers, plan, request_timeout=request_timeout)
        self._ready_timeout = READY_TIMEOUT + extra_time
        self._began = now
        self._reported_at = self._ticked_at = now
        self._has_begun = False
        self._has_started = False
        self._is_paused = False
        self._has_note = False
        self._renewed: dict[str, str] = {}
        self._is_stopping = False
        self._last_reason = "there is none"

    def command(self, command: str, *, at: float = math.inf) -> None:
        """Pass `pause`, `resume`, `stop`, `abort` or `finish` on to all.

        `abort` is a stop that waits for no response. Before the start all are only remembered. `at`
        is the second at which a curve finishes.
        """
        if command == "finish":
            self._plan.finish(at)
            self._command_all(command, at=at)
            return
        if command in ("stop", "abort"):
            self._is_stopping = True
        else:
            self._is_paused = command == "pause"
        if self._has_begun:
            self._command_all(command)
        elif self._is_stopping:
            self._finish(0.0)

    def renew(self, values: Mapping[str, str]) -> None:
        """Pass other values of the job's tokens on to all, at the start if that is to come."""
        self._renewed = dict(values)
        if self._has_begun:
            self._command_all("renew", values=self._renewed)

    def connected(self, now: float) -> None:
        """All workers have their jobs, and may take their time to get ready from now on."""
        self._began = now

    def on_heartbeat(self, worker: int, now: float) -> None:
        if self._workers[worker].is_live:
            self._workers[worker].on_event(now)

    def on_event(self, worker: int, event: EngineEvent, now: float) -> None:
        """Take an event of a worker in; of a lost one only its results still count."""
        state = self._workers[worker]
        state.on_event(now)
        if isinstance(event, EngineBucket):
            self._aggregate.add(worker, event)
        elif isinstance(event, EngineSteps):
            self._aggregate.add_steps(worker, event)
        elif state.is_live and not self.is_over:
            self._on_text(state, event, now)
            self._on_state_event(worker, event, now)

    def on_worker_lost(self, worker: int, reason: str, now: float) -> None:
        """Give the share of a lost worker to the others."""
        state = self._workers[worker]
        if not state.is_live or self.is_over:
            return
        state.is_lost = True
        self._last_reason = reason
        self.commands.append(WorkerCommand(worker, "kill"))
        if not self._has_begun:
            self.events.append(RunNote(f"worker {state.name} did not take part: {reason}"))
            self._start_when_ready(now)
            return
        self.events.append(RunNote(self._rebalance(state, reason, now)))
        self._finish_if_done()

    def tick(self, now: float) -> None:
        """Detect silent workers and report progress; to be called several times a second."""
        if self.is_over:
            return
        self._ignore_own_stall(now)
        if not self._has_begun:
            self._start_when_ready(now)
            return
        for worker, state in enumerate(self._workers):
            others = any(other.is_live for other in self._workers if other is not state)
            silence = now - state.heard_at
            if state.is_live and others and silence > SILENCE_TIMEOUT:
                self.on_worker_lost(worker, f"no message for {silence:.1f} s", now)
        if now - self._reported_at >= _REPORT_INTERVAL and not self.is_over:
            self._reported_at = now
            self.events += self._aggregate.progress(now)

    def _on_state_event(self, worker: int, event: EngineEvent, now: float) -> None:
        state = self._workers[worker]
        match event:
            case EngineReady():
                state.is_ready = True
                self._start_when_ready(now)
            case EngineStarted():
                state.set_position(0.0, now, is_moving=not self._is_paused)
                if not self._has_started:
                    self._has_started = True
                    self.events.append(event)
            case EngineProgress():
                state.set_position(event.elapsed, now, is_moving=not self._is_paused)
                state.sent, state.now_flags = event.sent, event.flags
                self._aggregate.raise_flags(event.flags)
            case AddressCounts() | TransferCounts() | ScriptCounts():
                state.counts.take(event)
            case EnginePaused() | EngineResumed():
                state.set_position(event.elapsed, now, is_moving=isinstance(event, EngineResumed))
                self.events.append(event)
            case EngineFinished():
                self._on_finished(worker, event, now)
            case EngineFailed():
                self._on_failed(worker, event, now)

    def _on_text(self, state: WorkerState, event: EngineEvent, now: float) -> None:
        if isinstance(event, EngineWaiting):  # there are reasons to take longer than usual
            self._began = now
            self.events.append(event)
        elif isinstance(event, RunNote) and not self._has_note:  # the others would say the same
            self._has_note = True
            self.events.append(RunNote(f"worker {state.name}: {event.text}"))

    def _on_failed(self, worker: int, event: EngineFailed, now: float) -> None:
        if event.ends_run:
            self._fail(f"worker {self._workers[worker].name}: {event.message}")
        else:
            self.on_worker_lost(worker, event.message, now)

    def _on_finished(self, worker: int, event: EngineFinished, now: float) -> None:
        """A worker that ends before the curve does leaves a share behind."""
        state = self._workers[worker]
        state.finished, state.sent = event, event.sent
        self._aggregate.raise_flags(event.flags)
        if not (event.completed_curve or self._is_stopping):
            reason = "it ended before the curve did"
            self.events.append(RunNote(self._rebalance(state, reason, now)))
        self._finish_if_done()

    def _start_when_ready(self, now: float) -> None:
        """Start once all live workers are ready; those that are late are dropped."""
        waiting = [w for w, m in enumerate(self._workers) if m.is_live and not m.is_ready]
        if waiting and now - self._began < self._ready_timeout:
            return
        if waiting:  # losing one comes back here for the next
            reason = f"it was not ready within {self._ready_timeout:g} s"
            self.on_worker_lost(waiting[0], reason, now)
        elif any(state.is_live for state in self._workers):
            self._start(now)
        else:
            self._fail(f"no worker took part: {self._last_reason}")

    def _start(self, now: float) -> None:
        self._has_begun = True
        if any(state.is_lost for state in self._workers):
            self._assign_shares(0.0)
        if self._is_paused:
            self._command_all("pause")
        if self._renewed:
            self._command_all("renew", values=self._renewed)
        self._command_all("go")
        for state in self._workers:
            state.heard_at = now

    def _rebalance(self, lost: WorkerState, reason: str, now: float) -> str:
        """Give the share of a lost worker to the others; return the note that says so."""
        # those lost earlier have not heard of a pause since then
        known = [state for state in self._workers if state.is_live or state is lost]
        second = max(state.second(now) for state in known)
        start = round(second + REBALANCE_LEAD, 3)
        text = f"worker {lost.name} was lost at second {second:.1f} ({reason})"
        others = sum(state.is_live for state in self._workers)
        if not others or self._is_stopping or start >= self._plan.end:
            return f"{text}; no other worker took over the rest of its share"
        self._assign_shares(start)
        return f"{text}; its share moved to {_workers(others)} at second {start:.1f}"

    def _assign_shares(self, second: float) -> None:
        live = [worker for worker, state in enumerate(self._workers) if state.is_live]
        for index, worker in enumerate(live):
            details: dict[str, object] = {"index": index, "count": len(live), "from": second}
            self.commands.append(WorkerCommand(worker, "share", details))

    def _command_all(self, command: str, **details: object) -> None:
        live = [worker for worker, state in enumerate(self._workers) if state.is_live]
        self.commands += [WorkerCommand(worker, command, details) for worker in live]

    def _finish_if_done(self) -> None:
        if self.is_over or any(state.is_live for state in self._workers):
            return
        ends = [state.finished.elapsed for state in self._workers if state.finished]
        if ends:
            self._finish(max(ends))
        else:
            self._fail(f"all workers were lost, the last one: {self._last_reason}")

    def _finish(self, elapsed: float) -> None:
        self.events += self._aggregate.finished(elapsed)
        self.is_over = True

    def _fail(self, message: str) -> None:
        self.events += [*self._aggregate.changed_results(), EngineFailed(message)]
        self.is_over = True

    def _ignore_own_stall(self, now: float) -> None:
        """After a stall of this process, do not count the gap against the workers."""
        absence = now - self._ticked_at
        self._ticked_at = now
        if absence > _REPORT_INTERVAL:
            for state in self._workers:
                state.on_event(now)


def _workers(count: int) -> str:
    return f"{count} other" if count == 1 else f"{count} others"
