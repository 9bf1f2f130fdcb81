"""The truth of a Strait server: the small server of tests/strait, and what its runs were when.

Time comes in as seconds. Nothing of tm is imported here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, ClassVar

from tests.services.strait import world as strait_world
from tests.services.strait.world import TERMINAL, Course, Illegal, Run
from tests.simulation.clock import EPOCH

USER_KEY = "release-7"
PAYLOAD: dict[str, Any] = {}
RESULT = {"ok": True, "score": 0.95}
EARLIER_ID = "0192f0a4-7c1d-7e55-b1a6-000000000003"
"""The id of a run of the same job that passed an hour ago."""

DESTRUCTIVE = frozenset(
    {"cancel", "restart", "revive", "delete", "go-back", "merge", "reset-key", "replay", "pause"}
)
"""Blows that can keep the verdict from being found, or change it."""

MESSAGES = {
    "say-completed": '{"type":"status_change","run_id":"%s","from":"executing","to":"completed"}',
    "say-failed": '{"type":"status_change","run_id":"%s","from":"executing","to":"failed"}',
    "say-garbage": '{"type":"event","message":"\\x1b[0m %s',
    "say-status": '{"run_id":"%s","status":"completed"}',
    "say-event": '{"type":"event","run_id":"%s","message":"status completed"}',
}
"""What a stream can say at any time, whether it is so or not."""

Hear = Callable[[str | None], None]
"""Takes the data of a message; None when the stream was opened or cut."""


@dataclass(frozen=True, slots=True)
class Truth:
    """How the server and the job behave by themselves; times in seconds.

    `attempts` is how each attempt of our run ends; with `holds` it stays in that status, and with
    `odd_ending` it comes to one that nobody knows. `under_key` is how an earlier run under the
    user's key ended. The lags say how far reads by id and lists are behind, `cache` how long a
    dead letter that was revived still shows dead. The server's clock is ahead by `skew`.
    Our job continues itself in as many later runs as `continues` has endings.
    """

    system: ClassVar[str] = "strait"
    attempts: tuple[str, ...] = ("completed",)
    queued: float = 1.0
    executing: float = 5.0
    retry: float = 2.0
    holds: str | None = None
    odd_ending: str | None = None
    result: Any = None
    under_key: str | None = None
    merges: bool = False
    limited: bool = False
    run_lag: float = 0.0
    list_lag: float = 0.0
    cache: float = 0.0
    skew: float = 0.0
    announces: bool = True
    continues: tuple[str, ...] = ()


class World(strait_world.World):
    """The server, with the history of every run."""

    def __init__(self, truth: Truth, now: Callable[[], float]) -> None:
        self.truth = truth
        self.elapsed = now
        self.versions: dict[str, list[tuple[float, dict[str, Any]]]] = {}
        self.ours: list[str] = []
        self.waited: set[str] = set()
        self.deleted: set[str] = set()
        self._listeners: dict[str, list[Hear]] = {}
        super().__init__(
            lambda: EPOCH + timedelta(seconds=now() + truth.skew),
            publish=self._publish,
            cache_lag=truth.cache,
        )
        good = Course(queued=0.5, executing=1.0)
        job = self.add_job("export", good, **{"dedup_window_secs": 7200} if truth.merges else {})
        self.job_id: str = job["id"]
        self.add_job("another", good)
        self._earlier("completed", payload=PAYLOAD)
        if truth.under_key is not None:
            self._earlier(truth.under_key, idempotency_key=USER_KEY, payload={"of": "yesterday"})
        self.courses[self.job_id] = Course(
            truth.queued,
            truth.executing,
            truth.retry,
            truth.attempts,
            RESULT if truth.result is None else truth.result,
            holds=truth.holds,
            continues=self._continued(truth.continues),
        )

    def _continued(self, endings: tuple[str, ...]) -> Course | None:
        if not endings:
            return None
        course = Course(1.0, self.truth.executing, attempts=endings[:1], result=RESULT)
        return replace(course, continues=self._continued(endings[1:]))

    def _earlier(self, status: str, **more: Any) -> None:
        """A run from an hour ago, which has ended unless its status is none of an end."""
        run = self.make_run(self.job_id, **more)
        created = self.text(self.now() - timedelta(hours=1))
        run.document.update(status=status, created_at=created, result=RESULT)
        run.due = None
        if status in TERMINAL:
            run.document["finished_at"] = self.text(self.now() - timedelta(minutes=50))
        else:
            run.due = self.now() + timedelta(seconds=4.0)
        self._record(run, -3600.0)

    # What clients do.

    def waited_for(self) -> str:
        """Make the run that tm waits for without having started it; return its id."""
        run = self.make_run(self.job_id)
        self.ours.append(run.id)
        self.waited.add(run.id)
        return run.id

    def listen(self, run_id: str, hear: Hear) -> None:
        """Hear the stream of a run from now on."""
        self._listeners.setdefault(run_id, []).append(hear)
        hear(None)

    # What happens.

    def make_run(self, job_id: str, *, triggered_by: str = "manual", **more: Any) -> Run:
        run = super().make_run(job_id, triggered_by=triggered_by, **more)
        self._record(run, self.elapsed())
        return run

    def move(self, run: Run, to: str, *, announced: bool = False, **changes: Any) -> None:
        at = self._expired_at(run) if to == "expired" else self._moment(run)
        super().move(run, to, announced=announced, **changes)
        self._record(run, at)

    def continue_run(self, run: Run, course: Course, at: Any) -> Run:
        moment = self._moment(run)
        made = super().continue_run(run, course, at)
        self.versions[made.id] = [(moment, dict(made.document))]
        return made

    def continued(self, run_id: str) -> list[str]:
        """The runs that continue one, directly or through others."""
        found = [run_id]
        for known in found:
            found += [
                run.id for run in self.runs.values() if run.document.get("continuation_of") == known
            ]
        return found[1:]

    def _moment(self, run: Run) -> float:
        """When the move happens that is due, or made by somebody just now."""
        now = self.now()
        due = now if run.due is None or run.due > now else run.due
        return self.elapsed() - (now - due).total_seconds()

    def _expired_at(self, run: Run) -> float:
        return self.elapsed() - (self.now() - self._expiry(run)).total_seconds()

    def _end_attempt(self, run: Run, at: Any) -> None:
        if self.truth.odd_ending is not None and run.id in self.ours:
            moment = self._moment(run)
            run.document.update(status=self.truth.odd_ending)
            run.due = None
            self._record(run, moment)
        else:
            super()._end_attempt(run, at)

    def _record(self, run: Run, at: float) -> None:
        self.versions.setdefault(run.id, []).append((at, dict(run.document)))

    def _publish(self, run_id: str, _channel: str, data: str) -> None:
        if self.truth.announces:
            self._tell(run_id, data)

    def _tell(self, run_id: str, data: str | None) -> None:
        for hear in self._listeners.get(run_id, ()):
            hear(data)

    # What befalls it.

    def blows(self) -> Mapping[str, Callable[[Any], Callable[[], None] | None]]:
        found: dict[str, Callable[[Any], Callable[[], None] | None]] = {
            "cancel": self._to_ours(self.cancel),
            "restart": self._to_ours(self._restart),
            "delete": self._to_ours(lambda run: self.deleted.add(run.id)),
            "reset-key": self._to_ours(self._reset_key),
            "replay": self._to_ours(self._replay),
            "revive": lambda ending: self._to_ours(lambda run: self._revive(run, ending))(0),
            "go-back": lambda ending: self._to_ours(lambda run: self._go_back(run, ending))(0),
            "pause": self._pause,
            "other-start": lambda _: self._start_other(),
            "merge": lambda _: self.jobs[self.job_id].update(dedup_window_secs=7200),
            "hang-up": self._to_ours(lambda run: self._tell(run.id, None)),
        }
        for name, text in MESSAGES.items():
            found[name] = self._to_ours(lambda run, text=text: self._tell(run.id, text % run.id))
        return found

    def _to_ours(self, act: Callable[[Run], object]) -> Callable[[Any], None]:
        """What is done to our run, if there is one and the server allows it."""

        def strike(_size: Any) -> None:
            self.settle()
            for run_id in self.ours[:1]:
                with suppress(Illegal, KeyError):  # a status that nobody knows goes nowhere
                    act(self.runs[run_id])

        return strike

    def _restart(self, run: Run) -> None:
        self.move(run, "queued")
        run.due = self.now() + timedelta(seconds=run.course.queued)

    def _pause(self, _seconds: Any) -> Callable[[], None]:
        def hold(run: Run) -> None:
            self.move(run, "paused")
            run.due = None

        self._to_ours(hold)(0)
        return lambda: self._to_ours(self._resume)(0)

    def _resume(self, run: Run) -> None:
        if run.status == "paused":
            self._restart(run)

    def _revive(self, run: Run, ending: str) -> None:
        run.course = replace(run.course, attempts=(ending,))
        self.revive(run)

    def _go_back(self, run: Run, ending: str) -> None:
        """A terminal status that turns out not to be one: no server should do that."""
        if run.status in TERMINAL:
            run.course = replace(run.course, attempts=(ending,))
            run.document.update(status="executing")
            run.due = self.now() + timedelta(seconds=3.0)
            self._record(run, self.elapsed())

    def _replay(self, run: Run) -> None:
        """Somebody makes a new run like ours, which passes."""
        if run.status in TERMINAL:
            copy = self.make_run(run.job_id, triggered_by="retry", payload=PAYLOAD)
            copy.course = Course(0.1, 0.1)

    def _reset_key(self, run: Run) -> None:
        run.document.pop("idempotency_key", None)
        self._record(run, self.elapsed())

    def _start_other(self) -> None:
        """Another client triggers the same job, and its run passes."""
        self.settle()
        self.make_run(self.job_id, payload=PAYLOAD).course = Course(0.1, 0.1)

    # What is so.

    @property
    def started_by_us(self) -> list[Run]:
        return [self.runs[run_id] for run_id in self.ours if run_id not in self.waited]

    def at(self, run_id: str, moment: float) -> dict[str, Any] | None:
        """What a run was at a time; None before it was made."""
        found = None
        for since, document in self.versions.get(run_id, ()):
            if since <= moment:
                found = document
        return found

    def between(self, run_id: str, first: float, last: float) -> list[dict[str, Any]]:
        """Everything that a run was in this time."""
        versions = self.versions.get(run_id, ())
        changed = [document for since, document in versions if first < since <= last]
        before = self.at(run_id, first)
        return changed if before is None else [before, *changed]
