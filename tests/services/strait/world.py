"""What is so on a Strait server: jobs, runs, their states and times; built from the API contract.

Nothing of tm is imported here. Time comes in as a function; the world catches up with it whenever
somebody looks.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

PROJECT = "proj-1"

MOVES: dict[str, set[str]] = {
    "delayed": {"queued", "canceled", "expired"},
    "queued": {"dequeued", "executing", "canceled", "expired"},
    "dequeued": {"executing", "queued", "canceled", "system_failed"},
    "executing": {
        "completed", "failed", "timed_out", "crashed", "system_failed", "dead_letter",
        "canceled", "waiting", "paused", "queued",
    },
    "waiting": {"executing", "completed", "failed", "timed_out", "canceled"},
    "paused": {"queued", "canceled"},
    "replay_staged": {"queued", "canceled"},
    "completed": set(),
    "failed": set(),
    "timed_out": set(),
    "crashed": set(),
    "system_failed": set(),
    "canceled": set(),
    "expired": set(),
    "dead_letter": {"queued", "replay_staged"},
}  # fmt: skip
TERMINAL = {status for status, after in MOVES.items() if not after} | {"dead_letter"}
REPLAYABLE = {"failed", "timed_out", "crashed", "system_failed"}
ANNOUNCED = {"executing", "completed", "failed", "timed_out", "dead_letter", "system_failed"}
"""The stream tells of these and of retries; of cancels, expiry, pauses and crashes it does not."""

WAITING = {"delayed", "queued"}
"""Only a run that waits, for its time or its next attempt, can expire."""

KEY_LIFE = timedelta(hours=24)


class Illegal(Exception):
    """A move that the state machine forbids."""


@dataclass
class Course:
    """How the runs of a job go by themselves; times in seconds.

    `attempts` is how each attempt ends: a terminal status, or `retry`; the last one repeats. A
    course with `holds` stays in that status until somebody moves it. With `continues`, job code
    calls `continue` before an attempt completes: a new run goes on with that course.
    """

    queued: float = 1.0
    executing: float = 5.0
    retry: float = 2.0
    attempts: tuple[str, ...] = ("completed",)
    result: Any = field(default_factory=lambda: {"ok": True})
    error: str = "endpoint returned 500"
    error_class: str = "server"
    holds: str | None = None
    continues: Course | None = None


@dataclass
class Run:
    """One run; `changes` are what was so since when, newest last."""

    id: str
    job_id: str
    document: dict[str, Any]
    course: Course
    changes: list[tuple[datetime, dict[str, Any]]] = field(default_factory=list)
    due: datetime | None = None

    @property
    def status(self) -> str:
        return str(self.document["status"])


Publish = Callable[[str, str, str], None]
"""Takes a run, a channel (`status`, `chunks`, `logs`) and the data of a message."""


@dataclass
class World:
    """Everything that is so; `cache_lag` is how long a dead letter that was revived still shows."""

    now: Callable[[], datetime]
    publish: Publish = lambda _run, _channel, _data: None
    cache_lag: float = 0.0
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    courses: dict[str, Course] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    parts: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)
    _numbers: int = 0
    _revived: dict[str, tuple[datetime, dict[str, Any]]] = field(default_factory=dict)

    def add_job(self, slug: str, course: Course | None = None, **changes: Any) -> dict[str, Any]:
        job = {
            "id": self.new_id(),
            "project_id": PROJECT,
            "name": slug.replace("-", " ").title(),
            "slug": slug,
            "endpoint_url": "https://jobs.example/run",
            "max_attempts": 3,
            "timeout_secs": 300,
            "enabled": True,
            "paused": False,
            "version": 1,
            "created_at": self.text(self.now()),
            "updated_at": self.text(self.now()),
            **changes,
        }
        self.jobs[job["id"]] = job
        self.courses[job["id"]] = course or Course()
        return job

    def new_id(self) -> str:
        self._numbers += 1
        return f"0192f0a4-7c1d-7e55-b1a6-{self._numbers:012x}"

    @staticmethod
    def text(moment: datetime) -> str:
        """RFC 3339 with nanoseconds, as the server writes it."""
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "789Z"

    # Runs.

    def make_run(self, job_id: str, *, triggered_by: str = "manual", **more: Any) -> Run:
        now = self.now()
        job = self.jobs[job_id]
        later = more.get("scheduled_at")
        begins = max(parse(later), now) if later else now
        expires = begins + timedelta(seconds=job["timeout_secs"] + 60)
        document = {
            "id": self.new_id(),
            "job_id": job_id,
            "project_id": PROJECT,
            "status": "delayed" if later and parse(later) > now else "queued",
            "attempt": 1,
            "triggered_by": triggered_by,
            "priority": 0,
            "job_version": job["version"],
            "debug_mode": False,
            "lineage_depth": 0,
            "created_at": self.text(now),
            "expires_at": self.text(expires),
            **{name: value for name, value in more.items() if value is not None},
        }
        run = Run(document["id"], job_id, document, self.courses[job_id])
        run.due = begins + timedelta(seconds=run.course.queued)
        self.runs[run.id] = run
        return run

    def move(self, run: Run, to: str, *, announced: bool = False, **changes: Any) -> None:
        """Change the status, as the state machine allows it."""
        if to not in MOVES[run.status]:
            raise Illegal(f"{run.status} -> {to}")
        before = run.status
        run.document.update(status=to, **changes)
        now = self.now() if run.due is None or run.due > self.now() else run.due
        if to in TERMINAL:
            run.document["finished_at"] = self.text(now)
            run.due = None
        if announced and (to in ANNOUNCED or (before, to) == ("executing", "queued")):
            message = {
                "type": "status_change",
                "run_id": run.id,
                "job_id": run.job_id,
                "project_id": PROJECT,
                "from": before,
                "to": to,
                "timestamp": self.text(now),
            }
            self.publish(run.id, "status", json.dumps(message))

    def settle(self) -> None:
        """Catch up with the time; a run that continues another is made on the way."""
        settled: set[str] = set()
        while left := [run for run in self.runs.values() if run.id not in settled]:
            for run in left:
                settled.add(run.id)
                while self._is_due(run):
                    self._step(run)
                if run.status in WAITING and self._expiry(run) <= self.now():
                    self.move(run, "expired", error="run expired")

    def _is_due(self, run: Run) -> bool:
        if run.due is None or run.due > self.now() or run.status == run.course.holds:
            return False
        return run.status not in WAITING or run.due < self._expiry(run)

    @staticmethod
    def _expiry(run: Run) -> datetime:
        return parse(run.document["expires_at"])

    def _step(self, run: Run) -> None:
        at, course = run.due, run.course
        assert at is not None
        match run.status:
            case "delayed":
                self.move(run, "queued")
            case "queued" | "dequeued":
                self.move(run, "executing", announced=True, started_at=self.text(at))
                run.due = at + timedelta(seconds=course.executing)
            case "executing":
                self._end_attempt(run, at)
            case _:
                run.due = None

    def _end_attempt(self, run: Run, at: datetime) -> None:
        course, attempt = run.course, run.document["attempt"]
        ending = course.attempts[min(attempt, len(course.attempts)) - 1]
        failure = {"error": course.error, "error_class": course.error_class}
        if ending == "retry":
            self.move(run, "queued", announced=True, attempt=attempt + 1, **failure)
            run.document.pop("started_at", None)
            run.due = at + timedelta(seconds=course.retry)
        elif ending == "completed":
            if course.continues is not None:
                self.continue_run(run, course.continues, at)
            run.document.pop("error", None)
            run.document.pop("error_class", None)
            self.move(run, "completed", announced=True, result=course.result)
        else:
            self.move(run, ending, announced=True, **failure)

    def continue_run(self, run: Run, course: Course, at: datetime) -> Run:
        """Make the run that job code asks for: of the same job, without a key."""
        made = self.make_run(
            run.job_id,
            continuation_of=run.id,
            lineage_depth=run.document["lineage_depth"] + 1,
            payload=run.document.get("payload"),
        )
        made.document["created_at"] = self.text(at)
        made.course, made.due = course, at + timedelta(seconds=course.queued)
        return made

    def lineage(self, run: Run) -> list[Run]:
        """The root of a run and everything that continues it, by depth."""
        root = run
        while (before := self.runs.get(root.document.get("continuation_of", ""))) is not None:
            root = before
        found = [root]
        for one in found:
            found += [
                other
                for other in self.runs.values()
                if other.document.get("continuation_of") == one.id
            ]
        return sorted(found, key=lambda one: int(one.document["lineage_depth"]))

    def cancel(self, run: Run) -> None:
        self.move(run, "canceled", error="canceled by user")
        for child in self.runs.values():
            if child.document.get("parent_run_id") == run.id and child.status not in TERMINAL:
                self.move(child, "canceled", error="canceled by user")

    def revive(self, run: Run, *, through: str = "queued") -> None:
        """Put a dead letter back; for a while, reads of the run still show it dead."""
        self._revived[run.id] = (self.now(), dict(run.document))
        self.move(run, through, attempt=1)
        for name in ("error", "error_class", "finished_at", "started_at"):
            run.document.pop(name, None)
        run.due = self.now() + timedelta(seconds=run.course.queued)

    def seen(self, run: Run) -> dict[str, Any]:
        """The run as a read by id shows it, which may come from a cache."""
        if run.id in self._revived:
            since, old = self._revived[run.id]
            if self.now() < since + timedelta(seconds=self.cache_lag):
                return old
        return run.document

    def run_under(self, job_id: str, key: str) -> Run | None:
        """The run that keeps a second one under this key from being made."""
        for run in reversed(list(self.runs.values())):
            if run.job_id != job_id or run.document.get("idempotency_key") != key:
                continue
            ended = run.document.get("finished_at")
            if ended is None or (run.status != "expired" and parse(ended) + KEY_LIFE > self.now()):
                return run
        return None

    def run_with(self, job_id: str, payload: Any, *, window: int) -> Run | None:
        """The run with the same payload in the job's dedup window."""
        since = self.now() - timedelta(seconds=window)
        for run in reversed(list(self.runs.values())):
            same = run.job_id == job_id and run.document.get("payload") == payload
            if same and parse(run.document["created_at"]) >= since:
                return run
        return None


def parse(text: str) -> datetime:
    return datetime.fromisoformat(text)


def payload_hash(payload: Any) -> str:
    spelt = json.dumps(payload, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(spelt.encode()).hexdigest()
