"""One worker of a crew, as its leader sees it."""

from __future__ import annotations

from dataclasses import dataclass, field

from tm_cli.server.engine.saturation import Flags
from tm_cli.server.engine_events import Finished


@dataclass(slots=True)
class Member:
    """A worker; `heard_at` and `now` are seconds of one monotonic clock.

    `addresses`: requests by address, for each side of an A/B run.
    """

    name: str
    heard_at: float
    is_ready: bool = False
    is_lost: bool = False
    is_moving: bool = False
    finished: Finished | None = None
    sent: int = 0
    now_flags: Flags = field(default_factory=Flags)
    addresses: dict[int, dict[str, int]] = field(default_factory=dict)
    _second: float = 0.0

    @property
    def is_live(self) -> bool:
        """Whether more can be expected of it."""
        return not self.is_lost and self.finished is None

    def hear(self, now: float) -> None:
        """It has said something."""
        if self.is_moving:
            self._second += now - self.heard_at
        self.heard_at = now

    def stand(self, second: float, now: float, *, is_moving: bool) -> None:
        """It said where on the curve it is."""
        self.heard_at, self._second, self.is_moving = now, second, is_moving

    def second(self, now: float) -> float:
        """Where on the curve it is by now, as far as one can tell."""
        return self._second + (now - self.heard_at if self.is_moving else 0.0)
