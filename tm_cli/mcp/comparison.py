"""How two ended runs differ, in the form of the published `tm_compare_runs`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tm_cli.api.trafficmorph import HistoryRow, RunComparison
from tm_cli.backends.trafficmorph.results import NUMBERS, REGRESSION, newer_first
from tm_cli.values.text import as_number


def differences(first: HistoryRow, second: HistoryRow) -> dict[str, Any]:
    """Return the metrics and quantiles of two runs side by side, `a` the newer one."""
    newer, older = newer_first(first, second)
    a, b = newer.document(), older.document()
    pairs = {name: (a.get(name), b.get(name), worse) for name, (_, worse) in NUMBERS.items()}
    both = _object(a.get("latencyQuantiles")), _object(b.get("latencyQuantiles"))
    for name in both[0]:
        pairs[f"latency_{name}"] = (both[0][name], both[1].get(name), 1)
    deltas = {name: _delta(*pair) for name, pair in pairs.items()}
    return {
        "run_id": newer.id,
        "baseline_run_id": older.id,
        "verdict_change": {"run": newer.auto_verdict, "baseline": older.auto_verdict},
        "deltas": {name: delta for name, delta in deltas.items() if delta is not None},
    }


def _delta(a: Any, b: Any, worse: int) -> dict[str, Any] | None:
    if as_number(a) is None or as_number(b) is None:
        return None
    if b == 0:
        return {"a": a, "b": b, "delta_pct": None, "delta_abs": a - b}
    percent = (a - b) / b * 100
    found = {"a": a, "b": b, "delta_pct": round(percent, 2)}
    return {**found, "regression": True} if percent * worse > REGRESSION else found


def significance(answer: RunComparison) -> dict[str, Any]:
    """Return which differences the server takes for more than chance, without its charts."""
    latency = {
        quantile: {
            "a": found.get("meanA"),
            "b": found.get("meanB"),
            "delta_pct": found.get("deltaPercent"),
            "p_value": found.get("pValue"),
            "significant": found.get("significant"),
        }
        for quantile, found in _object(answer.latency).items()
        if isinstance(found, Mapping)
    }
    codes = _object(answer.response_code_comparisons)
    found = {
        "latency": latency,
        "success": _count(answer.success_comparison),
        "errors": _count(answer.error_comparison),
        "response_codes": {code: _count(item) for code, item in codes.items()},
    }
    other = {"not_comparable": answer.not_comparable} if answer.not_comparable else {}
    return {"significance": found, **other}


def _count(found: Any) -> dict[str, Any] | None:
    if not isinstance(found, Mapping):
        return None
    chance = _object(found.get("bootstrap"))
    return {
        "a": found.get("valueA"),
        "b": found.get("valueB"),
        "delta": found.get("delta"),
        "p_value": chance.get("pValue"),
        "significant": chance.get("significant"),
    }


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
