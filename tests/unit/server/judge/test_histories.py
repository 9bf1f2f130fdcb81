"""The last of many runs, each of another machine: what came before it must not blind the judge.

The noise is independent of what the judge assumes: lognormal response times, and medians that
spread by 2.66 % from run to run, which is what hosted runners show.
"""

import random
import statistics
from collections import Counter
from dataclasses import replace

import pytest

from tm_cli.server.judge import (
    BaselineSelection,
    Judgement,
    RunFacts,
    SelectedBy,
    choose_baseline,
    judge,
)

SPREAD = 0.0266
BLOCKS, PER_BLOCK = 8, 200
SEEDS = range(6)
SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}


def played(
    rng: random.Random, number: int, ms: float, *, tail: float = 1.0, share: float = 0.1, errors=0
) -> RunFacts:
    """A run; the slowest `share` of its requests takes `tail` times as long."""
    machine = rng.lognormvariate(0, SPREAD)
    edge = statistics.NormalDist().inv_cdf(1 - share)
    blocks = []
    for _ in range(BLOCKS):
        levels = [rng.gauss(0, 1) for _ in range(PER_BLOCK)]
        times = [ms * machine * 1.35**level * (tail if level > edge else 1.0) for level in levels]
        blocks.append(Counter(round(time, 1) for time in times))
    ordered = sorted(sum(blocks, Counter()).elements())
    return RunFacts(
        history_id=number,
        verdict=None,
        fingerprint="same",
        planned=len(ordered),
        sent=len(ordered),
        completed=len(ordered),
        errors=errors,
        error_classes={"5xx": errors},
        quantiles_ms={name: ordered[int(s * len(ordered))] for name, s in SHARES.items()},
        generator_saturated=False,
        blocks=[sorted((round(1000 * t), n) for t, n in block.items()) for block in blocks],
        seconds=60.0,
    )


def sketched(
    rng: random.Random, number: int, ms: float, *, tail: float = 1.0, share: float = 0.1, errors=0
) -> RunFacts:
    """The same without its requests."""
    machine = ms * rng.lognormvariate(0, SPREAD)
    normal = statistics.NormalDist()
    count = BLOCKS * PER_BLOCK
    return RunFacts(
        history_id=number,
        verdict=None,
        fingerprint="same",
        planned=count,
        sent=count,
        completed=count,
        errors=errors,
        error_classes={"5xx": errors},
        quantiles_ms={
            name: machine
            * 1.35 ** normal.inv_cdf(below)
            * (tail if below > 1 - share else 1.0)
            * rng.lognormvariate(0, 0.4 / (count * (1 - below)) ** 0.5)
            for name, below in SHARES.items()
        },
        generator_saturated=False,
        seconds=60.0,
    )


class Project:
    """The runs of one profile."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._runs: list[RunFacts] = []
        self._pinned: RunFacts | None = None

    def passed(self, count: int, ms: float, **shape) -> "Project":
        """So many runs that passed, whatever the judge would say of them.

        Those between the first and the last only have quantiles: no other run is measured by them.
        """
        for number in range(count):
            play = self._play if number in (0, count - 1) else self._sketch
            self._add(play(ms, **shape), "PASS")
        return self

    def pin(self, run: RunFacts | None) -> "Project":
        self._pinned = run
        return self

    @property
    def newest(self) -> RunFacts:
        return self._runs[-1]

    def next(self, ms: float, asked: RunFacts | None = None, **shape) -> Judgement:
        """One more run, judged as the server does it."""
        run = self._play(ms, **shape)
        wish = None
        if asked or self._pinned:
            how = SelectedBy.ASKED if asked else SelectedBy.PINNED
            wished = asked or self._pinned
            wish = BaselineSelection(how, wished.history_id, wished)
        judgement = judge(run, choose_baseline(run, self._runs, wish))
        self._add(run, judgement.verdict)
        return judgement

    def _play(self, ms: float, **shape) -> RunFacts:
        return played(self._rng, len(self._runs) + 1, ms, **shape)

    def _sketch(self, ms: float, **shape) -> RunFacts:
        return sketched(self._rng, len(self._runs) + 1, ms, **shape)

    def _add(self, run: RunFacts, verdict: str) -> None:
        pinned = self._pinned and self._pinned.history_id
        self._runs.append(replace(run, verdict=verdict, pinned=pinned))


def verdicts(play) -> list[str]:
    return [play(Project(seed)).verdict for seed in SEEDS]


FAILS = ["FAIL"] * len(SEEDS)


@pytest.mark.parametrize("better", [1, 3, 10])
@pytest.mark.parametrize("before", [10, 40])
def test_what_was_gained_cannot_be_lost_again_unseen(before: int, better: int) -> None:
    found = verdicts(lambda project: project.passed(before, 100).passed(better, 60).next(100))
    assert found == FAILS


@pytest.mark.parametrize("better", [1, 3, 10])
def test_nor_can_a_part_of_it(better: int) -> None:
    """Back from 60 ms to 78 ms, which is still better than the 100 ms of before."""
    found = verdicts(lambda project: project.passed(10, 100).passed(better, 60).next(78))
    assert found.count("FAIL") >= len(SEEDS) - 1
    assert "PASS" not in found


@pytest.mark.parametrize("better", [1, 5])
def test_nor_can_a_fifth(better: int) -> None:
    found = verdicts(lambda project: project.passed(10, 100).passed(better, 80).next(104))
    assert found.count("FAIL") >= len(SEEDS) - 1
    assert "PASS" not in found


@pytest.mark.parametrize("better", [1, 3, 5])
def test_a_pinned_run_is_the_only_measure(better: int) -> None:
    def play(project: Project) -> Judgement:
        project.passed(10, 100).passed(better, 60)
        return project.pin(project.newest).next(100)

    assert verdicts(play) == FAILS


@pytest.mark.parametrize("better", [1, 3])
def test_so_is_one_that_the_user_names(better: int) -> None:
    def play(project: Project) -> Judgement:
        project.passed(10, 100).passed(better, 60)
        return project.next(100, asked=project.newest)

    assert verdicts(play) == FAILS


@pytest.mark.parametrize(
    "before", [{"tail": 1.8, "share": 0.1}, {"tail": 2.2, "share": 0.03}], ids=["p95", "p99"]
)
def test_a_tail_that_became_shorter_is_watched_while_the_median_stays(before) -> None:
    def play(project: Project) -> Judgement:
        return project.passed(10, 100, **before).passed(2, 100).next(100, **before)

    assert verdicts(play) == FAILS


def test_errors_that_are_gone_are_missed_when_they_come_back_step_by_step() -> None:
    """Ten more errors with each run, of 1,600; the baseline before them had fifty."""
    project = Project(1).passed(10, 100, errors=50).passed(2, 100, errors=0)
    found = [project.next(100, errors=10 * step) for step in range(1, 5)]
    assert found[-1].verdict == "FAIL"
    assert "the first that passed since errors improved" in " ".join(found[-1].reasons)


def test_a_return_in_two_steps_fails_twice() -> None:
    project = Project(2).passed(10, 100).passed(1, 60)
    assert [project.next(ms).verdict for ms in (78, 100, 100)] == ["FAIL"] * 3


def test_warnings_do_not_add_up_to_a_new_norm() -> None:
    project = Project(3).passed(10, 100).passed(3, 60)
    found = [project.next(ms).verdict for ms in (66, 72, 79, 72)]
    assert found[1:] == ["FAIL", "FAIL", "FAIL"]


def test_a_slide_after_an_improvement_is_measured_by_the_improvement() -> None:
    project = Project(4).passed(10, 100).passed(3, 60)
    found = [project.next(60 * 1.04**step) for step in range(1, 8)]
    assert found[-1].verdict == "FAIL"
    assert any("since p50 improved" in reason for reason in found[-1].reasons)


def test_a_regression_that_was_let_through_is_no_new_norm() -> None:
    """Runs that were only compared with one that the user had named."""
    project = Project(5).passed(5, 60)
    slow = project.passed(1, 100).newest
    for _ in range(2):
        assert project.next(100, asked=slow).verdict == "PASS"
    assert project.next(100).verdict == "FAIL"


def test_what_was_accepted_by_a_pin_is_one() -> None:
    project = Project(7).passed(5, 60)
    assert project.next(100).verdict == "FAIL"
    project.pin(project.newest)
    assert project.next(100).verdict == "PASS"
    project.pin(None)
    assert project.next(100).verdict == "PASS"
    assert project.next(130).verdict == "FAIL"


def test_unchanged_runs_of_the_new_level_pass() -> None:
    found = Counter[str]()
    for seed in range(4):
        project = Project(seed).passed(10, 100)
        found.update(project.next(60).verdict for _ in range(6))
    assert found["FAIL"] == 0
    assert found["WARN"] <= 2


def test_two_kinds_of_machines_are_no_levels() -> None:
    """One kind is a tenth slower, and runs come to one or the other by chance."""
    rng = random.Random(8)
    project = Project(8)
    for _ in range(12):
        project.passed(1, rng.choice([100, 110]))
    judgement = project.next(105)
    assert judgement.verdict != "FAIL"
    assert judgement.snapshot["reference"] == 1
