"""The truth of a Runloop server: the small server of tests/runloop, driven by time.

Time comes in as seconds. Nothing of tm is imported here.
"""

from __future__ import annotations

import heapq
import itertools
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from tests.services.runloop import RunloopWorld

BENCHMARK = "bmd_1"
OTHER_BENCHMARK = "bmd_2"
EARLIER_ID = "bmr_1"
"""A run of the same benchmark that passed an hour ago, with every scenario."""

NAME = "nightly"
ENDED = frozenset({"completed", "canceled", "failed"})
DESTRUCTIVE = frozenset(
    {"cancel", "complete", "fail", "rescore", "refail", "go-back", "delete", "withdraw"}
)
"""Blows that can keep the verdict from being found, or change it."""

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Truth:
    """How the server and whoever drives the run behave by themselves; times in seconds.

    `scores` are those of the scenario runs in order, `endings` states of the last ones that did not
    complete, and `defined` is how many scenarios the benchmark has. The run ends in `ending` after
    `duration`, and has its score `score_delay` later: the mean, or `score` in its place. With
    `early` it is completed while a scenario still runs. The lags say how far reads by id, lists of
    scenario runs and lists of runs are behind. `has_baseline`: the earlier run can be one.
    Whoever follows a cursor that is ignored comes to the first page again.
    """

    system: ClassVar[str] = "runloop"
    scores: tuple[float, ...] = (1.0, 0.9, 0.8)
    endings: tuple[str, ...] = ()
    defined: int = 3
    duration: float = 10.0
    ending: str = "completed"
    score: Any = None
    score_delay: float = 0.0
    early: bool = False
    strange: bool = False
    repeated: bool = False
    broken_scorer: bool = False
    is_driven: bool = True
    has_baseline: bool = True
    run_lag: float = 0.0
    items_lag: float = 0.0
    list_lag: float = 0.0
    page_size: int = 20
    ignores_cursors: bool = False


class World:
    """The server, what will happen to its runs, and everything that it held when."""

    def __init__(self, truth: Truth, now: Callable[[], float]) -> None:
        self.truth = truth
        self.now = now
        self.server = RunloopWorld(page_size=truth.page_size)
        self.ours: list[str] = []
        self.waited: set[str] = set()
        self.deleted: set[str] = set()
        self.has_driver = False
        self.versions: list[tuple[float, bytes]] = []
        self._order = itertools.count()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self.server.benchmark(BENCHMARK, truth.defined)
        self.server.benchmark(OTHER_BENCHMARK, truth.defined)
        earlier = self.server.finished_run((1.0,) * truth.defined)
        if not truth.has_baseline:
            earlier["start_time_ms"] = None
        self.server.finished_run((1.0,) * truth.defined, OTHER_BENCHMARK)
        self._began_ms = self.server.now_ms
        self._record(float("-inf"))

    # What clients do.

    def adopt(self, run_id: str) -> None:
        """A run of ours has been made: let it take its course."""
        self.ours.append(run_id)
        run, begun, course = self.server.runs[run_id], self.now(), self.truth
        if not course.is_driven:
            return
        for share, act in ((0.2, self._begin), (0.6, self._score), (0.8, self._finish)):
            self._plan(begun + course.duration * share, lambda act=act: act(run))
        if not self.has_driver:
            self._plan(begun + course.duration, lambda: self._end(run))

    def waited_for(self) -> str:
        """Make the run that tm waits for without having started it; return its id."""
        run = self.server._new_run({"benchmark_id": BENCHMARK, "run_name": NAME})
        self.waited.add(run["id"])
        self.adopt(run["id"])
        self._record(self.now())
        return str(run["id"])

    def completed(self, run_id: str) -> None:
        """Somebody has asked that a run be completed: it gets its score."""
        self._rate(self.server.runs[run_id])

    # The course of our run.

    def _begin(self, run: Document) -> None:
        if run["state"] == "running":
            for name in self._scenarios():
                self.server.attempt(run["id"], name, None, "running")

    def _scenarios(self) -> list[str]:
        names = [f"scn_{n}" for n in range(1, len(self.truth.scores) + 1)]
        if self.truth.strange:
            names[-1:] = ["scn_of_another_benchmark"]
        return [*names, *names[:1]] if self.truth.repeated else names

    def _score(self, run: Document) -> None:
        for item in self._items(run):
            item["state"] = "scoring"

    def _finish(self, run: Document) -> None:
        truth, items = self.truth, self._items(run)
        endings = {**dict(enumerate(reversed(truth.endings)))}
        for place, item in enumerate(items):
            if truth.early and place == 0:
                continue
            item["state"] = endings.get(len(items) - 1 - place, "completed")
            if item["state"] == "completed":
                scores = truth.scores or (1.0,)
                self.server._put_score(item, scores[place % len(scores)])
                if truth.broken_scorer and place == 0:
                    results = item["scoring_contract_result"]["scoring_function_results"]
                    results[0]["state"] = "error"

    def _end(self, run: Document) -> None:
        if run["state"] == "running":
            run["state"] = self.truth.ending
            self._rate(run)

    def _rate(self, run: Document) -> None:
        """Give the run its score, now or later."""
        score = self.server._mean(run["id"]) if self.truth.score is None else self.truth.score
        run["score"] = None
        if self.truth.score_delay:
            self._plan(self.now() + self.truth.score_delay, lambda: run.update(score=score))
        else:
            run["score"] = score

    def _items(self, run: Document) -> list[Document]:
        return [item for item in self.server._of_run(run["id"]) if item["state"] not in ENDED]

    # What befalls it.

    def blows(self) -> Mapping[str, Callable[[Any], Callable[[], None] | None]]:
        return {
            "cancel": self._to_ours(self._cancel),
            "complete": self._to_ours(lambda run, _: self._complete(run)),
            "fail": self._to_ours(lambda run, _: run.update(state="failed", score=1.0)),
            "rescore": self._to_ours(self._rescore),
            "refail": self._to_ours(self._refail),
            "go-back": self._to_ours(self._go_back),
            "delete": self._to_ours(lambda run, _: self.deleted.add(run["id"])),
            "withdraw": lambda _: setattr(self.server, "served", False),
            "edit-benchmark": lambda _: self._edit_benchmark(),
            "other-start": lambda _: self._start_other(),
        }

    def _to_ours(self, act: Callable[[Document, Any], object]) -> Callable[[Any], None]:
        def strike(size: Any) -> None:
            self.settle()
            for run_id in self.ours[:1]:
                act(self.server.runs[run_id], size)
            self._record(self.now())

        return strike

    def _cancel(self, run: Document, _size: Any) -> None:
        """Somebody cancels it; its score is of the little that was done, and flatters."""
        if run["state"] == "running":
            self.server._cancel(run)
            run["score"] = 1.0

    def _complete(self, run: Document) -> None:
        """Somebody completes it, perhaps too early."""
        if run["state"] == "running":
            self.server._complete(run)
            self._rate(run)

    def _rescore(self, run: Document, score: Any) -> None:
        if run["state"] in ENDED:
            run["score"] = score

    def _refail(self, run: Document, _size: Any) -> None:
        """A scenario that had passed turns out to have failed."""
        for item in self.server._of_run(run["id"])[:1]:
            if run["state"] in ENDED:
                item.update(state="failed", scoring_contract_result=None)

    def _go_back(self, run: Document, ending: Any) -> None:
        """A final state that turns out not to be one: no server should do that."""
        if run["state"] in ENDED:
            run["state"] = "running"
            self._plan(self.now() + 3.0, lambda: run.update(state=ending, score=0.1))

    def _edit_benchmark(self) -> None:
        self.server.benchmarks[BENCHMARK]["scenarioIds"].append("scn_99")

    def _start_other(self) -> None:
        """Another run of the same benchmark and name passes at once."""
        self.settle()
        run = self.server._new_run({"benchmark_id": BENCHMARK, "run_name": NAME})
        for name in self.server.benchmarks[BENCHMARK]["scenarioIds"]:
            self.server.attempt(run["id"], name)
        self.server._complete(run)
        self._record(self.now())

    # Time.

    def _plan(self, at: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._due, (at, next(self._order), act))

    def settle(self) -> None:
        """Catch up with the time."""
        now = self.now()
        while self._due and self._due[0][0] <= now:
            at, _, act = heapq.heappop(self._due)
            act()
            self._record(at)
        self.server.now_ms = self._began_ms + int(now * 1000)

    def _record(self, at: float) -> None:
        held = self.server.runs, self.server.scenario_runs
        self.versions.append((at, pickle.dumps(held, pickle.HIGHEST_PROTOCOL)))

    def note(self) -> None:
        """Remember what a request has changed."""
        self._record(self.now())

    # What is so.

    @property
    def started_by_us(self) -> list[str]:
        return [run_id for run_id in self.ours if run_id not in self.waited]

    def at(self, moment: float) -> tuple[dict[str, Document], dict[str, Document]]:
        """The runs and the scenario runs that there were at a time."""
        found = self.versions[0][1]
        for since, version in self.versions:
            if since <= moment:
                found = version
        held: tuple[dict[str, Document], dict[str, Document]] = pickle.loads(found)
        return held

    def between(
        self, run_id: str, first: float, last: float
    ) -> list[tuple[Document, list[Document]]]:
        """Everything that a run and its scenario runs were in this time."""
        moments = [first, *(at for at, _ in self.versions if first < at <= last)]
        found = []
        for moment in moments:
            runs, items = self.at(moment)
            if run_id in runs:
                of_run = [item for item in items.values() if item["benchmark_run_id"] == run_id]
                found.append((runs[run_id], of_run))
        return found
