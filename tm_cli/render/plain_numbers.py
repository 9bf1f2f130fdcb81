"""What was measured of a run beside response times, such as the score of each scenario."""

from __future__ import annotations

from tm_cli.gate.comparison import Comparison
from tm_cli.gate.evidence import Result


def plain_numbers(result: Result | None) -> list[Comparison]:
    """Return what was compared, and every other metric that is one number; each name once."""
    found: dict[str, Comparison] = {}
    for item in (*result.comparisons, *_metrics(result)) if result else ():
        found.setdefault(item.metric, item)
    return list(found.values())


def _metrics(result: Result) -> list[Comparison]:
    return [
        Comparison(name, value=value)
        for name, value in result.metrics.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
