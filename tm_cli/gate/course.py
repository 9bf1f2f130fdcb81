"""How a run went over time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Moment:
    """Some seconds of a run around second `t`; rates per second, times in milliseconds.

    `bad` is the share of the requests that failed, 0 to 1. None is what the server did not say.
    """

    t: float
    rps: float | None = None
    planned: float | None = None
    bad: float | None = None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


Course = tuple[Moment, ...]
"""The moments of a run, in order of time."""
