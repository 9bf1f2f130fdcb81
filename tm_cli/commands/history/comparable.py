"""Which runs of a profile can be compared with each other, and their numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any

from tm_cli.api.trafficmorph import HistoryRow
from tm_cli.backends.trafficmorph.results import second_target_metrics
from tm_cli.cli.session import CommandContext
from tm_cli.commands.history.rows import HistoryRows
from tm_cli.commands.history.show import with_details
from tm_cli.commands.shared.profile_argument import ProfileRef
from tm_cli.values.text import as_number

METRICS = ("p50", "p95", "p99", "errors")
MANY = 20  # runs whose details are read one by one before that is said

_ALIKE_SECONDS, _ALIKE_RATE = 0.05, 0.1
"""Relative differences of runs whose load is not known better."""

_LEAST_MS, _MOST_MS = 1e-6, 1e12
"""What a server says beyond these is not a response time."""


def read_runs(
    session: CommandContext, profile: ProfileRef, most: int, filters: Mapping[str, Any]
) -> list[HistoryRow]:
    """Return the newest rows with their response times, oldest first."""
    rows = HistoryRows(session, {"profileId": profile.profile_id, **filters})
    found = list(islice(rows, most))
    bare = sum(row.latency_quantiles is None for row in found)
    if bare > MANY:
        session.note(f"tm: reading {bare} runs of the history one by one")
    return [with_details(session, row) for row in reversed(found)]


def comparable_runs(rows: Sequence[HistoryRow]) -> tuple[list[HistoryRow], dict[str, int]]:
    """Return the runs with the load of the newest one, and count the others by reason."""
    left_out: dict[str, int] = {}

    def keep(found: Sequence[HistoryRow], reason: str, rule: Callable[[HistoryRow], bool]) -> Any:
        kept = [row for row in found if rule(row)]
        if len(kept) < len(found):
            left_out[reason] = len(found) - len(kept)
        return kept

    found = keep(rows, "not completed", _is_complete)
    found = keep(found, "A/B runs", _is_single)
    if not found:
        return [], left_out
    newest = found[-1]
    found = keep(found, "with another load", lambda row: _is_same_load(row, newest))
    longest = max(as_number(row.duration_seconds) or 0.0 for row in found)
    return keep(found, "shorter", lambda row: _is_whole(row, longest)), left_out


def is_comparable(row: HistoryRow, other: HistoryRow) -> bool:
    """Whether two runs are of one profile, and both whole with the same load."""
    return row.profile_id == other.profile_id and len(comparable_runs([row, other])[0]) == 2


def _is_complete(row: HistoryRow) -> bool:
    return row.outcome in (None, "", "COMPLETED") and bool(row.total_requests)


def _is_single(row: HistoryRow) -> bool:
    return row.against_url is None and second_target_metrics(row.document()) is None


def _is_same_load(row: HistoryRow, newest: HistoryRow) -> bool:
    """Whether two runs had the same load; without a fingerprint, judged by what they sent."""
    if newest.load_fingerprint is not None:
        return row.load_fingerprint == newest.load_fingerprint
    same = (row.target_url, row.region) == (newest.target_url, newest.region)
    return same and _is_near(row.avg_rps, newest.avg_rps, _ALIKE_RATE)


def _is_near(value: Any, other: Any, share: float) -> bool:
    one, two = as_number(value), as_number(other)
    return one is None or two is None or abs(one - two) <= share * max(one, two)


def _is_whole(row: HistoryRow, longest: float) -> bool:
    return _is_near(row.duration_seconds, longest, _ALIKE_SECONDS)


def metric_of(metric: str, row: HistoryRow) -> float | None:
    """Return the number of a run; response times of one that mostly failed say nothing."""
    total, errors = row.total_requests or 0, row.total_errors
    if metric == "errors":
        is_possible = errors is not None and total > 0 and 0 <= errors <= total
        return 100 * (errors or 0) / total if is_possible else None
    quantiles = row.latency_quantiles
    if not isinstance(quantiles, Mapping) or (errors is not None and 2 * errors >= total):
        return None
    value = as_number(quantiles.get(metric))
    return value if value is not None and _LEAST_MS <= value <= _MOST_MS else None
