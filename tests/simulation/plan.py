"""Faults, and the plan that says which request meets which.

A fault is a kind and whether the server has acted before the answer was lost or spoilt. Kinds fall
into three groups: the answer never arrives (`LOST`), it is an error (`STATUSES`), or it arrives
spoilt, in the ways of each system (`Menu.spoilt`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from tests.simulation.bodies import Spoil
from tests.simulation.messages import Reply


@dataclass(frozen=True, slots=True)
class Loss:
    """What a lost answer proves: whether bytes may have left, and whether time ran out."""

    maybe_sent: bool
    takes_timeout: bool = False


LOST = {
    "dns": Loss(False),
    "refused": Loss(False),
    "connect-timeout": Loss(False, takes_timeout=True),
    "tls": Loss(False),
    "proxy": Loss(False),
    "pool-timeout": Loss(False, takes_timeout=True),
    "hang": Loss(True, takes_timeout=True),
    "drip": Loss(True, takes_timeout=True),
    "reset": Loss(True),
    "cut-connection": Loss(True),
    "write-error": Loss(True),
    "write-timeout": Loss(True, takes_timeout=True),
    "protocol": Loss(True),
}
UNSENT = tuple(sorted(kind for kind, loss in LOST.items() if not loss.maybe_sent))

TRANSIENT_STATUSES = frozenset(
    {"408", "425", "429", "429-html", "500", "502", "503", "503-html", "504"}
)
FINAL_STATUSES = frozenset({"400", "401", "403", "404", "405", "409", "413", "422"})
REDIRECTS = frozenset({"301", "302", "303", "307", "308"})
ODD_STATUSES = frozenset({"203", "204", "206", "299", "304"})
PAGES = frozenset({"401-html", "403-html", "404-html", "410-html", "501-html", "521-html"})
"""Error statuses of something in front of the API; the API itself sends JSON."""

STATUSES = TRANSIENT_STATUSES | FINAL_STATUSES | PAGES | REDIRECTS | ODD_STATUSES
NO_ACCESS = frozenset({"401", "403"})

RETRY_AFTERS = (
    "0", "1", "7", "30", "120", "300", "301", "999999999", "", "-5", "1e9", "nan", "inf", "+5",
    "1_000", "٣", "9" * 400, "2, 3", "Sun, 01 Mar 2026 12:10:00 GMT", "Sun, 01 Mar 99999 12:10:00",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault; `acted` says that its effect happened although the answer was lost."""

    kind: str
    acted: bool = False
    arg: int = 0

    @property
    def cell(self) -> str:
        """The cell of the coverage table beside its endpoint."""
        return f"{self.kind}/{'after' if self.acted else 'before'}"

    def retry_after(self) -> str | None:
        """What the answer's Retry-After says, garbage included; None when it has none."""
        if self.kind not in TRANSIENT_STATUSES or self.arg % 3 == 0:
            return None
        return RETRY_AFTERS[self.arg % len(RETRY_AFTERS)]


Plan = Mapping[str, tuple[Fault | None, ...]]
"""For each endpoint the faults of its requests in order; None lets one pass, as does the end."""

Cell = tuple[str, str, bool]
"""A row of the coverage table: endpoint, kind of fault, and whether the server has acted."""


@dataclass(frozen=True)
class Menu:
    """The faults that can befall the requests of one system.

    After a status of `refusals` the API has surely not acted. `decisive` are the spoilt answers
    that are well formed and say something wrong. `errors` are error answers of this system alone,
    and `rides_out` those statuses and errors that say nothing of a run when they answer a read.
    """

    endpoints: tuple[str, ...]
    spoilt: Mapping[str, Spoil]
    decisive: frozenset[str]
    refusals: frozenset[str]
    errors: Mapping[str, Reply] = field(default_factory=dict)
    rides_out: frozenset[str] = frozenset()

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        return (*LOST, *sorted(STATUSES), *self.spoilt, *self.errors, "slow")

    @cached_property
    def never_acted(self) -> frozenset[str]:
        """Kinds that prove that nothing was started."""
        return self.refusals | NO_ACCESS | {"401-html", "403-html"} | frozenset(UNSENT)

    @cached_property
    def transient(self) -> frozenset[str]:
        """Kinds that say nothing of a run when they befall a read: tm must ride them out."""
        return (
            frozenset(LOST) | TRANSIENT_STATUSES | REDIRECTS | ODD_STATUSES | {"slow"}
            | (frozenset(self.spoilt) - self.decisive) | self.rides_out
        )  # fmt: skip

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """The coverage table."""
        return tuple(
            (endpoint, kind, acted)
            for endpoint in self.endpoints
            for kind in self.kinds
            for acted in self.possible_phases(endpoint, kind)
        )

    def possible_phases(self, endpoint: str, kind: str) -> tuple[bool, ...]:
        """The values that `acted` can have; only for a start is there a difference to see."""
        if endpoint != "start" or kind in self.never_acted:
            return (False,)
        if kind in self.spoilt or kind == "slow":
            return (True,)
        return (False, True)
