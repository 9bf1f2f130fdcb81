"""What `tm bisect` has found, as JSON and for people."""

from __future__ import annotations

import math
from typing import Any

from tm_cli.bisect.search import Effect
from tm_cli.bisect.state import ERRORS, State, Trial
from tm_cli.errors import TmError
from tm_cli.render.tables import columns
from tm_cli.runtime.terminal import Terminal
from tm_cli.values.text import sanitize


def as_data(state: State) -> dict[str, Any]:
    """Return the JSON document: the result, each commit with its probability, each run."""
    search, metric = state.search(), state.metric
    probabilities, slowness, found = search.probabilities, search.slowness(), search.candidates()
    is_known = metric is not None
    return {
        "state": _state(state),
        "good": state.good.id,
        "bad": state.bad.id,
        "metric": metric,
        "confidence": state.terms.confidence,
        "change": _change(state.effect(metric)) if metric else None,
        "probability": round(found.probability, 4) if is_known else None,
        "candidates": list(found.commits) if is_known else [],
        "commits": [
            {
                "commit": commit.id,
                "subject": sanitize(commit.subject),
                "author": sanitize(commit.author),
                "date": sanitize(commit.date),
                "probability": round(probabilities[commit.id], 4),
                "slow_probability": _rounded(slowness.get(commit.id)),
                "untestable": state.untestable.get(commit.id),
            }
            for commit in state.commits
        ],
        "runs": [
            {
                "commit": trial.commit,
                "run_id": trial.run_id,
                "verdict": trial.verdict,
                "errors": trial.errors,
                "changes": {name: _change(effect) for name, effect in trial.effects.items()},
            }
            for trial in state.trials
        ],
    }


def _state(state: State) -> str:
    if not state.is_over:
        return "under_way"
    if state.metric is None:
        return "alike" if state.are_alike else "unclear"
    return (
        "found" if state.search().candidates().probability >= state.terms.confidence else "unclear"
    )


def conclusion(state: State) -> TmError | None:
    """Return why no commit was found; None when one was."""
    match _state(state):
        case "alike":
            metric = state.terms.metric or "any metric"
            return TmError(
                f"GOOD and BAD do not differ in {metric} ({_runs(state)})",
                hint="a longer profile sees smaller changes",
                code="not_reproduced",
            )
        case "unclear" if state.metric is None:
            return TmError(
                f"after {_runs(state)} it is not known whether BAD is slower than GOOD",
                hint="a longer profile, or a higher rate, says more",
                code="not_found",
            )
        case "unclear":
            return TmError(
                f"no commit reached {percent_of(state.terms.confidence)} within {_runs(state)}",
                hint="several commits may share the change; look at those between",
                code="not_found",
            )
    return None


def _runs(state: State) -> str:
    count = len(state.trials)
    return f"{count} run{'' if count == 1 else 's'}"


def describe(terminal: Terminal, state: State) -> str:
    """Tell the result, or what is known so far."""
    lines = [_headline(state)]
    found = state.search().candidates()
    if state.metric is not None:
        for number in found.commits:
            commit = state.commit(number)
            reason = state.untestable.get(number)
            more = f" ({sanitize(reason)})" if reason else ""
            lines.append(f"  {commit}{more}")
            lines.append(f"    {sanitize(commit.author)}, {sanitize(commit.date)}")
    lines += ["", _table(terminal, state)]
    return "\n".join(lines)


def _headline(state: State) -> str:
    metric, found = state.metric, state.search().candidates()
    if metric is None:
        return f"GOOD {state.good.short} and BAD {state.bad.short}: no difference so far"
    change = f"; {metric} of BAD {_shown(state.effect(metric))}" if metric != ERRORS else ""
    if _state(state) != "found":
        first = "not found" if state.is_over else "not found yet"
        return f"{first}: {percent_of(found.probability)} for {_names(state)}{change}"
    what = "the first commit with errors" if metric == ERRORS else "the first slow commit"
    probability = percent_of(found.probability)
    if len(found.commits) > 1:
        return f"{what} is {_names(state)} with {probability}: only one of them is testable{change}"
    return f"{_names(state)} is {what} with {probability}{change}"


def _names(state: State) -> str:
    commits = [state.commit(number).short for number in state.search().candidates().commits]
    return commits[0] if len(commits) == 1 else f"one of {', '.join(commits)}"


def percent_of(probability: float) -> str:
    """Return a probability that is never rounded up to certainty."""
    return f"{math.floor(probability * 1000) / 10:g} %"


def _table(terminal: Terminal, state: State) -> str:
    search, metric = state.search(), state.metric
    probabilities, slowness = search.probabilities, search.slowness()
    rows = []
    for commit in state.commits:
        runs = sum(trial.commit == commit.id for trial in state.trials)
        effect = state.effect(metric, commit.id) if metric and metric != ERRORS else None
        slow = slowness.get(commit.id, 1.0 if commit.id == state.bad.id else None)
        rows.append(
            (
                commit.short,
                runs or ("skipped" if commit.id in state.untestable else None),
                _shown(effect) if effect else None,
                percent_of(slow) if slow is not None and metric else None,
                percent_of(probabilities[commit.id]) if metric else None,
                commit.subject,
            )
        )
    head = ("COMMIT", "RUNS", f"{metric or 'CHANGE'} AGAINST GOOD", "SLOW", "FIRST", "SUBJECT")
    return columns(terminal, head, rows, least=("SUBJECT", "SLOW"))


def trial_line(state: State, trial: Trial) -> str:
    """Tell the result of one run."""
    metric = state.metric or "p95"
    commit = state.commit(trial.commit)
    if metric == ERRORS or metric not in trial.effects:
        return f"{commit}: errors {trial.errors or 'unknown'}, verdict {trial.verdict}"
    return f"{commit}: {metric} {_shown(trial.effects[metric])}, verdict {trial.verdict}"


def _shown(effect: Effect | None) -> str:
    if effect is None:
        return "unknown"
    change = _change(effect)
    return f"{change['percent']:+.1f} % ({change['ci_low']:+.1f} to {change['ci_high']:+.1f})"


def _change(effect: Effect | None) -> dict[str, float]:
    if effect is None:
        return {}
    ends = {"ci_low": -1.96, "percent": 0.0, "ci_high": 1.96}
    return {
        name: round(100 * math.expm1(effect.shift + step * effect.error), 2)
        for name, step in ends.items()
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
