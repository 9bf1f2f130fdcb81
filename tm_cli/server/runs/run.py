"""What is known of a run when it starts, and how a run can end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum, unique
from typing import Any


@unique
class Outcome(StrEnum):
    """How a run ended; only COMPLETED is ever judged."""

    COMPLETED = "COMPLETED"
    STOPPED = "STOPPED"
    REPLACED = "REPLACED"
    INTERRUPTED = "INTERRUPTED"
    ABORTED = "ABORTED"


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a profile.

    `traits` are what the fingerprint is made of, by name. `against_url` is the other target of a
    duet. `gate` are the limits that differ from the defaults, `wish` how a baseline was named
    ("asked", "pinned") and its history id.
    """

    run_id: str
    profile_id: int
    profile_name: str
    target_url: str
    region: str
    tags: tuple[str, ...]
    triggered_by: str
    fingerprint: str
    duration: float
    loop: bool
    started_at: datetime
    traits: Mapping[str, str] = field(default_factory=dict)
    against_url: str | None = None
    gate: Mapping[str, Any] = field(default_factory=dict)
    wish: tuple[str, int] | None = None

    @property
    def curve_end(self) -> float:
        """The curve second after which nothing is planned; a loop has none."""
        return math.inf if self.loop else self.duration
