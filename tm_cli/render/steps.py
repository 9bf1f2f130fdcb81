"""The steps of a run, the worst first: for terminals, and as rows for every other format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tm_cli.gate.model import Comparison, LiveStep, Step
from tm_cli.render.tables import columns, milliseconds, percent, rate
from tm_cli.runtime.terminal import Terminal
from tm_cli.values.text import as_number

HEAD = ("STEP", "REQUESTS", "ERRORS", "P50", "P95", "P99", "P95 CHANGE", "VERDICT")
_LEAST = ("P50", "P99", "P95 CHANGE")
"""Columns that a narrow table does without."""
MOST_SHOWN = 10
_LONGEST = 40


def step_cells(step: Step) -> tuple[str, ...]:
    """Return the cells of `HEAD`; "-" is unknown."""
    quantiles = step.metrics.get("latencyQuantiles") or {}
    change = next((item.change for item in step.comparisons if item.metric == "p95"), None)
    return (
        step.name,
        _count(step.metrics.get("totalRequests")),
        _count(step.metrics.get("totalErrors")),
        *(milliseconds(as_number(quantiles.get(name))) for name in ("p50", "p95", "p99")),
        "-" if change is None else f"{change:+.1f} %",
        step.verdict or "-",
    )


def described(step: Step) -> list[str]:
    """Return name and known numbers of a step as words."""
    named = zip(HEAD[1:-1], step_cells(step)[1:-1], strict=True)
    return [f"step {step.name}", *(f"{n.lower()} {cell}" for n, cell in named if cell != "-")]


def _count(value: Any) -> str:
    return f"{value:,}" if type(value) is int else "-"


def step_lines(terminal: Terminal, steps: Sequence[Step]) -> list[str]:
    """Return a table of the worst steps, and how many more there are."""
    if not steps:
        return []
    rows = [_shortened(step_cells(step)) for step in steps[:MOST_SHOWN]]
    more = len(steps) - MOST_SHOWN
    rest = [f"  and {more} more steps (--json and reports have all)"] if more > 0 else []
    return [columns(terminal, HEAD, rows, indent=2, least=_LEAST), *rest]


def _shortened(cells: tuple[str, ...]) -> tuple[str, ...]:
    name, *others = cells
    return (name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…", *others)


def step_numbers(steps: Sequence[Step]) -> list[Comparison]:
    """Return what was measured of each step, next to what it was compared with."""
    found = []
    for step in steps:
        worst_first = sorted(step.comparisons, key=_rank)
        judged = {item.metric: item for item in reversed(worst_first)}
        # a limit has no baseline; the comparison next to it has
        compared = {
            item.metric: item for item in reversed(worst_first) if item.baseline is not None
        }
        quantiles = step.metrics.get("latencyQuantiles") or {}
        numbers = [
            ("requests", "requests", step.metrics.get("totalRequests")),
            ("errors", "requests", step.metrics.get("totalErrors")),
            *((name, "ms", value) for name, value in quantiles.items()),
        ]
        for name, unit, value in numbers:
            worst, item = (of.get(name) if unit == "ms" else None for of in (judged, compared))
            found.append(
                Comparison(
                    f"{step.name}: {name}",
                    unit,
                    as_number(value),
                    item.baseline if item else None,
                    item.change if item else None,
                    verdict=worst.verdict if worst else None,
                )
            )
    return found


def _rank(item: Comparison) -> int:
    """The place of a comparison among others of its metric: the worst one is first."""
    return {"FAIL": 0, "WARN": 1}.get(item.verdict or "", 2)


def worst_comparisons(steps: Sequence[Step]) -> list[Comparison]:
    """Return p95 of the worst steps, and what else is wrong with them."""
    return [
        replace(item, metric=f"{_shortened((step.name,))[0]}: {item.metric}")
        for step in steps[:MOST_SHOWN]
        for item in step.comparisons
        if item.metric == "p95" or item.verdict in {"WARN", "FAIL"}
    ]


def live_cells(step: LiveStep) -> tuple[str, str, str]:
    """Return name, rate and errors of a step while its run lasts."""
    [name] = _shortened((step.name,))
    share = 100 * step.errors / step.requests if step.requests else None
    return name, f"{rate(step.rps)}/s", f"errors {percent(share)}"
