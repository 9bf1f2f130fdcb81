"""A run that is active, or that has just completed."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from tm_cli.server.engine.job import EngineJob
from tm_cli.server.engine.schedule import BUCKET_SECONDS
from tm_cli.server.judge.sequential import Interim, Known, SequentialTest, interim
from tm_cli.server.runs.progress import RunOutcome, RunState, ServerRun
from tm_cli.server.runs.results import buckets_per_block
from tm_cli.server.runs.steps import LiveSteps
from tm_cli.server.store.runs import RunStore
from tm_cli.server.workers.engine_events import (
    EngineBucket,
    EngineEvent,
    EngineFailed,
    EngineProgress,
    EngineStarted,
    EngineSteps,
    EngineWaiting,
    Launch,
    RunningEngine,
    RunNote,
    ScriptCounts,
    TransferCounts,
)

PATIENCE = 60.0
"""Seconds without an event after which an engine, which reports every second, counts as hung."""


Look = Callable[[ServerRun, RunState, SequentialTest, Interim, int], Known | None]
"""Judges the first buckets of a run, as many as the last argument says."""

_LEAD = 1.0
"""Seconds ahead at which a curve finishes, so that all workers hear of it in time."""

_STEPS_INTERVAL = 30.0
"""Seconds of the curve after which the open block of each step is stored again."""

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class EarlyStop:
    """Looks at a run whenever a block of its curve is complete."""

    run: ServerRun
    job: EngineJob
    look: Look
    _test: SequentialTest = field(default_factory=SequentialTest)
    _seen: int = 0

    def verdict(self, state: RunState, settled: int) -> Known | None:
        """The verdict if it is known and there is a new block to know it by.

        `settled`: how many buckets from the first one on are complete, and stored.
        """
        warmup = int(self.run.warmup / BUCKET_SECONDS)
        total = math.ceil(self.run.duration / BUCKET_SECONDS) - warmup
        size = buckets_per_block(total)
        blocks = (settled - warmup) // size
        if blocks <= self._seen:
            return None
        self._seen = blocks
        buckets = warmup + blocks * size
        seen = interim(
            self.job.plan.curve,
            self.run.warmup,
            buckets * BUCKET_SECONDS,
            blocks=blocks,
            total=math.ceil(total / size),
        )
        if not seen.permits:
            return None
        return self.look(self.run, state, self._test, seen, buckets)


class LiveRun:
    """Follows one run's engine and stores its results as they come."""

    def __init__(
        self,
        run: ServerRun,
        job: EngineJob,
        store: RunStore,
        early: EarlyStop | None = None,
        on_iteration: Callable[[LiveRun], None] | None = None,
    ) -> None:
        """`on_iteration` is called when a looping run begins its curve again."""
        self.run = run
        self.state = RunState(run.duration, run.curve_end)
        self.state.notes += run.notes
        self.steps = LiveSteps(run)
        self.ending: RunOutcome | None = None
        self.completed = False
        self.paused = False
        self.over = asyncio.Event()
        """Set once the row is in the history."""
        self._job = job
        self._store = store
        self._engine: RunningEngine | None = None
        self._grace = 0.0
        self._settled = 0
        self._steps_due = _STEPS_INTERVAL
        self._early = early
        self._on_iteration = on_iteration
        self._iteration = 0
        self._looking: asyncio.Task[None] | None = None
        self._protocol = ""
        self._pending: dict[tuple[int, int], EngineBucket] = {}

    @property
    def is_active(self) -> bool:
        return self.ending is None and not self.completed

    @property
    def highest_rate(self) -> float:
        """Requests per second that the run sends at most."""
        return self._job.curve.highest_rate * self._job.requests_per_arrival

    @property
    def status(self) -> str:
        if self.completed:
            return "COMPLETED"
        if not self.is_active:
            return "IDLE"
        return "PAUSED" if self.paused else "RUNNING"

    def pause(self) -> None:
        self._command("pause", paused=True)

    def resume(self) -> None:
        self._command("resume", paused=False)

    def renew(self, values: Mapping[str, str]) -> bool:
        """Send later requests with other values; False if one of them is not renewable."""
        tokens = {f"={name}": value for name, value in values.items()}
        if not tokens.keys() <= self._job.tokens.keys():
            return False
        self._job.tokens.update(tokens)
        self._job.values.update(values)
        if self._engine:
            self._engine.send("renew", values=tokens)
        return True

    def _command(self, name: str, *, paused: bool) -> None:
        self.paused = paused  # the response to the client must not wait for the engine
        if self._engine:
            self._engine.send(name)

    def end(self, outcome: RunOutcome, *, grace: float) -> None:
        """End the run with `outcome`; an engine that takes longer than `grace` seconds is killed.

        The first ending stands, and its results are written when the engine is gone.
        """
        if not self.is_active:
            return
        self.ending = outcome
        self._grace = grace
        self._halt()

    def _halt(self) -> None:
        if self._engine:
            self._engine.send("stop")
            asyncio.get_running_loop().call_later(self._grace, self._engine.kill)

    def hang_up(self) -> None:
        """Have the engine stop at once, without waiting for requests in flight."""
        if self._engine:
            self._engine.hang_up()

    def kill(self) -> None:
        if self._engine:
            self._engine.kill()

    def conclude(self, outcome: RunOutcome) -> None:
        if outcome is RunOutcome.COMPLETED:
            self.completed = True
        else:
            self.ending = outcome

    async def run_engine(self, launch: Launch) -> RunOutcome:
        if self.ending:
            return self.ending
        try:
            self._engine = await launch(self.run.region, self._job)
        except OSError as error:
            self.state.failure = f"the load generator could not be started: {error}"
            return RunOutcome.ABORTED
        try:
            self._catch_up()
            await self._listen(self._engine)
        finally:
            code = await self._engine.close()
        return self._outcome(code)

    def _catch_up(self) -> None:
        """Send the commands that came while the engine was being started."""
        if self.paused:
            self.pause()
        if self._engine and self._job.tokens:
            self._engine.send("renew", values=self._job.tokens)
        if self.ending:
            self._halt()

    async def _listen(self, engine: RunningEngine) -> None:
        try:
            async for event in engine.events(patience=PATIENCE):
                self._take(self._without_values(event))
        except (ValueError, TimeoutError) as error:
            self.state.failure = self._job.hide(
                str(error) or f"the load generator has not reported for {PATIENCE:g} s"
            )
            engine.kill()
        finally:
            self._flush(is_over=True)
            if self._looking:
                await asyncio.wait([self._looking])

    def _without_values(self, event: EngineEvent) -> EngineEvent:
        """The event without the values of placeholders, which are in no report."""
        match event:
            case EngineWaiting():
                return replace(event, reason=self._job.hide(event.reason))
            case EngineFailed():
                return replace(event, message=self._job.hide(event.message))
            case RunNote():
                return replace(event, text=self._job.hide(event.text))
            case ScriptCounts() if self._job.values:
                console = tuple(map(self._job.hide, event.console))
                return replace(event, messages=self._hidden(event.messages), console=console)
            case EngineBucket() if self._job.values:
                return replace(event, failures=self._hidden(event.failures))
            case EngineSteps() if self._job.values:
                steps = {
                    self._job.hide(name): replace(step, failures=self._hidden(step.failures))
                    for name, step in event.steps.items()
                }
                return replace(event, steps=steps)
        return event

    def _hidden(self, failures: Mapping[str, int]) -> dict[str, int]:
        counts: Counter[str] = Counter()
        for name, count in failures.items():
            counts[self._job.hide(name)] += count
        return dict(counts)

    def _take(self, event: EngineEvent) -> None:
        self.state.apply(event)
        match event:
            case EngineSteps():
                self.steps.take(event)
            case EngineBucket():
                self._pending[event.index, event.side] = event
            case EngineStarted():
                self._store.set_start(self.run.run_id, event.at)
            case TransferCounts() if event.protocol != self._protocol:
                self._protocol = event.protocol
                self._store.set_protocol(self.run.run_id, event.protocol)
            case _:
                self._flush()
        if isinstance(event, EngineProgress) and self.run.loop:
            self._count_iterations(event.elapsed)
        if isinstance(event, EngineProgress) and self._early and not self._looking:
            self._looking = asyncio.create_task(self._look(self._early, self._settled))

    def _count_iterations(self, elapsed: float) -> None:
        iteration = int(elapsed // self.run.duration)
        if iteration > self._iteration and self._on_iteration:
            self._on_iteration(self)
        self._iteration = iteration

    async def _look(self, early: EarlyStop, settled: int) -> None:
        """End the curve soon if the verdict is known; a look that fails leaves the run alone."""
        try:
            known = await asyncio.to_thread(early.verdict, self.state, settled)
        except Exception:
            logger.exception("run %s is not stopped early", self.run.run_id)
            return  # and does not look again
        self._looking = None
        end = math.ceil(self.state.elapsed + _LEAD)
        if known and self._engine and self.is_active and end < self.run.duration:
            self._early = None
            self.state.finish(float(end))
            self._engine.send("finish", at=float(end))

    def _flush(self, *, is_over: bool = False) -> None:
        if self._pending:
            self._store.save_buckets(self.run.run_id, self._pending.values())
            self._pending.clear()
        self._settled = self.state.settle(patience=2 * self._job.arrival_timeout + 1)
        self.steps.close_before(self._settled)
        if is_over:
            self.steps.close()
        with_open = is_over or self.state.elapsed >= self._steps_due
        if blocks := list(self.steps.changed(with_open=with_open)):
            self._store.save_steps(self.run.run_id, blocks)
        if with_open:
            self._steps_due = self.state.elapsed + _STEPS_INTERVAL

    @property
    def complaint(self) -> str | None:
        """Why the steps are not those that were played."""
        finished = self.state.finished
        if self.steps.late:
            return "results of steps came too late to be counted"
        if finished and finished.steps != self.steps.completed:
            counted = finished.steps
            return f"the load generator counted {counted} steps, it told of {self.steps.completed}"
        return None

    def _outcome(self, exit_code: int) -> RunOutcome:
        if self.ending:
            return self.ending
        finished = self.state.finished
        if self.state.failure is None and finished and finished.completed_curve:
            return RunOutcome.COMPLETED
        if self.state.failure is None:
            error_text = self._job.hide(self._engine.last_error or "") if self._engine else None
            ending = f"the load generator ended too early with exit code {exit_code}"
            self.state.failure = f"{ending}: {error_text}" if error_text else ending
        return RunOutcome.ABORTED
