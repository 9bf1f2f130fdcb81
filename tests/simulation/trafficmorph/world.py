"""The truth that tm is judged by: one profile, its runs, their rows and verdicts.

Nothing of tm is imported here. Time comes in as a function that returns seconds; the world catches
up with it whenever somebody looks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

PROFILE = 42
OTHER_PROFILE = 43
VERDICTS = ("PASS", "WARN", "FAIL", "NO_BASELINE")
NEVER = float("inf")
DESTRUCTIVE = frozenset(
    {"other-start", "restart", "purge", "delete-row", "stop", "recompute", "duplicate"}
)
"""Blows that can keep the true verdict from being found."""


@dataclass(frozen=True, slots=True)
class Truth:
    """How the world behaves by itself; times in seconds.

    `verdict` is what it will say of the run that tm starts; None means that it never judges.
    The lags say how far the replicas behind status and history list are behind. `slow_from` is the
    second of each run from which on its p95 is 3 s; None means that no run has live data.
    """

    system: ClassVar[str] = "trafficmorph"
    verdict: str | None = "PASS"
    duration: float = 20.0
    row_delay: float = 0.3
    verdict_delay: float = 1.0
    earlier: int = 2
    earlier_verdict: str = "PASS"
    others_verdict: str = "PASS"
    status_lag: float = 0.0
    history_lag: float = 0.0
    has_status: bool = True
    names_rows: bool = True
    keeps_replaced: bool = False
    keeps_stopped: bool = False
    judges_stopped: bool = False
    tags: tuple[str, ...] = ()
    others_tags: tuple[str, ...] = ()
    slow_from: float | None = None


@dataclass(slots=True)
class Run:
    """A run; `ended` is None while it goes on."""

    run_id: str
    ours: bool
    began: float
    duration: float
    verdict: str | None
    tags: tuple[str, ...] = ()
    paused_at: float | None = None
    paused_for: float = 0.0
    ended: float | None = None

    @property
    def due(self) -> float:
        return self.began + self.duration + self.paused_for

    def played(self, now: float) -> float:
        until = min(now, self.paused_at if self.paused_at is not None else now, self.due)
        return max(until - self.began - self.paused_for, 0.0)


@dataclass(slots=True)
class Row:
    """A history row; `verdicts` are (since, verdict), oldest first."""

    number: int
    run: Run
    created: float
    verdicts: list[tuple[float, str | None]]
    outcome: str | None = None
    profile: int = PROFILE
    trigger: str = "api"

    def verdict(self, at: float) -> str | None:
        said = None
        for since, verdict in self.verdicts:
            if since <= at:
                said = verdict
        return said


@dataclass(slots=True)
class World:
    """Everything that is so, whatever anybody was told."""

    truth: Truth
    now: Callable[[], float]
    runs: list[Run] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    active: Run | None = None
    before_start: Run | None = None
    _unwritten: list[tuple[float, Run, str | None]] = field(default_factory=list)
    _numbers: int = 100

    def __post_init__(self) -> None:
        for index in range(self.truth.earlier):
            began = -3600.0 * (self.truth.earlier - index)
            run = Run(f"earlier-{index}", False, began, 60.0, self.truth.earlier_verdict)
            run.ended = run.due
            self.runs.append(run)
            self._write(run, run.due)
            self.active = run
        foreign = Run("of-another-profile", False, -60.0, 30.0, "PASS")
        self._write(foreign, -20.0).profile = OTHER_PROFILE
        scheduled = Run("scheduled", False, -50.0, 30.0, "PASS")
        self._write(scheduled, -10.0).trigger = "scheduled"

    # What clients do.

    def start(self, *, ours: bool, tags: tuple[str, ...] | None = None) -> Run:
        """Start a run; it replaces the one that goes on."""
        self.settle()
        now = self.now()
        if ours and not self.started_by_us:
            self.before_start = self.active
        self._cut_off("replaced", keep=self.truth.keeps_replaced)
        verdict = self.truth.verdict if ours else self.truth.others_verdict
        kind = "ours" if ours else "other"
        if tags is None:
            tags = self.truth.tags if ours else self.truth.others_tags
        run = Run(f"{kind}-{len(self.runs)}", ours, now, self.truth.duration, verdict, tags)
        self.runs.append(run)
        self.active = run
        return run

    def stop(self) -> None:
        self.settle()
        self._cut_off("STOPPED", keep=self.truth.keeps_stopped)
        self.active = None

    def pause(self) -> None:
        self.settle()
        if self.active and self.active.ended is None and self.active.paused_at is None:
            self.active.paused_at = self.now()

    def resume(self) -> None:
        self.settle()
        if self.active and self.active.paused_at is not None:
            self.active.paused_for += self.now() - self.active.paused_at
            self.active.paused_at = None

    # What happens to a service.

    def restart(self) -> None:
        """Forget what is in memory: the active run, unwritten rows, verdicts not yet given."""
        self.settle()
        now = self.now()
        if self.active and self.active.ended is None:
            self.active.ended = now
        self.active = None
        self._unwritten.clear()
        for row in self.rows:
            row.verdicts = [said for said in row.verdicts if said[0] <= now]

    def insert_rows(self, count: int) -> None:
        """Others' runs end, all at once, with a verdict."""
        self.settle()
        now = self.now()
        for _ in range(count):
            run = Run(f"inserted-{self._numbers}", False, now - 1.0, 1.0, self.truth.others_verdict)
            run.ended = now
            self._write(run, now, verdict_at=now)

    def delete_ours(self) -> None:
        self.settle()
        self.rows = [row for row in self.rows if not row.run.ours]

    def purge(self) -> None:
        self.settle()
        self.rows.clear()

    def recompute(self, verdict: str) -> None:
        """Judge our run again, if it has been judged."""
        self.settle()
        for row in self.rows:
            if row.run.ours and row.verdict(self.now()) is not None:
                row.verdicts.append((self.now(), verdict))

    def duplicate(self, verdict: str) -> None:
        """Write a second row of our run."""
        self.settle()
        for row in [row for row in self.rows if row.run.ours][:1]:
            self._numbers += 1
            now = self.now()
            self.rows.append(Row(self._numbers, row.run, now, [(now, verdict)]))

    def blows(self) -> Mapping[str, Callable[[Any], Callable[[], None] | None]]:
        """What can befall the service, by name; a pause returns what ends it."""
        return {
            "other-start": lambda _: _done(self.start(ours=False)),
            "restart": lambda _: self.restart(),
            "purge": lambda _: self.purge(),
            "delete-row": lambda _: self.delete_ours(),
            "stop": lambda _: self.stop(),
            "recompute": lambda verdict: self.recompute(str(verdict)),
            "duplicate": lambda verdict: self.duplicate(str(verdict)),
            "insert-rows": lambda count: self.insert_rows(int(count)),
            "pause": lambda _: self.pause() or self.resume,
        }

    # What is so.

    @property
    def started_by_us(self) -> list[Run]:
        return [run for run in self.runs if run.ours]

    def our_rows(self) -> list[Row]:
        return [row for row in self.rows if row.run.ours and row.profile == PROFILE]

    def our_verdicts(self, at: float) -> set[str | None]:
        """What the rows of our run say at a time; empty without a row."""
        return {None if row.outcome else row.verdict(at) for row in self.our_rows()}

    def visible_rows(self, lag: float) -> list[Row]:
        """The rows, newest first, as a replica that is `lag` seconds behind shows them."""
        self.settle()
        at = self.now() - lag
        shown = [row for row in self.rows if row.created <= at]
        return sorted(shown, key=lambda row: (row.created, row.number), reverse=True)

    def settle(self) -> None:
        """Catch up with the time."""
        now = self.now()
        run = self.active
        if run and run.ended is None and run.paused_at is None and run.due <= now:
            run.ended = run.due
            self._unwritten.append((run.due + self.truth.row_delay, run, None))
        ready = sorted((item for item in self._unwritten if item[0] <= now), key=lambda i: i[0])
        for created, ended, outcome in ready:
            self._write(ended, created, outcome=outcome)
        self._unwritten = [item for item in self._unwritten if item[0] > now]

    def _cut_off(self, outcome: str, *, keep: bool) -> None:
        run = self.active
        if run is None or run.ended is not None:
            return
        run.ended = self.now()
        if keep:
            self._unwritten.append((run.ended + self.truth.row_delay, run, outcome.upper()))

    def _write(
        self,
        run: Run,
        created: float,
        *,
        outcome: str | None = None,
        verdict_at: float | None = None,
    ) -> Row:
        self._numbers += 1
        since = created + self.truth.verdict_delay if verdict_at is None else verdict_at
        judged = run.verdict is not None and (not outcome or self.truth.judges_stopped)
        verdicts = [(since, run.verdict)] if judged else []
        row = Row(self._numbers, run, created, list(verdicts), outcome)
        self.rows.append(row)
        return row


def _done(_result: object) -> None:
    """What a blow returns that does not pass."""
