"""What a bisection knows, in a file that is replaced whole after every step."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from tm_cli.bisect.repository import Commit
from tm_cli.bisect.search import (
    CERTAIN,
    LIKELY,
    MOST_EVIDENCE,
    UNLIKELY,
    Effect,
    Search,
    containment,
    evidence,
    is_slower,
    pooled,
)
from tm_cli.errors import ConfigurationError
from tm_cli.runtime.files import write_atomic

VERSION = 1
ERRORS = "errors"
TIMES = ("p50", "p95", "p99")
METRICS = (*TIMES, ERRORS)
FEWEST_CHECKS, MOST_CHECKS = 3, 10
"""How often GOOD and BAD are compared before they count as alike: three times where they look
alike.
"""


@dataclass(frozen=True, slots=True)
class Terms:
    """What the user asked for; `profile` is as it was written, times are in seconds."""

    build: str | None
    serve: str
    profile: str
    rate: str | None = None
    duration: str | None = None
    metric: str | None = None
    confidence: float = 0.95
    max_runs: int = 40
    first_parent: bool = False
    build_timeout: float = 1800.0
    start_timeout: float = 60.0


@dataclass(frozen=True, slots=True)
class Trial:
    """One A/B run of a commit against GOOD: the effect by metric, and the verdict on errors."""

    commit: str
    run_id: str
    verdict: str
    effects: Mapping[str, Effect] = field(default_factory=dict)
    errors: str | None = None


@dataclass(slots=True)
class State:
    """`commits` are those after GOOD, oldest first; `untestable` has the reason by commit.

    `directory` has the work trees while a tm is at work, and `mark` is in the environment of the
    processes that it has started. `metric` is the one by which BAD is slower than GOOD, None
    while that is not certain of any.
    """

    terms: Terms
    good: Commit
    commits: Sequence[Commit]
    mark: str
    directory: str
    trials: list[Trial] = field(default_factory=list)
    untestable: dict[str, str] = field(default_factory=dict)
    metric: str | None = None
    is_over: bool = False

    @property
    def bad(self) -> Commit:
        return self.commits[-1]

    @property
    def has_results(self) -> bool:
        """Whether it would be a loss to forget it."""
        return bool(self.trials or self.untestable)

    def commit(self, number: str) -> Commit:
        return next(found for found in (self.good, *self.commits) if found.id == number)

    def effect(self, metric: str, commit: str | None = None) -> Effect | None:
        """How much slower a commit is than GOOD by all its trials; None for what is unknown."""
        wanted = commit or self.bad.id
        trials = [trial for trial in self.trials if trial.commit == wanted]
        found = [effect for trial in trials if (effect := self.measured(metric, trial))]
        return pooled(found) if found else None

    def measured(self, metric: str, trial: Trial) -> Effect | None:
        """What a trial says about a metric; its error is not below that of the usual trial.

        A run knows little about its own noise, and one that seems to have none would outweigh all
        others.
        """
        effect = trial.effects.get(metric)
        if effect is None or self.fails_requests(trial):
            return None
        errors = [other.effects[metric].error for other in self.trials if metric in other.effects]
        return replace(effect, error=max(effect.error, statistics.median(errors)))

    def fails_requests(self, trial: Trial) -> bool:
        """Whether a commit between has errors: its response times are not those of its work."""
        is_between = trial.commit != self.bad.id
        return is_between and self.metric in TIMES and trial.errors == "FAIL"

    @property
    def checks(self) -> list[Trial]:
        """The comparisons of GOOD and BAD."""
        return [trial for trial in self.trials if trial.commit == self.bad.id]

    def add(self, trial: Trial) -> None:
        """Add a trial; once a metric is chosen, it stays."""
        self.trials.append(trial)
        self.metric = self.metric or self._choose_metric()

    def _choose_metric(self) -> str | None:
        fails = sum(trial.errors == "FAIL" for trial in self.checks)
        if self.terms.metric in (None, ERRORS) and 2 * fails > len(self.checks):
            return ERRORS
        return self._slower_by(CERTAIN if len(self.checks) < MOST_CHECKS else LIKELY)

    def _slower_by(self, standard_errors: float) -> str | None:
        wanted = TIMES if self.terms.metric is None else (self.terms.metric,)
        found = {name: effect for name in wanted if (effect := self.effect(name))}
        slower = [name for name in found if is_slower(found[name], standard_errors)]
        return max(slower, key=lambda name: found[name].standard_errors, default=None)

    @property
    def are_alike(self) -> bool:
        """Whether GOOD and BAD have been compared often enough without a difference."""
        seems_slower = self._slower_by(UNLIKELY) is not None
        enough = MOST_CHECKS if seems_slower else FEWEST_CHECKS
        return self.metric is None and self._measured_checks >= enough

    @property
    def are_indistinct(self) -> bool:
        """Whether GOOD and BAD have been compared often enough although most runs say nothing."""
        count = len(self.checks)
        is_enough = count >= (MOST_CHECKS if self._measured_checks else FEWEST_CHECKS)
        return self.metric is None and is_enough

    @property
    def _measured_checks(self) -> int:
        """How many comparisons of GOOD and BAD have an interval; those of small runs may not."""
        wanted = TIMES if self.terms.metric is None else (self.terms.metric,)
        return sum(
            ERRORS in wanted or any(name in check.effects for name in wanted)
            for check in self.checks
        )

    def search(self) -> Search:
        """What the trials say about the commits between GOOD and BAD."""
        commits = {trial.commit for trial in self.trials} - {self.bad.id}
        said = {commit: self._evidence(commit) for commit in commits} if self.metric else {}
        parents = {commit.id: commit.parents for commit in self.commits}
        return Search(containment(parents), said, frozenset(self.untestable))

    def _evidence(self, commit: str) -> float:
        trials = [trial for trial in self.trials if trial.commit == commit]
        if self.metric == ERRORS:
            signs = sum(_SIGNS.get(trial.errors or "", 0) for trial in trials)
            return signs * MOST_EVIDENCE / 2
        slow, measured = (self.effect(self.metric or "", name) for name in (None, commit))
        return evidence(measured, slow, len(trials)) if slow and measured else 0.0


_SIGNS = {"FAIL": 1, "PASS": -1}


@dataclass(frozen=True, slots=True)
class StateFile:
    """Where a bisection is kept, in a directory of git's own that no commit has."""

    directory: Path

    @property
    def logs(self) -> Path:
        return self.directory / "logs"

    def write(self, state: State) -> None:
        """Replace the file; raises ConfigurationError."""
        try:
            document = {"version": VERSION, **asdict(state)}
            write_atomic(self._path, json.dumps(document, indent=1), mode=0o600)
        except OSError as problem:
            raise ConfigurationError(
                f"cannot keep the bisection in {self._path}: {problem.strerror}"
            ) from None

    def read(self) -> State | None:
        """Return the bisection; None without any. Raises ConfigurationError for another file."""
        try:
            return _read(json.loads(self._path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (
            OSError,
            AttributeError,
            KeyError,
            TypeError,
            ValueError,
            RecursionError,
        ) as problem:
            raise ConfigurationError(
                f"cannot read the bisection in {self._path}: {problem}",
                hint="`tm bisect --reset` removes it",
            ) from None

    def clear(self) -> None:
        """Forget the bisection and its logs."""
        import shutil

        shutil.rmtree(self.logs, ignore_errors=True)
        self.forget()

    def forget(self) -> None:
        """Forget the bisection; its logs stay until the next one, as messages name them."""
        self._path.unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes out; raises ConfigurationError where one is at work."""
        try:
            self.directory.mkdir(mode=0o700, exist_ok=True)
            file = (self.directory / "lock").open("wb")
        except OSError as problem:
            raise ConfigurationError(
                f"cannot keep the bisection in {self.directory}: {problem.strerror}"
            ) from None
        with file as lock:
            try:
                _lock(lock.fileno())
            except OSError:
                raise ConfigurationError(
                    "another tm is at work on this search", hint="end it with Ctrl-C first"
                ) from None
            yield

    @property
    def _path(self) -> Path:
        return self.directory / "state.json"


def _lock(descriptor: int) -> None:
    """Lock a file until it is closed or the process ends; raises OSError."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _read(document: dict[str, Any]) -> State:
    if document.pop("version") != VERSION:
        raise ValueError("another version of tm wrote it")
    if set(document) != {item.name for item in fields(State)} or not document["commits"]:
        raise ValueError("it is not what tm writes there")
    document["terms"] = Terms(**document["terms"])
    document["good"] = _commit(document["good"])
    document["commits"] = [_commit(item) for item in document["commits"]]
    document["trials"] = [_trial(item) for item in document["trials"]]
    return State(**document)


def _commit(item: Mapping[str, Any]) -> Commit:
    return Commit(**{**item, "parents": tuple(item["parents"])})


def _trial(item: Mapping[str, Any]) -> Trial:
    effects = {name: Effect(**effect) for name, effect in item["effects"].items()}
    return Trial(**{**item, "effects": effects})
