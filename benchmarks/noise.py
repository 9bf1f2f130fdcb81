"""Response times as noisy machines and services show them, for simulations of the judge.

Nothing here is taken from the judge: the shapes, spreads and disturbances are those that the
literature and measurements name. A run of 12,000 requests takes about 10 ms.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import accumulate
from statistics import NormalDist
from types import MappingProxyType

from tm_cli.server.judge import RunFacts
from tm_cli.server.judge.facts import BlockCounts
from tm_cli.server.judge.thresholds import QUANTILES

SECONDS_PER_BLOCK = 5


@dataclass(frozen=True, slots=True)
class Shape:
    """Response times of single requests on a quiet machine, in milliseconds.

    Lognormal with this median and `sigma`, or Pareto with this median and the exponent `pareto`.
    A share of `misses` of the cache has the median `miss_median` instead.
    """

    median: float = 40.0
    sigma: float = 0.5
    pareto: float = 0.0
    misses: float = 0.0
    miss_median: float = 80.0

    def quantile(self, share: float, median: float) -> float:
        """Of the requests of one mode."""
        if self.pareto:
            return median * math.exp(-math.log(2 * (1 - share)) / self.pareto)
        return median * math.exp(self.sigma * _NORMAL.inv_cdf(share))


_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Noise:
    """What differs although nothing has changed. Shares are parts of 1.

    From run to run:
    `machines`: standard deviation of the logarithm. The default is that of 100 runs on GitHub's
    hosted runners, each on another machine (CodSpeed, "Benchmarks in CI: Escaping the Cloud
    Chaos", 2025). `slow_machines`: share of the runs that are on a machine 12 % slower.
    `daily`: amplitude of a rhythm whose phase is that of the start of the run.

    Within a run, of the machine, so for both sides of a duet:
    `wander`: standard deviation of a first-order autoregressive process of the logarithm, second
    by second, that forgets within `wander_seconds`. `bursts`: of a neighbour, per minute; they take
    about `burst_seconds` and make everything 1.2 to 2 times slower.

    Within a run, of the service, so for each side of a duet by itself:
    `freeze`: seconds in which nothing is answered, about every `freeze_every` seconds. `warm_up`:
    seconds at the start that are 2 to 3 times slower. `pauses`: share of requests that wait up to
    0.2 s more. `incident`: mean number of errors that come together; 1: each by itself.
    """

    shape: Shape = field(default_factory=Shape)
    machines: float = 0.0266
    slow_machines: float = 0.0
    daily: float = 0.0
    wander: float = 0.0
    wander_seconds: float = 5.0
    bursts: float = 0.0
    burst_seconds: float = 1.0
    freeze: float = 0.0
    freeze_every: float = 10.0
    warm_up: int = 0
    pauses: float = 0.0
    incident: float = 1.0


def _cached(misses: float) -> Noise:
    return Noise(Shape(median=5.0, sigma=0.3, misses=misses))


_GC = Shape(sigma=0.3)

ORDINARY: Mapping[str, Noise] = MappingProxyType(
    {
        "calm": Noise(machines=0.005),
        "hosted": Noise(),
        "Pareto tail": Noise(Shape(pareto=1.5)),
        "20 % cache misses": _cached(0.2),
        "freezes of 150 ms": Noise(_GC, freeze=0.15, freeze_every=10),
        "freezes of 400 ms": Noise(_GC, freeze=0.4, freeze_every=20),
    }
)
"""Noise in which the judge has to be sure of itself."""

HARD: Mapping[str, Noise] = MappingProxyType(
    {
        "p95 on the edge of two modes": _cached(0.05),
        "p50 on the edge of two modes": _cached(0.5),
        "wander of 2 s": Noise(wander=0.2, wander_seconds=2),
        "wander of 20 s": Noise(wander=0.1, wander_seconds=20),
        "bursts of 4 s": Noise(bursts=1.0, burst_seconds=4),
        "bursts of 15 s": Noise(bursts=0.5, burst_seconds=15),
        "warm-up": Noise(warm_up=3),
        "two kinds of machines": Noise(slow_machines=0.3),
        "time of day": Noise(daily=0.05),
        "hosted mix": Noise(
            wander=0.03, bursts=0.5, burst_seconds=2, freeze=0.06, freeze_every=15, pauses=0.0003
        ),
    }
)
"""Noise that looks like a change more often."""

WIDE: Mapping[str, Noise] = MappingProxyType(
    {"machines 5 %": Noise(machines=0.05), "machines 10 %": Noise(machines=0.1)}
)
"""Machines that differ more than the judge assumes, so that only a history can show it."""

NOISES: Mapping[str, Noise] = MappingProxyType({**ORDINARY, **HARD, **WIDE})


@dataclass(frozen=True, slots=True)
class Target:
    """A version of the service: everything `slower` times as slow, the slowest tenth of the
    requests `tail` times, and a share of `errors`.
    """

    slower: float = 1.0
    tail: float = 1.0
    errors: float = 0.001


def slowness(seconds: int, noise: Noise, rng: random.Random) -> list[float]:
    """How many times slower the machine is in each second of a run."""
    run = rng.gauss(0, noise.machines) + noise.daily * math.sin(rng.uniform(0, math.tau))
    if rng.random() < noise.slow_machines:
        run += math.log(1.12)
    memory = math.exp(-1 / noise.wander_seconds)
    wander, left, burst, factors = rng.gauss(0, noise.wander), 0.0, 1.0, []
    for _ in range(seconds):
        wander = memory * wander + rng.gauss(0, noise.wander * math.sqrt(1 - memory**2))
        if rng.random() < noise.bursts / 60:
            left, burst = noise.burst_seconds * rng.uniform(0.5, 1.5), rng.uniform(1.2, 2.0)
        share = min(max(left, 0.0), 1.0)  # of this second
        factors.append(math.exp(run + wander) * (1 + share * (burst - 1)))
        left -= 1
    return factors


@dataclass(frozen=True, slots=True)
class Disturbances:
    """What one version of the service does by itself during a run."""

    freezes: Sequence[tuple[float, float]]
    warm_up: int
    warming: float

    def factor(self, second: int) -> float:
        return self.warming if second < self.warm_up else 1.0

    def wait(self, at: float) -> float:
        """Seconds until the end of the freeze in which a request arrives."""
        return next((end - at for start, end in self.freezes if start <= at < end), 0.0)


def disturbances(seconds: int, noise: Noise, rng: random.Random) -> Disturbances:
    freezes = []
    at = rng.uniform(0, noise.freeze_every) if noise.freeze else math.inf
    while at < seconds:
        freezes.append((at, at + noise.freeze))
        at += noise.freeze_every * rng.uniform(0.5, 1.5)
    return Disturbances(freezes, noise.warm_up, rng.uniform(2.0, 3.0))


def play(
    target: Target, factors: Sequence[float], rate: float, noise: Noise, rng: random.Random
) -> RunFacts:
    """One run, or one side of a duet, at `rate` requests per second."""
    times = _logs(noise.shape, target.tail)
    own = disturbances(len(factors), noise, rng)
    blocks: list[Counter[int]] = [Counter() for _ in range(-(-len(factors) // SECONDS_PER_BLOCK))]
    sent = [0] * len(blocks)
    for second, factor in enumerate(factors):
        block, count = second // SECONDS_PER_BLOCK, _planned(rate, second)
        shift = _log(factor * target.slower * own.factor(second))
        drawn = map(_RECORDED.__getitem__, map(shift.__add__, rng.choices(times, k=count)))
        sent[block] += count
        frozen = any(start < second + 1 and second < end for start, end in own.freezes)
        if not frozen and not noise.pauses:
            blocks[block].update(drawn)
            continue
        for index, micros in enumerate(drawn):
            wait = own.wait(second + (index + rng.random()) / count) if frozen else 0.0
            wait += rng.uniform(0, 0.2) if rng.random() < noise.pauses else 0.0
            blocks[block][_recorded(micros + 1e6 * wait) if wait else micros] += 1
    errors = _errors(sent, target.errors, noise.incident, rng)
    return _facts(blocks, sent, errors, float(len(factors)))


def response_micros(
    target: Target, factor: float, wait: float, noise: Noise, rng: random.Random
) -> float:
    """How long one request takes that waits for so many seconds, and is `factor` times slower."""
    micros = math.exp(rng.choice(_logs(noise.shape, target.tail)) / _STEPS) * factor * target.slower
    wait += rng.uniform(0, 0.2) if rng.random() < noise.pauses else 0.0
    return micros + 1e6 * wait


def _planned(rate: float, second: int) -> int:
    return round(rate * (second + 1)) - round(rate * second)


_STEPS = 2000  # per power of e: steps of 0.05 %
_POPULATION = 40_000


def _log(factor: float) -> int:
    return round(_STEPS * math.log(factor))


@lru_cache(maxsize=64)
def _logs(shape: Shape, tail: float) -> list[int]:
    """Response times in microseconds as logarithms, as many of each as there are in the shape."""
    misses = round(_POPULATION * shape.misses)
    modes = ((shape.median, _POPULATION - misses), (shape.miss_median, misses))
    micros = sorted(
        1000 * shape.quantile((number + 0.5) / count, median)
        for median, count in modes
        for number in range(count)
    )
    tenth = _POPULATION - _POPULATION // 10
    return [_log(time * (tail if rank >= tenth else 1.0)) for rank, time in enumerate(micros)]


def _recorded(micros: float) -> int:
    """Eleven bits, which is what a histogram of three digits keeps."""
    whole = max(1, int(micros))
    shift = max(0, whole.bit_length() - 11)
    return whole >> shift << shift


_RECORDED = [_recorded(math.exp(log / _STEPS)) for log in range(_log(3.6e9))]
"""Microseconds by their logarithm, up to an hour."""


def _errors(
    sent: Sequence[int], share: float, incident: float, rng: random.Random
) -> Sequence[int]:
    """The errors of each block; those of one incident follow each other."""
    ends = list(accumulate(sent))
    found = [0] * len(sent)
    block = 0
    for position in _failed(ends[-1], share, incident, rng):
        while position >= ends[block]:
            block += 1
        found[block] += 1
    return found


def _failed(requests: int, share: float, incident: float, rng: random.Random) -> Iterator[int]:
    """Which requests fail, in order."""
    if not share:
        return
    position = 0
    while True:
        # the gaps between independent events are geometric; what they start is as long on average
        position += int(math.log(1 - rng.random()) / math.log1p(-share / incident))
        size = 1 + int(rng.expovariate(1 / (incident - 0.5))) if incident > 1 else 1
        if position >= requests:
            return
        yield from range(position, min(position + size, requests))
        position += size


def _facts(
    blocks: Sequence[Counter[int]], sent: Sequence[int], errors: Sequence[int], seconds: float
) -> RunFacts:
    together: Counter[int] = Counter()
    for block in blocks:
        together.update(block)
    requests, failed = sum(sent), sum(errors)
    return RunFacts(
        history_id=1,
        verdict="PASS",
        fingerprint="same",
        planned=requests,
        sent=requests,
        completed=requests,
        errors=failed,
        error_classes={"5xx": failed},
        quantiles_ms=_quantiles(together, requests),
        generator_saturated=False,
        blocks=[sorted(block.items()) for block in blocks],
        seconds=seconds,
        block_counts=[
            BlockCounts(
                float(SECONDS_PER_BLOCK * block),
                float(SECONDS_PER_BLOCK * (block + 1)),
                count,
                {"errors": bad, "errors_5xx": bad},
            )
            for block, (count, bad) in enumerate(zip(sent, errors, strict=True))
        ],
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


def judged(run: RunFacts, history_id: int) -> RunFacts:
    """The same run as the one that is to be judged now."""
    return replace(run, history_id=history_id, verdict=None)
