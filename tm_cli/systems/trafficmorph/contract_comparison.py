"""Comparisons in the fields of the API contract (its section 11), for servers that have no others.

Response times are means over the buckets of a run, compared by Welch's test; rates are placed among
the differences of earlier runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tm_cli.api.trafficmorph.models import RunComparison
from tm_cli.gate.comparison import Comparison
from tm_cli.systems.trafficmorph.snapshots import MOST
from tm_cli.text import clean
from tm_cli.values.numbers import as_number


def read_contract_comparison(answer: RunComparison) -> tuple[Comparison, ...]:
    """Return what the contract's own fields say; `value` is of the newer run."""
    return tuple(_read(answer))[:MOST]


def _read(answer: RunComparison) -> Iterator[Comparison]:
    for name, entry in _entries(answer.latency):
        yield Comparison(
            metric=f"{name} (mean of buckets)",
            unit="ms",
            value=as_number(entry.get("meanA")),
            baseline=as_number(entry.get("meanB")),
            change=as_number(entry.get("deltaPercent")),
            p_value=as_number(entry.get("pValue")),
            significant=entry.get("significant") is True,
        )
    shares = {"success": answer.success_comparison, "errors": answer.error_comparison}
    for name, entry in _entries(shares):
        yield _share(name, entry)
    for code, entry in _entries(answer.response_code_comparisons):
        yield _share(f"responses {code}", entry)


def _share(name: str, entry: Mapping[str, Any]) -> Comparison:
    found = entry.get("bootstrap")
    bootstrap = found if isinstance(found, Mapping) else {}
    return Comparison(
        metric=name,
        unit="%",
        value=as_number(entry.get("valueA")),
        baseline=as_number(entry.get("valueB")),
        change=as_number(entry.get("delta")),
        p_value=as_number(bootstrap.get("pValue")),
        significant=bootstrap.get("significant") is True,
    )


def _entries(document: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(document, Mapping):
        for name, entry in document.items():
            if isinstance(entry, Mapping):
                yield clean(name), entry
