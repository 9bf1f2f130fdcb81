"""Five-second buckets as points of a series."""

from __future__ import annotations

from tm_cli.server.engine.plan import BUCKET_SECONDS
from tm_cli.server.engine_events import EngineBucket


def middle(index: int) -> float:
    return index * BUCKET_SECONDS + BUCKET_SECONDS / 2


def rate(count: int, index: int, end: float) -> float:
    """`count` per second over the part of the bucket that lies before curve second `end`.

    A part shorter than a second counts as one: a few requests at its very beginning are no peak.
    """
    part = min(BUCKET_SECONDS, end - index * BUCKET_SECONDS)
    return round(count / max(part, 1.0), 3)


def ratios(bucket: EngineBucket) -> tuple[float, float]:
    """The shares of good (2xx) and bad (4xx, 5xx, failed) outcomes; 0 and 0 without any."""
    if not bucket.completed:
        return 0.0, 0.0
    good = sum(count for code, count in bucket.codes.items() if 200 <= int(code) < 300)
    return round(good / bucket.completed, 6), round(bucket.errors / bucket.completed, 6)
