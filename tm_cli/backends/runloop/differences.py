"""One run compared with another, scenario by scenario."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

from tm_cli.backends.runloop.measurements import Measured, ScenarioAttempt
from tm_cli.backends.runloop.rules import TOLERANCE, share
from tm_cli.gate.model import Comparison
from tm_cli.values.text import sanitize
from tm_cli.values.verdict import Verdict

MOST_ROWS = 100
"""Differences that are listed; the others are counted."""

LONGEST_NAME = 80
"""Characters of a scenario's name that stand in a table."""

MEAN_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Scores:
    """Two scores on the same footing, from 0 to 1."""

    now: float
    before: float


@dataclass(frozen=True, slots=True)
class _Side:
    """One scenario in one run: its worst attempt counts."""

    score: float
    problem: str | None


def compare_scores(now: Measured, before: Measured | None, *, common: bool) -> Scores | None:
    """Return both scores; with `common`, means over the scenarios that both have.

    The service's own scores count where the scenarios are the same.
    """
    if before is None or now.usable_score is None or before.usable_score is None:
        return None
    if not common or now.scenario_ids == before.scenario_ids:
        return Scores(now.usable_score, before.usable_score)
    shared = now.scenario_ids & before.scenario_ids
    if not shared:
        return None
    current, baseline = _sides(now), _sides(before)
    return Scores(
        sum(current[name].score for name in shared) / len(shared),
        sum(baseline[name].score for name in shared) / len(shared),
    )


def coverage_of(run: Measured, ids: frozenset[str] | None, total: int | None) -> float:
    """Return which share of the expected scenarios was attempted, from 0 to 1."""
    if not total:
        return 0.0
    covered = run.scenario_ids if ids is None else run.scenario_ids & ids
    return min(len(covered) / total, 1.0)


def explain_score(run: Measured) -> tuple[str, ...]:
    """Return notes on how the score fits the scores of the scenarios (sections 4 and 8)."""
    score, attempts = run.usable_score, run.attempts
    notes = []
    repeated = [name for name, n in Counter(a.scenario_id for a in attempts).items() if n > 1]
    if repeated:
        notes.append(f"{len(repeated)} scenarios were attempted more than once; each one counts")
    scores = [attempt.score for attempt in attempts if attempt.score is not None]
    if score is None or not scores:
        return tuple(notes)
    over_all, over_scored = sum(scores) / len(attempts), sum(scores) / len(scores)
    fits_all = abs(score - over_all) <= MEAN_TOLERANCE
    fits_scored = abs(score - over_scored) <= MEAN_TOLERANCE
    if not fits_all and not fits_scored:
        means = f"{share(over_scored)} over those with a score, {share(over_all)} over all"
        notes.append(f"score {share(score)} is not the mean of the scenario scores ({means})")
    elif len(scores) < len(attempts):
        left_out = "counts" if fits_all else "leaves out"
        missing = len(attempts) - len(scores)
        notes.append(f"score {share(score)} {left_out} {missing} scenario runs without a score")
    return tuple(notes)


def compare_scenarios(
    now: Measured, before: Measured | None
) -> tuple[list[Comparison], tuple[str, ...]]:
    """Return a row for each scenario that differs or failed, and notes that count the rest."""
    current, baseline = _sides(now), _sides(before) if before else {}
    names = _names(now, before)
    rows, kinds = [], Counter[str]()
    for scenario_id in sorted(current.keys() | baseline.keys(), key=lambda name: names[name]):
        here, there = current.get(scenario_id), baseline.get(scenario_id)
        kind = _kind(here, there, is_compared=before is not None)
        kinds[kind] += 1
        if kind != "unchanged":
            rows.append(_row(names[scenario_id], here, there, kind))
    rows.sort(key=lambda row: (row.verdict == Verdict.PASS, row.change or 0.0))
    notes = []
    if before is not None:
        counted = ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items()))
        notes.append(f"scenarios compared with {before.name}: {counted}")
    if len(rows) > MOST_ROWS:
        notes.append(f"{len(rows) - MOST_ROWS} more scenarios differ than are listed")
    return rows[:MOST_ROWS], tuple(notes)


def _kind(current: _Side | None, baseline: _Side | None, *, is_compared: bool) -> str:
    if current is None:
        return "gone"
    if current.problem is not None:
        return "failed"
    if baseline is None:
        return "new" if is_compared else "unchanged"
    if abs(current.score - baseline.score) <= TOLERANCE:
        return "unchanged"
    return "improved" if current.score > baseline.score else "regressed"


def _row(name: str, current: _Side | None, baseline: _Side | None, kind: str) -> Comparison:
    verdicts = {"failed": Verdict.FAIL, "regressed": Verdict.WARN, "gone": Verdict.WARN}
    values = [
        f"now {current.problem or share(current.score)}" if current else "",
        f"baseline {baseline.problem or share(baseline.score)}" if baseline else "",
    ]
    details = ", ".join(value for value in values if value)
    measured = current if current and current.problem is None else None
    return Comparison(
        f"scenario {name}",
        "%",
        value=measured.score * 100 if measured else None,
        baseline=baseline.score * 100 if baseline else None,
        change=(measured.score - baseline.score) * 100 if measured and baseline else None,
        verdict=verdicts.get(kind, Verdict.PASS),
        than="baseline" if baseline else None,
        reason=f"scenario {name} {kind}: {details}",
    )


def _sides(run: Measured) -> dict[str, _Side]:
    """The worst attempt at each scenario, so that the order of a list means nothing."""
    attempts = defaultdict[str, list[ScenarioAttempt]](list)
    for attempt in run.attempts:
        attempts[attempt.scenario_id].append(attempt)
    return {
        name: _Side(
            min(0.0 if item.score is None else item.score for item in group),
            next((item.problem for item in group if item.problem), None),
        )
        for name, group in attempts.items()
    }


def _names(now: Measured, before: Measured | None) -> dict[str, str]:
    """The display name of each scenario; with its id where two share a name."""
    attempts = (*(before.attempts if before else ()), *now.attempts)
    named = {
        item.scenario_id: sanitize(item.name or item.scenario_id, longest=LONGEST_NAME)
        for item in attempts
    }
    shared = Counter(named.values())
    return {
        scenario_id: name if shared[name] == 1 else f"{name} ({sanitize(scenario_id)})"
        for scenario_id, name in named.items()
    }
