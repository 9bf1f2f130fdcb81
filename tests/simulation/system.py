"""What the engine asks of a simulated system: one module `tests.simulation.<name>.system` for each.

The other parts (plan, nemesis, clock, wire, recorder, checkers, shrinking, volume) know no system.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from tests.simulation.messages import Reply, Request
from tests.simulation.plan import Menu

if TYPE_CHECKING:
    from tests.simulation.raw_seam import Simulation
    from tests.simulation.recorder import Recording
    from tests.simulation.schedules import Schedule

NAMES = ("trafficmorph", "runloop", "strait")


class Truth(Protocol):
    """How a world behaves by itself: a frozen dataclass with a default for every field."""

    system: ClassVar[str]


class World(Protocol):
    """Everything that is so on a service, whatever anybody was told. It imports nothing of tm."""

    @property
    def started_by_us(self) -> Sequence[Any]:
        """The runs that our starts have made."""
        ...

    def blows(self) -> Mapping[str, Callable[[Any], Callable[[], None] | None]]:
        """What can befall it, by name; takes the size of the blow.

        A blow that passes returns what ends it, after as many seconds as its size.
        """
        ...


class Api(Protocol):
    """Answers requests, with all their effects on the world."""

    def answer(self, request: Request) -> Reply: ...

    def endpoint_of(self, request: Request) -> str:
        """Name what a request asks for: the rows of the coverage table."""
        ...


@dataclass(frozen=True)
class Subject:
    """What the gate follows: tm's own object for the runs of this system, and checks.

    `attach_to` is the run that is there already; None when tm starts one.
    """

    runs: Any
    checks: tuple[Any, ...] = ()
    attach_to: Any = None


@dataclass(frozen=True)
class Dialect:
    """How the requests of a system look, and what the checkers read from their names.

    `before_start` renames endpoints until the start is sent. `scan` is the endpoint that is read
    to find a result. A Retry-After of an `unpaced` endpoint need not be waited for. `connection`
    are the fields of tm's Connection, beside server and key, and `explain` reads error bodies.
    tm allows itself `per_minute` requests, where it counts them. `refuse` has the effect that an
    error of the plan, in answer to a start, has on the server itself.
    """

    before_start: Mapping[str, str]
    scan: str
    unpaced: frozenset[str]
    connection: Mapping[str, Any]
    explain: Callable[[Any], Any]
    repeats_under_a_key: bool = False
    per_minute: int | None = None
    refuse: Callable[[Any, Request, Reply], None] = lambda _api, _request, _reply: None


class System(Protocol):
    """The names that a module `tests.simulation.<name>.system` has."""

    MENU: Menu
    DIALECT: Dialect
    CHECKS: tuple[Callable[[Schedule, Recording], Iterator[str]], ...]

    def make_world(self, truth: Any, now: Callable[[], float]) -> World: ...

    def make_api(self, world: Any, *, style: int) -> Api: ...

    def generate(self, seed: int) -> Schedule: ...

    def open_gate(self, simulation: Simulation, transport: Any) -> Subject:
        """Do what comes before the gate, and return what it follows; raises TmError."""
        ...

    def must_be_decided(self, schedule: Schedule) -> bool:
        """Whether tm must find the true verdict: nothing but reads that fail for a while."""
        ...

    def expected(self, schedule: Schedule, recording: Recording) -> str:
        """The true verdict, where it must be found."""
        ...

    def said(self, schedule: Schedule, recording: Recording) -> list[Any]:
        """What the received answers, read by rules of our own, say last of our run."""
        ...

    def true(self, schedule: Schedule, recording: Recording) -> set[str | None]:
        """The verdicts that our run truly had while it was read last."""
        ...

    def ever(self, schedule: Schedule, recording: Recording) -> set[str | None]:
        """Every verdict that our run has truly had."""
        ...

    def start_was_answered(self, recording: Recording) -> bool:
        """Whether a well-formed answer to a start of ours arrived."""
        ...

    def recognised_ours(self, recording: Recording) -> bool:
        """Whether tm follows our run, although no answer named it."""
        ...


@cache
def system_named(name: str) -> System:
    return import_module(f"tests.simulation.{name}.system")  # type: ignore[return-value]


def system_of(schedule: Schedule) -> System:
    return system_named(schedule.truth.system)
