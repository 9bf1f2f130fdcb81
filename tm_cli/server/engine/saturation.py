"""Whether the machine or the target, and not the plan, set the pace."""

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path

from tm_cli.values.failures import NOT_LOST

LATE = 0.010
"""Seconds; a calm dispatcher is within about one millisecond."""

# One hiccup of 25 ms a second makes 2.5 % of the requests late: every shared machine has those.
_TOO_MANY = 0.05
_BUSY = 0.90  # share of one core; more leaves requests waiting for Python
_IDLE = 0.70  # below this the machine has room to spare
_NEAR_TIMEOUT = 0.80
_MOSTLY = 0.5
LASTING = 2
"""Samples in a row."""


@dataclass(frozen=True, slots=True)
class LoadSample:
    """The measurements of about one second.

    Shares of the requests, 0 to 1: `late` were handed to the slots more than `LATE` seconds after
    they were due, `held` were really sent so late, `lost` got no response at all or were never
    sent. `cpu` is a share of one core. `is_full`: at some moment all slots were taken.
    `service_p99`: the time from sending to the end of the response, as a share of the timeout.
    `thinking`: the share of the time of the slots in which visitors were thinking.
    """

    late: float = 0.0
    held: float = 0.0
    lost: float = 0.0
    cpu: float = 0.0
    is_full: bool = False
    service_p99: float = 0.0
    thinking: float = 0.0

    @property
    def has_too_few_slots(self) -> bool:
        """Whether requests wait for slots that are mostly taken by visitors who think."""
        return self.held > _TOO_MANY and self.is_full and self.thinking >= _MOSTLY


@dataclass(frozen=True, slots=True)
class Flags:
    """Signs of saturation.

    Generator: this machine could not keep the rate. Downstream: the target could not, its p99
    comes near the request timeout or it holds every slot. Flaky dispatch: a good share of the
    requests got no answer.
    """

    generator_saturated: bool = False
    downstream_saturated: bool = False
    flaky_dispatch: bool = False


def any_flags(flags: Iterable[Flags]) -> Flags:
    every = list(flags)
    return Flags(
        **{flag.name: any(getattr(one, flag.name) for one in every) for flag in fields(Flags)}
    )


def signs(sample: LoadSample) -> Flags:
    is_strained = sample.cpu > _BUSY or sample.late > _TOO_MANY
    is_held = sample.held > _TOO_MANY
    # Waiting for a slot is the target's doing only if this machine was clearly not the limit.
    is_held_by_target = is_held and sample.is_full and not is_strained and sample.cpu < _IDLE
    is_held_by_target &= not sample.has_too_few_slots
    return Flags(
        generator_saturated=is_strained or (is_held and not is_held_by_target),
        downstream_saturated=is_held_by_target or sample.service_p99 >= _NEAR_TIMEOUT,
        flaky_dispatch=sample.lost > _TOO_MANY,
    )


class Saturation:
    """Raises a flag whose sign lasts, and remembers it."""

    def __init__(self) -> None:
        self._streaks: Counter[str] = Counter()
        self._ever: set[str] = set()

    def observe(self, sample: LoadSample) -> None:
        seen = signs(sample)
        for flag in fields(Flags):
            name = flag.name
            self._streaks[name] = self._streaks[name] + 1 if getattr(seen, name) else 0
            if self._streaks[name] >= LASTING:
                self._ever.add(name)

    @property
    def now(self) -> Flags:
        return Flags(**{name: True for name, n in self._streaks.items() if n >= LASTING})

    @property
    def ever(self) -> Flags:
        return Flags(**dict.fromkeys(self._ever, True))


@dataclass(slots=True)
class ReportWindow:
    """Measurements of about one second. Durations are seconds.

    `lags`: from due to handed over; `waits`: from due to sent; `services`: from sent to ended.
    `most_in_flight` is that of the side with the most.
    """

    lags: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    services: list[float] = field(default_factory=list)
    most_in_flight: int = 0
    failed: int = 0
    unsent: int = 0

    def began(self, wait: float, in_flight: int) -> None:
        self.waits.append(wait)
        self.most_in_flight = max(self.most_in_flight, in_flight)

    def ended(self, service: float, result: int | str) -> None:
        self.services.append(service)
        if isinstance(result, str):
            self.failed += not result.startswith(NOT_LOST)


def p99(values: list[float]) -> float:
    """The 99th percentile (nearest rank); 0 without values."""
    if not values:
        return 0.0
    return sorted(values)[math.ceil(len(values) * 0.99) - 1]


def share_above(values: list[float], limit: float) -> float:
    """The share of the values above the limit, 0 to 1; 0 without values."""
    return sum(value > limit for value in values) / len(values) if values else 0.0


class CpuPressure:
    """The share of the time in which some task waited for a CPU, by Linux (PSI).

    That of the own control group, which in a container is the container, else of the machine.
    `monotonic` gives seconds; `root` is the directory of `proc` and `sys`.
    """

    def __init__(self, monotonic: Callable[[], float], root: Path = Path("/")) -> None:
        self._monotonic = monotonic
        candidates = (_own_group(root), root / "proc/pressure/cpu")
        self._file = next((path for path in candidates if _waited(path) is not None), None)
        self.begin()

    def begin(self) -> None:
        self._began = self._monotonic(), self._read()

    def share(self) -> float | None:
        """From 0 to 1 since `begin`; None where it is not measured."""
        (since, before), now = self._began, self._read()
        seconds = self._monotonic() - since
        if before is None or now is None or seconds <= 0:
            return None
        return round(min(max((now - before) / seconds, 0.0), 1.0), 4)

    def _read(self) -> float | None:
        return _waited(self._file) if self._file else None


def _own_group(root: Path) -> Path:
    """The file of this process's group in the unified hierarchy; it may not be there."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        lines = []
    group = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), "")
    return root / "sys/fs/cgroup" / group.lstrip("/") / "cpu.pressure"


def _waited(path: Path) -> float | None:
    """Seconds in which some task has waited, as `some avg10=0.00 ... total=MICROSECONDS` says."""
    try:
        kind, *pairs = path.read_text(encoding="utf-8").split("\n", 1)[0].split()
        numbers = dict(pair.split("=", 1) for pair in pairs)
        return int(numbers["total"]) / 1e6 if kind == "some" else None
    except (OSError, ValueError, KeyError):
        return None
