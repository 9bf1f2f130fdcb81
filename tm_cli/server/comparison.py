"""The response of `GET /history/compare`: two runs of a profile side by side."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tm_cli.server.judge.baseline import differences
from tm_cli.server.judge.difference import against_history, welch
from tm_cli.server.judge.findings import BASELINE
from tm_cli.server.judge.verdict import compare
from tm_cli.server.regions import display_name
from tm_cli.server.store.stored_rows import StoredRow
from tm_cli.server.verdicts import Judge, thresholds_of

_QUANTILES = ("p50", "p95", "p99")


def comparison(judge: Judge, newer: StoredRow, older: StoredRow) -> dict[str, Any]:
    """Compare two rows of one profile; `runA` is the newer one (section 11 of the contract).

    `comparisons` is the judge's comparison of these two, thresholds and noise included. It is empty
    where they are not comparable, and `notComparable` is the reason. Raises ValueError when the
    measurements of one are damaged.
    """
    difference = differences(judge.facts(older), judge.facts(newer))
    earlier = judge.earlier(newer)
    return {
        "runA": _head(newer),
        "runB": _head(older),
        "latency": {name: welch(_series(newer, name), _series(older, name)) for name in _QUANTILES},
        "successComparison": against_history(
            _success(newer), _success(older), [_success(row) for row in earlier]
        ),
        "errorComparison": against_history(
            100 - _success(newer), 100 - _success(older), [100 - _success(row) for row in earlier]
        ),
        "responseCodeComparisons": {
            code: against_history(
                _share(newer, code), _share(older, code), [_share(row, code) for row in earlier]
            )
            for code in sorted(_codes(newer) | _codes(older))
        },
        "notComparable": difference,
        "comparisons": [] if difference else _judged(judge, newer, older, earlier),
    }


def _judged(
    judge: Judge, newer: StoredRow, older: StoredRow, earlier: Sequence[StoredRow]
) -> list[dict[str, Any]]:
    passed = [judge.facts(row) for row in reversed(earlier) if row["auto_verdict"] == "PASS"]
    run, other = judge.measured(newer), judge.measured(older)
    found = compare(run, other, thresholds_of(newer), than=BASELINE, passed=passed, is_named=True)
    return [finding.document() for finding in found]


def _head(row: StoredRow) -> dict[str, Any]:
    return {
        "id": row["id"],
        "profileName": row["profile_name"],
        "startedAt": row["started_at"],
        "durationSeconds": row["duration_seconds"],
        "totalRequests": row["total_requests"],
        "totalErrors": row["total_errors"],
        "avgRps": row["avg_rps"],
        "region": row["region"],
        "regionDisplayName": display_name(row["region"]),
        "tags": json.loads(row["tags"]),
    }


def _series(row: StoredRow, name: str) -> list[float]:
    points = json.loads(row["latency_series"])
    return [point[name] for point in points if point[name] is not None]


def _success(row: StoredRow) -> float:
    return 100.0 if row["success_rate"] is None else float(row["success_rate"])


def _codes(row: StoredRow) -> set[str]:
    return set(json.loads(row["response_codes"]))


def _share(row: StoredRow, code: str) -> float:
    total = row["total_requests"]
    return float(100 * json.loads(row["response_codes"]).get(code, 0) / total) if total else 0.0
