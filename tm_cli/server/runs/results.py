"""What remains of a run: its buckets summed up into one history row. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tm_cli.server.histograms import UnreadableHistogram, add_encoded, new_histogram
from tm_cli.server.judge.facts import Times
from tm_cli.server.numbers import MOST
from tm_cli.server.runs.progress import WIDTH, middle, rate, ratios
from tm_cli.server.workers.engine_events import Bucket, Finished, Flags

QUANTILES = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p99.9": 99.9}


@dataclass(frozen=True, slots=True)
class Results:
    """Totals, quantiles (milliseconds) and series of one run; `elapsed` is curve time.

    Those of a duet are of the profile's own target; `against` are those of the other one.
    `addresses` says how many requests each address of the target got.
    """

    elapsed: float
    planned: int
    sent: int
    completed: int
    errors: int
    shortfall: int
    flags: Flags
    codes: dict[str, int]
    quantiles_ms: dict[str, float]
    rps_series: list[dict[str, Any]]
    latency_series: list[dict[str, Any]]
    addresses: dict[str, int] = field(default_factory=dict)
    against: Results | None = None

    def with_addresses(self, sides: Mapping[int, dict[str, int]]) -> Results:
        """The results with the requests by address, which are counted for each side."""
        against = self.against and replace(self.against, addresses=sides.get(1, {}))
        return replace(self, addresses=sides.get(0, {}), against=against)

    @property
    def average_rps(self) -> float:
        """Requests per second of curve time."""
        return round(self.sent / self.elapsed, 3) if self.elapsed > 0 else 0.0

    @property
    def peak_rps(self) -> float:
        """The rate of the busiest bucket."""
        return max((float(point["rps"]) for point in self.rps_series), default=0.0)

    @property
    def success_rate(self) -> float | None:
        """Percent of the requests with an outcome that did not fail; None without requests."""
        if not self.completed:
            return None
        return round((self.completed - self.errors) * 100 / self.completed, 4)


def summarise(
    buckets: Sequence[Bucket],
    *,
    curve_end: float,
    finished: Finished | None = None,
    elapsed: float | None = None,
    flags: Flags | None = None,
) -> Results:
    """Sum up a run; without the engine's last word its totals are those of the buckets.

    Nothing is planned from curve second `curve_end` on. The shortfall is known to the engine alone.
    In a duet both sides are summed up by themselves, and the totals are those of their buckets.
    """
    played = finished.elapsed if finished else elapsed
    if played is None:  # nobody is left to ask
        played = max((bucket.index + 1 for bucket in buckets), default=0) * WIDTH
    flags = finished.flags if finished else flags or Flags()
    own, other = ([bucket for bucket in buckets if bucket.side == side] for side in (0, 1))
    if not other:
        return _side(own, played, curve_end, flags, finished)
    is_complete = finished is not None and finished.completed_curve
    against = _side(other, played, curve_end, flags, is_complete=is_complete)
    return replace(_side(own, played, curve_end, flags, is_complete=is_complete), against=against)


def _side(
    buckets: Sequence[Bucket],
    played: float,
    curve_end: float,
    flags: Flags,
    finished: Finished | None = None,
    *,
    is_complete: bool = False,
) -> Results:
    planned = finished.planned if finished else sum(bucket.planned for bucket in buckets)
    sent = finished.sent if finished else sum(bucket.sent for bucket in buckets)
    shortfall = finished.shortfall if finished else planned - sent if is_complete else 0
    completed = sum(bucket.completed for bucket in buckets)
    errors = sum(bucket.errors for bucket in buckets)
    codes = _codes(buckets)
    if max(planned, sent, completed, errors, *codes.values()) > MOST:
        raise ValueError("the load generator counted more requests than there can be")
    return Results(
        elapsed=played,
        planned=planned,
        sent=sent,
        completed=completed,
        errors=errors,
        shortfall=shortfall,
        flags=flags,
        codes=codes,
        quantiles_ms=_quantiles(bucket.response for bucket in buckets),
        rps_series=[_rps_point(bucket, played, curve_end) for bucket in buckets],
        latency_series=[_latency_point(bucket) for bucket in buckets],
    )


def salvage(buckets: Sequence[Bucket], **facts: Any) -> tuple[Results, str | None]:
    """Like `summarise`, but leave unreadable response times out; also say what is wrong, if any."""
    try:
        results = summarise(buckets, **facts)
    except UnreadableHistogram as error:
        return summarise([replace(bucket, response="") for bucket in buckets], **facts), str(error)
    finished: Finished | None = facts.get("finished")
    kept = sum(bucket.completed for bucket in buckets)
    if finished and finished.completed != kept:
        told = finished.completed
        return results, f"the load generator counted {told} responses, its buckets hold {kept}"
    return results, None


def no_results() -> Results:
    """What is known of a run whose measurements cannot be read."""
    return summarise([], curve_end=0.0)


def other_side(results: Results) -> dict[str, Any]:
    """The results of a duet's other target, as the history keeps and shows them."""
    return {
        "planned": results.planned,
        "sent": results.sent,
        "totalRequests": results.completed,
        "totalErrors": results.errors,
        "avgRps": results.average_rps,
        "peakRps": results.peak_rps,
        "successRate": results.success_rate,
        "responseCodes": results.codes,
        "addresses": results.addresses,
        "latencyQuantiles": results.quantiles_ms,
        "rpsSeries": results.rps_series,
        "latencySeries": results.latency_series,
    }


def error_classes(codes: Mapping[str, int]) -> dict[str, int]:
    """How many requests ended in each class of error: 4xx, 5xx, timeout, connection.

    `codes`: responses by status code, and failures by the name of what happened.
    """
    counts: Counter[str] = Counter()
    for code, count in codes.items():
        if not code.isdigit():
            counts["timeout" if "timeout" in code.lower() else "connection"] += count
        elif int(code) >= 400:
            counts["4xx" if int(code) < 500 else "5xx"] += count
    return dict(counts)


def _codes(buckets: Iterable[Bucket]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for bucket in buckets:
        counts.update(bucket.codes)
        counts.update(bucket.failures)
    return dict(sorted(counts.items()))


def _quantiles(encoded: Iterable[str]) -> dict[str, float]:
    """Quantiles over all buckets; histograms merge without loss, quantiles would not."""
    merged = new_histogram()
    for text in encoded:
        add_encoded(merged, text)
    if not merged.get_total_count():
        return {}
    return {
        name: round(merged.get_value_at_percentile(percent) / 1000, 3)
        for name, percent in QUANTILES.items()
    }


def _rps_point(bucket: Bucket, elapsed: float, curve_end: float) -> dict[str, Any]:
    ok, bad = ratios(bucket)
    return {
        "t": middle(bucket.index),
        "rps": rate(bucket.sent, bucket.index, elapsed),
        "planned": rate(bucket.planned, bucket.index, curve_end),
        "okRatio": ok,
        "badRatio": bad,
    }


def _latency_point(bucket: Bucket) -> dict[str, Any]:
    return {
        "t": middle(bucket.index),
        "p50": bucket.p50_ms,
        "p95": bucket.p95_ms,
        "p99": bucket.p99_ms,
    }


_MOST_BLOCKS = 40


def blocks(buckets: Sequence[Bucket]) -> list[Times]:
    """Join the buckets of one side to at most 40 blocks of equal length.

    Comparable runs have the same number of buckets, so their blocks cover the same stretches.
    Raises UnreadableHistogram.
    """
    count = max((bucket.index for bucket in buckets), default=-1) + 1
    size = -(-count // _MOST_BLOCKS) or 1
    joined: list[list[str]] = [[] for _ in range(-(-count // size))]
    for bucket in buckets:
        joined[bucket.index // size].append(bucket.response)
    return [_times(texts) for texts in joined]


def _times(encoded: Iterable[str]) -> Times:
    merged = new_histogram()
    for text in encoded:
        add_encoded(merged, text)
    # ten times quicker than the library's iterator, which works out much more
    counts = enumerate(merged.counts[: merged.counts_len])
    return [(max(merged.get_value_from_index(at), 1), count) for at, count in counts if count]
