"""What happened between tm and the world, as operations that were invoked and how they ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.simulation.messages import Reply
from tests.simulation.plan import Fault


@dataclass(slots=True)
class Op:
    """One request; `outcome` is ok, fail (it cannot have acted) or info (nobody can tell).

    `key` is what it can be recognised by when it is repeated, `path` where it went.
    """

    number: int
    endpoint: str
    page: str
    began: float
    ended: float = -1.0
    outcome: str = "info"
    fault: Fault | None = None
    reply: Reply | None = None
    key: str = ""
    path: str = ""


@dataclass(slots=True)
class Recording:
    """One invocation of tm: its requests, what it said, how it ended, and the world as it is.

    `attached` says that tm waits for a run that was there before, and starts none.
    """

    world: Any
    ops: list[Op] = field(default_factory=list)
    moments: list[tuple[float, str]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    signals: list[tuple[float, int]] = field(default_factory=list)
    wall_offsets: list[float] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    exit_code: int | None = None
    slug: str | None = None
    run_id: str | None = None
    broken: str | None = None
    attached: bool = False
    ended: float = 0.0

    def moment(self, kind: type) -> float | None:
        """When the last event of this kind came; None when it never did."""
        name = kind.__name__
        return next((at for at, event in reversed(self.moments) if event == name), None)

    def starts(self) -> list[Op]:
        return [op for op in self.ops if op.endpoint == "start"]

    def fingerprint(self) -> tuple[Any, ...]:
        """What must not change when only spelling or the wall clock does."""
        return self.exit_code, [(op.endpoint, op.page) for op in self.ops]
