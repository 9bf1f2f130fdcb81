"""What is known of a run when it starts, and how a run can end."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum, unique


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
    """One execution of a profile."""

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

    @property
    def curve_end(self) -> float:
        """The curve second after which nothing is planned; a loop has none."""
        return math.inf if self.loop else self.duration
