"""The quota of an embedded server, as `GET /account` reports and start enforces it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quota:
    """Counts and rates; the rate of a curve is clamped to the cap, everything else is refused."""

    profiles: int = 1000
    concurrent_runs: int = 4
    profile_rps: int = 10_000
    schedule_slots: int = 100
    notify_emails: int = 10
    header_count: int = 64
    requests_per_minute: int = 600
