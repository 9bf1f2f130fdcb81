"""A history row in the words of the gate."""

from __future__ import annotations

import json
from typing import Any

from tm_cli.api.trafficmorph.models import HistoryRow
from tm_cli.gate.evidence import Result
from tm_cli.gate.verdict import read_verdict
from tm_cli.text import clean

_METRICS = (
    "totalRequests",
    "totalErrors",
    "avgRps",
    "peakRps",
    "successRate",
    "latencyQuantiles",
)


def as_result(row: HistoryRow) -> Result:
    """Return what a history row says of its run, in the words of the gate."""
    facts = row.document()
    cut_off = row.outcome not in (None, "", "COMPLETED")
    verdict_text = None if cut_off else row.auto_verdict or None
    return Result(
        run_id=row.run_id or None,
        verdict=read_verdict(verdict_text),
        verdict_text=verdict_text,
        reasons=_reasons(row.auto_verdict_reasons),
        metrics={name: facts.get(name) for name in _METRICS},
        facts=facts,
        final=cut_off,
        note=f"the run was {clean(row.outcome).lower()}, so it has no verdict" if cut_off else None,
    )


def _reasons(document: Any) -> tuple[str, ...]:
    """Reasons are a list of sentences on most servers; anything else is shown as it is."""
    if document in (None, "", [], {}):
        return ()
    items = document if isinstance(document, list) else [document]
    return tuple(clean(item if isinstance(item, str) else json.dumps(item)) for item in items)
