"""Sums up the buckets of a run for its history row."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, compress
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from tm_cli.server.engine.saturation import Flags
from tm_cli.server.engine.schedule import BUCKET_SECONDS
from tm_cli.server.judge.facts import BlockCounts, Times
from tm_cli.server.profiles import Wire
from tm_cli.server.runs.progress import middle, rate, ratios
from tm_cli.server.validation import (
    MAX_COUNT,
    Count,
    Counts,
    Finite,
    Measure,
    UnreadableHistogram,
    highest_equivalent,
    merge_encoded,
)
from tm_cli.server.workers.engine_events import (
    EngineBucket,
    EngineFinished,
    FollowUpCounts,
    LatestCounts,
    ScriptCounts,
    StepBucket,
    errors_of,
)
from tm_cli.values.failures import error_class
from tm_cli.values.text import sanitize

QUANTILES = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p99.9": 99.9}


Series = list[dict[str, Measure | None]]
Quantiles = dict[str, Measure]


def _check_quantiles(points: Series) -> Series:
    for point in points:
        _ = point["p50"], point["p95"], point["p99"]
    return points


LatencySeries = Annotated[Series, AfterValidator(_check_quantiles)]


class JudgedCounts(Wire):
    """What is judged of a run with a warm-up, or of one of its sides."""

    planned: Count
    sent: Count
    total_requests: Count
    total_errors: Count
    response_codes: Counts


class StepResults(Wire):
    """What is judged of one step of a run, or of one of its sides, as the history keeps it."""

    total_requests: Count
    total_errors: Count
    response_codes: Counts
    latency_quantiles: Quantiles


class SideResults(Wire):
    """The results of an A/B run's second target, as the history keeps and shows them."""

    planned: Count
    sent: Count
    total_requests: Count
    total_errors: Count
    avg_rps: Measure
    peak_rps: Measure
    success_rate: Finite | None
    response_codes: Counts
    addresses: Counts = Field(default_factory=dict)
    bodies: Counts = Field(default_factory=dict)
    repeated: Count = 0
    latency_quantiles: Quantiles
    rps_series: Series
    latency_series: LatencySeries
    judged: JudgedCounts | None = None
    steps: dict[str, StepResults] = Field(default_factory=dict)

    @classmethod
    def of(cls, results: Results) -> SideResults:
        return cls(
            planned=results.planned,
            sent=results.sent,
            total_requests=results.completed,
            total_errors=results.errors,
            avg_rps=results.average_rps,
            peak_rps=results.peak_rps,
            success_rate=results.success_rate,
            response_codes=results.codes,
            addresses=results.addresses,
            bodies=results.bodies,
            repeated=results.repeated,
            latency_quantiles=results.quantiles_ms,
            rps_series=results.rps_series,
            latency_series=results.latency_series,
            judged=results.judged,
            steps=dict(results.steps),
        )


@dataclass(frozen=True, slots=True)
class Results:
    """Totals, quantiles (milliseconds) and series of one run; `elapsed` is curve time.

    Those of an A/B run are of the profile's target; `against` are those of the second one.
    `addresses` are the requests by address of the target, `bodies` the bytes of bodies by status,
    `repeated` the requests that were sent again on a new connection. With a warm-up the quantiles
    and `steps` are of what comes after it, and `judged` are the counts of that; all else is of the
    whole run.
    `cpu_pressure`: the share of the time in which tasks waited for a CPU of the load generator.
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
    bodies: dict[str, int] = field(default_factory=dict)
    repeated: int = 0
    against: Results | None = None
    judged: JudgedCounts | None = None
    steps: Mapping[str, StepResults] = field(default_factory=dict)
    cpu_pressure: float | None = None
    script: ScriptCounts | None = None

    def with_counts(self, counts: LatestCounts) -> Results:
        """The results with what is counted by target and not by bucket."""
        against = self.against and _counted(self.against, counts, 1)
        return replace(_counted(self, counts, 0), against=against)

    @property
    def average_rps(self) -> float:
        return round(self.sent / self.elapsed, 3) if self.elapsed > 0 else 0.0

    @property
    def peak_rps(self) -> float:
        return max((float(point["rps"]) for point in self.rps_series), default=0.0)

    @property
    def success_rate(self) -> float | None:
        """Percentage of the completed requests that did not fail; None without requests."""
        if not self.completed:
            return None
        return round((self.completed - self.errors) * 100 / self.completed, 4)


def _counted(results: Results, counts: LatestCounts, side: int) -> Results:
    transfers = counts.transfers.get(side)
    return replace(
        results,
        addresses=counts.addresses.get(side, {}),
        bodies=transfers.bodies if transfers else {},
        repeated=transfers.repeated if transfers else 0,
    )


def summarize(
    buckets: Sequence[EngineBucket],
    *,
    curve_end: float,
    finished: EngineFinished | None = None,
    elapsed: float | None = None,
    flags: Flags | None = None,
    warmup: float = 0.0,
) -> Results:
    """Sum up a run; without the engine's final event its totals are those of the buckets.

    Nothing is planned from curve second `curve_end` on. The shortfall is known to the engine alone.
    The first `warmup` seconds are not judged.
    The sides of an A/B run are summed up separately, with the totals of their buckets.
    """
    duration = finished.elapsed if finished else elapsed
    if duration is None:  # the engine is gone
        duration = max((bucket.index + 1 for bucket in buckets), default=0) * BUCKET_SECONDS
    flags = finished.flags if finished else flags or Flags()
    own, other = ([bucket for bucket in buckets if bucket.side == side] for side in (0, 1))
    if not other:
        results = _side(own, duration, curve_end, flags, finished, warmup=warmup)
    else:
        is_complete = finished is not None and finished.completed_curve
        results, against = (
            _side(side, duration, curve_end, flags, is_complete=is_complete, warmup=warmup)
            for side in (own, other)
        )
        results = replace(results, against=against)
    return replace(results, cpu_pressure=finished.cpu_pressure if finished else None)


def _side(
    buckets: Sequence[EngineBucket],
    duration: float,
    curve_end: float,
    flags: Flags,
    finished: EngineFinished | None = None,
    *,
    is_complete: bool = False,
    warmup: float,
) -> Results:
    planned = finished.planned if finished else sum(bucket.planned for bucket in buckets)
    sent = finished.sent if finished else sum(bucket.sent for bucket in buckets)
    shortfall = finished.shortfall if finished else planned - sent if is_complete else 0
    completed = sum(bucket.completed for bucket in buckets)
    errors = sum(bucket.errors for bucket in buckets)
    codes = codes_of(buckets)
    if max(planned, sent, completed, errors, *codes.values()) > MAX_COUNT:
        raise ValueError("the load generator counted more requests than there can be")
    judged = stretch(buckets, warmup)
    return Results(
        elapsed=duration,
        planned=planned,
        sent=sent,
        completed=completed,
        errors=errors,
        shortfall=shortfall,
        flags=flags,
        codes=codes,
        quantiles_ms=quantiles(judged),
        judged=count(judged) if warmup else None,
        rps_series=[_rps_point(bucket, duration, curve_end) for bucket in buckets],
        latency_series=[_latency_point(bucket) for bucket in buckets],
    )


def summarize_partial(buckets: Sequence[EngineBucket], **facts: Any) -> tuple[Results, str | None]:
    """Like `summarize`, but without unreadable response times; also return the problem, if any."""
    try:
        results = summarize(buckets, **facts)
    except UnreadableHistogram as error:
        return summarize([replace(bucket, response="") for bucket in buckets], **facts), str(error)
    finished: EngineFinished | None = facts.get("finished")
    kept = sum(bucket.completed for bucket in buckets)
    if finished and finished.completed != kept:
        counted = finished.completed
        return results, f"the load generator counted {counted} responses, its buckets hold {kept}"
    return results, None


def no_results() -> Results:
    return summarize([], curve_end=0.0)


def error_classes(codes: Mapping[str, int]) -> dict[str, int]:
    """How many requests ended in each class of error.

    `codes`: responses by status code, and failures by the name of what happened.
    """
    counts: Counter[str] = Counter()
    for code, count in codes.items():
        if name := error_class(code):
            counts[name] += count
    return dict(counts)


def metrics(results: Results) -> dict[str, Any]:
    """What a cleanup script gets."""
    script = results.script
    return {
        "total": results.completed,
        "ok": results.completed - results.errors,
        "err": results.errors,
        "scriptOk": script.ok if script else 0,
        "scriptErrors": script.errors if script else 0,
        "durationSec": round(results.elapsed, 3),
        "effectiveRps": results.average_rps,
    }


def script_stats(counts: ScriptCounts) -> dict[str, Any]:
    """Calls of a response script, as the history keeps them."""
    return {
        "ok": counts.ok,
        "errors": counts.errors,
        "skipped": counts.skipped,
        "messages": _cleaned(counts.messages),
        "console": [sanitize(line) for line in counts.console],
    }


def _cleaned(messages: Mapping[str, int]) -> dict[str, int]:
    """The messages of a script, which are hostile text, fit to be stored."""
    found: Counter[str] = Counter()
    for text, count in messages.items():
        found[sanitize(text)] += count
    return dict(found)


def secondary_stats(counts: FollowUpCounts) -> dict[str, Any]:
    """Requests that a response script has asked for; they are not judged."""
    try:
        found = quantiles_of(times_of(counts.response))
    except UnreadableHistogram:
        found = {}
    return {
        "sent": counts.sent,
        "completed": counts.completed,
        "errors": errors_of(counts.codes, counts.failures),
        "refused": counts.refused,
        "dropped": counts.dropped,
        "responseCodes": dict(sorted({**counts.codes, **counts.failures}.items())),
        "latencyQuantiles": found,
    }


def successes(codes: Mapping[str, int]) -> dict[str, int]:
    """Responses by status, of those that are no errors."""
    return {code: count for code, count in codes.items() if code.isdigit() and int(code) < 400}


def mean_body(codes: Mapping[str, int], bodies: Mapping[str, int]) -> float | None:
    """The mean size in bytes of the bodies of successful responses; None if it is not known."""
    found = successes(codes)
    if not bodies or not sum(found.values()):
        return None
    return sum(bodies.get(code, 0) for code in found) / sum(found.values())


def stretch(
    buckets: Iterable[EngineBucket], begin: float, end: float = math.inf
) -> list[EngineBucket]:
    """The buckets from second `begin` to `end`, which are bounds of buckets, counted from 0."""
    first, beyond = begin / BUCKET_SECONDS, end / BUCKET_SECONDS
    return [
        replace(bucket, index=bucket.index - int(first))
        for bucket in buckets
        if first <= bucket.index < beyond
    ]


def count(buckets: Sequence[EngineBucket]) -> JudgedCounts:
    return JudgedCounts(
        planned=sum(bucket.planned for bucket in buckets),
        sent=sum(bucket.sent for bucket in buckets),
        total_requests=sum(bucket.completed for bucket in buckets),
        total_errors=sum(bucket.errors for bucket in buckets),
        response_codes=codes_of(buckets),
    )


def codes_of(buckets: Iterable[EngineBucket | StepBucket]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for bucket in buckets:
        counts.update(bucket.codes)
        counts.update(bucket.failures)
    return dict(sorted(counts.items()))


def quantiles(buckets: Iterable[EngineBucket]) -> dict[str, float]:
    """Quantiles over all buckets; histograms merge without loss, quantiles would not."""
    merged = merge_encoded(bucket.response for bucket in buckets)
    if not merged.get_total_count():
        return {}
    return {
        name: round(merged.get_value_at_percentile(percent) / 1000, 3)
        for name, percent in QUANTILES.items()
    }


def _rps_point(bucket: EngineBucket, elapsed: float, curve_end: float) -> dict[str, Any]:
    ok, bad = ratios(bucket)
    return {
        "t": middle(bucket.index),
        "rps": rate(bucket.sent, bucket.index, elapsed),
        "planned": rate(bucket.planned, bucket.index, curve_end),
        "okRatio": ok,
        "badRatio": bad,
    }


def _latency_point(bucket: EngineBucket) -> dict[str, Any]:
    return {
        "t": middle(bucket.index),
        "p50": bucket.p50_ms,
        "p95": bucket.p95_ms,
        "p99": bucket.p99_ms,
    }


_MAX_BLOCKS = 40


def buckets_per_block(count: int) -> int:
    return -(-count // _MAX_BLOCKS) or 1


def blocks(buckets: Sequence[EngineBucket], whole: int = 0) -> list[Times]:
    """Join the buckets of one side to at most 40 blocks of equal length.

    Comparable runs have the same number of buckets, so their blocks cover the same stretches; a run
    that was stopped early has the same blocks if `whole` is that number. Raises
    UnreadableHistogram.
    """
    joined, _ = _joined(buckets, whole)
    return [times_of(bucket.response for bucket in part) for part in joined]


def block_counts(
    buckets: Sequence[EngineBucket], begin: float = 0.0, whole: int = 0
) -> list[BlockCounts]:
    """How the requests of each of the `blocks` ended; the first one starts at second `begin`."""
    joined, seconds = _joined(buckets, whole)
    return [
        BlockCounts(
            begin + index * seconds,
            begin + (index + 1) * seconds,
            sum(bucket.completed for bucket in part),
            ended(part),
        )
        for index, part in enumerate(joined)
    ]


def _joined(buckets: Sequence[EngineBucket], whole: int) -> tuple[list[list[EngineBucket]], float]:
    """The buckets of each block, and the length of a block in seconds."""
    count = max((bucket.index for bucket in buckets), default=-1) + 1
    size = buckets_per_block(max(whole, count))
    joined: list[list[EngineBucket]] = [[] for _ in range(-(-count // size))]
    for bucket in buckets:
        joined[bucket.index // size].append(bucket)
    return joined, size * BUCKET_SECONDS


def ended(buckets: Sequence[EngineBucket | StepBucket]) -> dict[str, int]:
    """How the requests of some buckets ended, by metric."""
    codes = codes_of(buckets)
    counts = {"errors": sum(bucket.errors for bucket in buckets)}
    counts |= {f"errors_{name}": count for name, count in error_classes(codes).items()}
    return counts | {f"status_{code}": count for code, count in successes(codes).items()}


def times_of(encoded: Iterable[str]) -> Times:
    """The response times in some histograms, in microseconds; raises UnreadableHistogram."""
    merged = merge_encoded(encoded)
    # ten times quicker than the library's iterator, which works out much more
    counts = merged.counts[: merged.get_counts_array_index(merged.max_value) + 1]
    taken = compress(range(len(counts)), counts)
    return [(max(merged.get_value_from_index(at), 1), counts[at]) for at in taken]


def quantiles_of(times: Times) -> Quantiles:
    """The quantiles of response times as a histogram of them has them, in milliseconds."""
    up_to = list(accumulate(count for _, count in times))
    if not up_to:
        return {}
    ranks = {name: max(int(share * up_to[-1] / 100 + 0.5), 1) for name, share in QUANTILES.items()}
    return {
        name: round(highest_equivalent(times[bisect_left(up_to, rank)][0]) / 1000, 3)
        for name, rank in ranks.items()
    }
