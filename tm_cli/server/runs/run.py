"""A run as it is started, and how runs can end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum, unique
from typing import Any


@unique
class RunOutcome(StrEnum):
    """How a run ended; only COMPLETED is ever judged."""

    COMPLETED = "COMPLETED"
    STOPPED = "STOPPED"
    REPLACED = "REPLACED"
    INTERRUPTED = "INTERRUPTED"
    ABORTED = "ABORTED"


@dataclass(frozen=True, slots=True)
class ServerRun:
    """One execution of a profile.

    `traits` are what the fingerprint is made of, by name. `against_url` is the second target of
    an A/B run. `gate` are the thresholds that differ from the defaults, `selected_baseline` how a
    baseline was selected ("asked", "pinned") and its history id.
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
    selected_baseline: tuple[str, int] | None = None

    @property
    def curve_end(self) -> float:
        """The curve second after which nothing is planned; a loop has none."""
        return math.inf if self.loop else self.duration
