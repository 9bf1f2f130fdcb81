"""What the judge needs to know of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tm_cli.values.thresholds import Stretch

Times = Sequence[tuple[int, int]]
"""Response times of some requests: ascending (microseconds, how many)."""

ERROR_CLASSES = ("4xx", "5xx", "status", "check", "timeout", "connection")


@dataclass(frozen=True, slots=True)
class BlockCounts:
    """How the requests of one block ended, between two seconds of the curve.

    `counts`: by metric, such as `errors`, `errors_5xx` or `status_204`.
    """

    start: float
    end: float
    completed: int
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class RunFacts:
    """A finished run in numbers, or one side of an A/B run.

    `verdict`: the stored verdict of an earlier run, None for the run being judged. `fingerprint`:
    equal for runs that may be compared; `traits` are what it is made of, by name. `errors`:
    requests without a response, and responses of status 400 and above; `error_classes` splits
    them into `ERROR_CLASSES`. `quantiles_ms`: response times by name, such as "p95". `blocks`:
    response times by stretches of the curve, in order, the same stretches for comparable runs;
    empty where they are not needed. `block_counts`: how the requests of each block ended.
    `seconds`: the duration on the curve. `age`: seconds from its end to the judgement. `notes`:
    what went wrong with the machines that sent the load. `pinned`: the pinned run by which this one
    was judged, if it was. `addresses`: requests by address of the target; empty where that is not
    known. `statuses`: responses by status below 400; `mean_body`: the mean size of their bodies in
    bytes, None where that is not known. `repeated`: requests that were sent again because their
    idle connection had been closed. `warmup`: seconds at the beginning that are in none of these
    numbers, save in addresses, bodies and `repeated`. `cpu_pressure`: the share of the time, 0 to
    1, in which some task waited for a CPU of the load generator's machine, None where that is not
    known. `stretches`: what is known of parts of the curve, of those that have limits of their own.
    `stopped_after`: the second after which a run ended because its verdict was known, None for a
    whole run. `runner_class`: the kind of machine that sent the load, None where that is not known;
    `assumed_spread`: what was measured there of the spread between runs, None without that.
    `steps`: the same of each step, by name, where an arrival is several requests.
    `excludes_fail`: whether its own comparison could exclude a rise that fails, None if unknown.
    """

    history_id: int
    verdict: str | None
    fingerprint: str
    planned: int
    sent: int
    completed: int
    errors: int
    quantiles_ms: Mapping[str, float]
    generator_saturated: bool
    error_classes: Mapping[str, int] = field(default_factory=dict)
    blocks: Sequence[Times] = ()
    block_counts: Sequence[BlockCounts] = ()
    traits: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    age: float | None = None
    notes: tuple[str, ...] = ()
    pinned: int | None = None
    addresses: Mapping[str, int] = field(default_factory=dict)
    statuses: Mapping[str, int] = field(default_factory=dict)
    mean_body: float | None = None
    repeated: int = 0
    warmup: float = 0.0
    stretches: Mapping[Stretch, RunFacts] = field(default_factory=dict)
    cpu_pressure: float | None = None
    stopped_after: float | None = None
    runner_class: str | None = None
    assumed_spread: float | None = None
    excludes_fail: bool | None = None
    steps: Mapping[str, RunFacts] = field(default_factory=dict)

    @property
    def error_rate(self) -> float:
        return self.share(self.errors)

    @property
    def shortfall(self) -> float:
        """Requests that were planned but never sent, as a percentage of the plan."""
        return 100 * max(0, self.planned - self.sent) / self.planned if self.planned else 0.0

    @property
    def throughput(self) -> float:
        return self.completed / self.seconds if self.seconds > 0 else 0.0

    @property
    def can_be_baseline(self) -> bool:
        """Whether other runs may be compared with this one: most of its requests succeeded."""
        return self.completed > 2 * self.errors

    @property
    def neglected(self) -> list[str]:
        """Addresses with less than half of an even share: requests take turns, if all answer."""
        even = sum(self.addresses.values()) / max(1, len(self.addresses))
        return [address for address, got in self.addresses.items() if got < even / 2]

    def spread_from(self, other: RunFacts, default: float) -> float:
        """The spread between runs to assume; machines of two classes differ more than one."""
        own = self.assumed_spread or default
        return own if self.runner_class == other.runner_class else max(own, default)

    def share(self, count: int) -> float:
        return 100 * count / self.completed if self.completed else 0.0


class StepFacts(Mapping[str, RunFacts]):
    """What is known of steps, worked out when it is asked for: few of many runs are looked at."""

    def __init__(self, names: Iterable[str], make: Callable[[str], RunFacts]) -> None:
        self._known: dict[str, RunFacts | None] = dict.fromkeys(names)
        self._make = make

    def __getitem__(self, name: str) -> RunFacts:
        known = self._known[name]
        if known is None:
            known = self._known[name] = self._make(name)
        return known

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)
