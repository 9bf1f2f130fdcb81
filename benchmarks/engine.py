"""The load engine compared with wrk, hey, plain Locust, vegeta and k6, within one run.

    python benchmarks/engine.py [--quick] [SECTION ...]

Sections: throughput, cpu, clean, curve, freeze, memory; all of them unless named. The target has
one core of the machine, the generator another; rounds are interleaved and medians compared, so that
what else the machine does hits all alike. vegeta and k6 take part where they are installed. Exits
with 1 when a bar is missed, 69 without another tool.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from generators import machine, nginx, patient_target, tools
from generators.patient_target import Log

from tm_cli.values.load.curve import Curve

UNAVAILABLE = 69
FREEZE_EVERY = 10.0  # seconds
PERCENTS = [95.0, 99.0, 99.9]


@dataclass(frozen=True)
class Row:
    """A line of the table; without `bar` it is only shown."""

    what: str
    measured: float
    unit: str = "x"
    bar: float | None = None
    at_most: bool = False

    @property
    def is_missed(self) -> bool:
        """Whether the measurement is on the wrong side of its bar."""
        if self.bar is None:
            return False
        return self.measured > self.bar if self.at_most else self.measured < self.bar

    def __str__(self) -> str:
        bar, answer = "", ""
        if self.bar is not None:
            bar = f"{'<=' if self.at_most else '>='} {self.bar:g} {self.unit}"
            answer = "MISSED" if self.is_missed else "ok"
        number = f"{self.measured:,.0f}" if self.measured >= 1000 else f"{self.measured:.3g}"
        return f"{self.what:<64} {number:>9} {self.unit:<4} {bar:<12} {answer}".rstrip()


@dataclass(frozen=True)
class Size:
    """How much is measured: rounds, and seconds."""

    rounds: int = 5
    throughput: float = 3.0
    cpu: float = 6.0
    clean: float = 5.0
    curve: float = 30.0
    freeze: float = 30.0
    hours: int = 48


QUICK = Size(rounds=1, throughput=2.0, cpu=3.0, clean=3.0, curve=10.0, freeze=10.0, hours=6)


def throughput(size: Size) -> Iterator[Row]:
    """Requests per second of processor time, as many at once as go."""
    rates: dict[str, list[float]] = {"wrk": [], "hey": [], "locust": [], "engine": []}
    with nginx.serving() as url:
        for _ in range(size.rounds):
            rates["wrk"].append(tools.wrk(url, size.throughput))
            rates["hey"].append(tools.hey(url, size.throughput))
            locust = tools.locust_rate(url, size.throughput)
            rates["locust"].append(locust)
            # far more than it can do, so that it never waits for the next request
            played = tools.engine(url, size.throughput + 2, [(0, 4 * locust)])
            rates["engine"].append(played.rate)
    for name, values in rates.items():
        yield Row(f"requests per processor second, {name}", statistics.median(values), "/s")
    bars = {"locust": 1.8, "hey": 0.25, "wrk": None}
    for name, bar in bars.items():
        ratio = statistics.median(map(_quotient, rates["engine"], rates[name]))
        yield Row(f"throughput of the engine / {name}", ratio, bar=bar)


def cpu(size: Size) -> Iterator[Row]:
    """Processor time of one request at a fixed rate."""
    others = {"vegeta": tools.vegeta_cpu, "k6": tools.k6_cpu}
    for name in [name for name in others if not tools.is_installed(name)]:
        print(f"{name} is not installed, so there is no comparison with it")
        del others[name]
    for rate, bars in ((1000.0, {}), (5000.0, {"vegeta": 1.3, "engine": 1 / 0.9})):
        spent: dict[str, list[float]] = defaultdict(list)
        with nginx.serving() as url:
            for _ in range(size.rounds):
                played = tools.engine(url, size.cpu + 2, [(0, rate)])
                spent["engine"].append(played.cpu_per_request)
                played = tools.distributed(url, size.cpu + 2, [(0, rate)], 1)
                spent["engine as a Locust worker"].append(played.cpu_per_request)
                for name, measure in others.items():
                    spent[name].append(measure(url, size.cpu, rate))
        for name, values in spent.items():
            yield Row(f"{name}, {rate:,.0f}/s", statistics.median(values) * 1e6, "us")
        pairs = [("engine as a Locust worker", "engine"), *(("engine", name) for name in others)]
        for ours, theirs in pairs:
            ratio = statistics.median(map(_quotient, spent[ours], spent[theirs]))
            yield Row(f"{ours} / {theirs}, {rate:,.0f}/s", ratio, "x", bars.get(theirs), True)


def clean(size: Size) -> Iterator[Row]:
    """The highest rate at which requests leave on time, as a share of plain Locust's most."""
    best = 0.0
    with nginx.serving() as url:
        for share in (0.5, 0.75, 1.0):
            delays = [_delay(url, share, size) for _ in range(size.rounds)]
            delay = statistics.median(delays) * 1000
            yield Row(f"p99 of response - service at {share:g} x plain Locust's most", delay, "ms")
            if delay > 10:
                break
            best = share
    yield Row("clean rate (response within 10 ms of service) / Locust's most", best, bar=0.5)


def _delay(url: str, share: float, size: Size) -> float:
    """Seconds by which the p99 of response times exceeds that of service times."""
    rate = share * tools.locust_rate(url, size.throughput)
    played = tools.engine(url, size.clean, [(0, rate)])
    if played.finished["shortfall"]:
        return float("inf")
    return played.quantiles("response", [99.0])[0] - played.quantiles("service", [99.0])[0]


def curve(size: Size) -> Iterator[Row]:
    """A ramp up and down, as it arrives at the target; error per second as % of the mean rate."""
    points = [(0.0, 50.0), (size.curve / 2, 800.0), (size.curve, 50.0)]
    plan = Curve(points, size.curve, "LINEAR")
    mean = plan.expected(size.curve) / size.curve
    ours, theirs = [], []
    for _ in range(min(size.rounds, 3)):
        with patient_target.serving() as target:
            played = tools.engine(target.url, size.curve, points)
            ours.append(_curve_error(plan, target.log(), played.started) * 100 / mean)
        with patient_target.serving() as target:
            since = tools.locust_shape(target.url, size.curve, points)
            log = target.log()
        # in its favour: at the start that suits it best
        shifts = [since + tenth / 10 for tenth in range(-10, 31)]
        theirs.append(min(_curve_error(plan, log, start) for start in shifts) * 100 / mean)
    yield Row("error of the curve at the target, engine", statistics.median(ours), "%", 0.5, True)
    yield Row("error of the curve at the target, Locust's shape", statistics.median(theirs), "%")
    ratio = statistics.median(map(_quotient, ours, theirs))
    yield Row("error of the engine / error of Locust's shape", ratio, "x", 0.1, True)


def _curve_error(plan: Curve, log: Log, start: float) -> float:
    """Mean absolute difference of planned and arrived requests, over the seconds of the curve."""
    seconds = range(int(plan.duration))
    arrived = [0] * len(seconds)
    for arrival in log.arrivals:
        second = int(arrival - start) if arrival >= start else -1
        if second in seconds:
            arrived[second] += 1
    planned = [plan.expected(b) - plan.expected(a) for a, b in pairwise([*seconds, len(seconds)])]
    return statistics.mean(abs(a - p) for a, p in zip(arrived, planned, strict=True))


def freeze(size: Size) -> Iterator[Row]:
    """Response times of a target that freezes for one second in ten, at 300 requests per second."""
    rate, users = 300.0, 10
    seen = [_open_response(size, rate) for _ in range(min(size.rounds, 3))]
    for index, percent in enumerate(PERCENTS):
        true = statistics.median(truth[index] for truth, _ in seen)
        yield Row(f"p{percent:g}, truth", true * 1000, "ms")
        errors = [abs(own[index] - truth[index]) * 100 / truth[index] for truth, own in seen]
        yield Row(f"p{percent:g}, engine: off by", statistics.median(errors), "%", 3, True)
    truth = seen[-1][0]
    for name, closed in (
        (f"hey, {users} connections", tools.closed_hey),
        (f"Locust, {users} users", tools.closed_locust),
    ):
        with patient_target.serving(FREEZE_EVERY) as target:
            values = _quantiles(closed(target.url, size.freeze, users, rate))
        for percent, true, value in zip(PERCENTS, truth, values, strict=True):
            yield Row(f"p{percent:g}, {name} (closed): too low by", true / value)


def _open_response(size: Size, rate: float) -> tuple[list[float], list[float]]:
    """The quantiles of the truth, and those that the engine tells (seconds)."""
    with patient_target.serving(FREEZE_EVERY) as target:
        played = tools.engine(target.url, size.freeze, [(0, rate)])
        truth = _truth(target.log(), played.started, size.freeze, rate)
    return _quantiles(truth), played.quantiles("response", PERCENTS)


def _truth(log: Log, start: float, duration: float, rate: float) -> list[float]:
    """What visitors who come evenly have to wait, whatever a generator made of it (seconds)."""
    due = (start + (number + 0.5) / rate for number in range(round(duration * rate)))
    return [_wait(log, moment) for moment in due]


def _wait(log: Log, moment: float) -> float:
    for begin, end in log.freezes:
        if begin - log.service <= moment < end:
            return max(end - moment, log.service)
    return log.service


def _quantiles(seconds: Sequence[float]) -> list[float]:
    ordered = sorted(seconds)
    return [ordered[min(int(len(ordered) * p / 100), len(ordered) - 1)] for p in PERCENTS]


def memory(size: Size) -> Iterator[Row]:
    """The memory at the end of a long profile."""
    [engine] = _megabytes(size.hours)
    yield Row(f"load generator after {size.hours} h", engine, "MB", 150, True)
    engine, server = _megabytes(size.hours, 50)
    yield Row(f"load generator after {size.hours} h, 50 steps", engine, "MB", 200, True)
    yield Row(f"server after {size.hours} h, 50 steps", server, "MB", 200, True)


def _megabytes(*arguments: int) -> list[float]:
    command = [sys.executable, "-m", "generators.two_days", *map(str, arguments)]
    done = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, cwd=machine.HERE)
    return [json.loads(line)["megabytes"] for line in done.stdout.splitlines()]


def _quotient(ours: float, theirs: float) -> float:
    return ours / theirs


SECTIONS: dict[str, Callable[[Size], Iterator[Row]]] = {
    "throughput": throughput,
    "cpu": cpu,
    "clean": clean,
    "curve": curve,
    "freeze": freeze,
    "memory": memory,
}


def main() -> int:
    """Measure, print the table, and judge."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sections", nargs="*", help=", ".join(SECTIONS))
    parser.add_argument("--quick", action="store_true", help="short runs, one round")
    options = parser.parse_args()
    if unknown := set(options.sections) - set(SECTIONS):
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    if missing := machine.lacking():
        print(*missing, sep="\n", file=sys.stderr)
        return UNAVAILABLE
    is_missed = False
    for name in options.sections or SECTIONS:
        print(f"-- {name}: {SECTIONS[name].__doc__}", flush=True)
        for row in SECTIONS[name](QUICK if options.quick else Size()):
            print(row, flush=True)
            is_missed |= row.is_missed
    return 1 if is_missed else 0


if __name__ == "__main__":
    sys.exit(main())
