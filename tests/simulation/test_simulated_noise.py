"""The quick generator of benchmarks/noise.py draws what its definitions say, request by request."""

import math
import random
import statistics
from collections.abc import Callable

import pytest
from noise import NOISES, Noise, Target, play, slowness
from shares import may_be_at_least, may_be_at_most

RUNS, SECONDS, RATE = 40, 30, 40
SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}

Run = dict[str, float]


def misses_literally(rng: random.Random) -> list[float]:
    """A fifth of the requests misses the cache and takes 80 ms instead of 5."""
    machine = rng.lognormvariate(0, 0.0266)
    return [
        machine * (80 if rng.random() < 0.2 else 5) * rng.lognormvariate(0, 0.3)
        for _ in range(SECONDS * RATE)
    ]


def freezes_literally(rng: random.Random) -> list[float]:
    """Nothing is answered for 400 ms, about every 20 s."""
    machine, times = rng.lognormvariate(0, 0.0266), []
    freeze = rng.uniform(0, 20)
    for number in range(SECONDS * RATE):
        at = number / RATE
        if at >= freeze + 0.4:
            freeze += 20 * rng.uniform(0.5, 1.5)
        wait = max(freeze + 0.4 - at, 0) if at >= freeze else 0
        times.append(40 * machine * rng.lognormvariate(0, 0.3) + 1000 * wait)
    return times


def quantiles(times: list[float]) -> Run:
    ordered = sorted(times)
    return {name: ordered[math.ceil(share * len(ordered)) - 1] for name, share in SHARES.items()}


@pytest.mark.parametrize(
    ("name", "literally"),
    [("20 % cache misses", misses_literally), ("freezes of 400 ms", freezes_literally)],
)
def test_agrees_with_a_literal_one(name: str, literally: Callable[[random.Random], list[float]]):
    rng, noise = random.Random(1), NOISES[name]
    slow = [quantiles(literally(rng)) for _ in range(RUNS)]
    quick = [drawn(noise, rng) for _ in range(RUNS)]
    for quantile in SHARES:
        one, other = ([math.log(run[quantile]) for run in runs] for runs in (slow, quick))
        deviation = math.hypot(statistics.stdev(one), statistics.stdev(other)) / math.sqrt(RUNS)
        assert abs(statistics.fmean(one) - statistics.fmean(other)) < 3.5 * deviation
        assert statistics.stdev(one) == pytest.approx(statistics.stdev(other), rel=0.4)


def drawn(noise: Noise, rng: random.Random, target: Target | None = None) -> Run:
    run = play(target or Target(), slowness(SECONDS, noise, rng), RATE, noise, rng)
    return dict(run.quantiles_ms)


def test_a_slower_tail_moves_the_upper_quantiles_alone() -> None:
    noise = Noise(machines=0.0)
    same, tail = (drawn(noise, random.Random(2), Target(tail=x)) for x in (1.0, 1.25))
    assert tail["p95"] / same["p95"] == pytest.approx(1.25, rel=0.01)
    assert tail["p50"] == same["p50"]


@pytest.mark.parametrize("incident", [1, 20])
def test_errors_are_as_many_however_they_come(incident: int) -> None:
    rng, noise = random.Random(3), Noise(incident=incident)
    runs = [play(Target(errors=0.01), [1.0] * 60, 50, noise, rng) for _ in range(60)]
    share = statistics.fmean(run.errors / run.sent for run in runs)
    assert share == pytest.approx(0.01, rel=0.07 * math.sqrt(incident))


def test_how_many_hits_a_rate_may_bring() -> None:
    assert [may_be_at_most(1, hits, 100) for hits in (0, 4, 5)] == [True, True, False]
    assert [may_be_at_least(95, hits, 100) for hits in (100, 90, 88)] == [True, True, False]
    assert may_be_at_most(100, 3, 3)
    assert may_be_at_least(0, 0, 3)
    assert not may_be_at_most(0, 1, 3)


def test_errors_of_one_incident_share_a_block() -> None:
    def blocks_hit(incident: int) -> float:
        rng, noise = random.Random(4), Noise(incident=incident)
        run = play(Target(errors=0.005), [1.0] * 60, 200, noise, rng)
        return sum(part.counts["errors"] > 0 for part in run.block_counts)

    assert blocks_hit(60) < 0.5 * blocks_hit(1)
