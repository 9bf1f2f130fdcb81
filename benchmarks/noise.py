"""Response times as noisy machines show them, for simulations of the judge."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import dataclass, replace

from tm_cli.server.judge import RunFacts
from tm_cli.server.judge.thresholds import QUANTILES

SECONDS_PER_BLOCK = 5
MEDIAN_MS, SHAPE = 40.0, 0.3


@dataclass(frozen=True, slots=True)
class Noise:
    """What differs although nothing has changed.

    `drift`: standard deviation of one run, from machine to machine. The default is that of 100 runs
    on GitHub's hosted runners, each on another machine (CodSpeed, "Benchmarks in CI: Escaping the
    Cloud Chaos", 2025), and owes nothing to what the judge assumes.
    `wander`: standard deviation of a slow wander within the run, second by second.
    `bursts`: per minute; each makes everything 1.2 to 2 times slower for about a second.
    `pauses`: share of requests that wait up to 0.2 s more for reasons of their own.
    """

    drift: float = 0.0266
    wander: float = 0.02
    bursts: float = 0.25
    pauses: float = 0.0003


@dataclass(frozen=True, slots=True)
class Target:
    """A version of the service: everything `slower` times as slow, the slowest tenth of the
    requests `tail` times, and a share of `errors`.
    """

    slower: float = 1.0
    tail: float = 1.0
    errors: float = 0.001


def weather(seconds: int, noise: Noise, rng: random.Random) -> list[float]:
    """How many times slower the machine is in each second of a run."""
    factors, wander, memory = [], rng.gauss(0, noise.wander), 0.8
    run, burst_until, burst = rng.gauss(0, noise.drift), -1.0, 1.0
    for second in range(seconds):
        wander = memory * wander + rng.gauss(0, noise.wander * math.sqrt(1 - memory**2))
        if rng.random() < noise.bursts / 60:
            burst_until, burst = second + rng.expovariate(1.0), rng.uniform(1.2, 2.0)
        factors.append(math.exp(run + wander) * (burst if second <= burst_until else 1.0))
    return factors


def play(
    target: Target, factors: list[float], rate: float, noise: Noise, rng: random.Random
) -> RunFacts:
    """One run, or one side of a duet, at `rate` requests per second."""
    blocks: list[Counter[int]] = [Counter() for _ in range(-(-len(factors) // SECONDS_PER_BLOCK))]
    errors = sent = 0
    for second, factor in enumerate(factors):
        for _ in range(round(rate * (second + 1)) - round(rate * second)):
            micros = response_micros(target, factor, noise, rng)
            blocks[second // SECONDS_PER_BLOCK][_three_digits(micros)] += 1
            sent += 1
            errors += rng.random() < target.errors
    return _facts(blocks, sent, errors, float(len(factors)))


def response_micros(target: Target, factor: float, noise: Noise, rng: random.Random) -> float:
    """How long one request takes in a second that is `factor` times slower than usual."""
    level = rng.gauss(0, 1)
    micros = 1000 * MEDIAN_MS * math.exp(SHAPE * level) * factor * target.slower
    if level > 1.2816:  # the slowest tenth
        micros *= target.tail
    if rng.random() < noise.pauses:
        micros += rng.uniform(0, 200_000)
    return micros


def _three_digits(micros: float) -> int:
    step: int = 10 ** max(0, len(str(int(micros))) - 3)
    return max(1, int(round(micros / step) * step))


def _facts(blocks: list[Counter[int]], sent: int, errors: int, seconds: float) -> RunFacts:
    together: Counter[int] = Counter()
    for block in blocks:
        together.update(block)
    return RunFacts(
        history_id=1,
        verdict="PASS",
        fingerprint="same",
        planned=sent,
        sent=sent,
        completed=sent,
        errors=errors,
        error_classes={"5xx": errors},
        quantiles_ms=_quantiles(together, sent),
        generator_saturated=False,
        blocks=[sorted(block.items()) for block in blocks],
        seconds=seconds,
    )


def _quantiles(times: Counter[int], count: int) -> dict[str, float]:
    found: dict[str, float] = {}
    wanted = sorted(QUANTILES.items(), key=lambda item: item[1])
    seen = 0
    for micros in sorted(times):
        seen += times[micros]
        while wanted and seen >= wanted[0][1] * count:
            found[wanted.pop(0)[0]] = micros / 1000
    return found


def judged(facts: RunFacts, history_id: int) -> RunFacts:
    """The same run as the one that is to be judged now."""
    return replace(facts, history_id=history_id, verdict=None)
