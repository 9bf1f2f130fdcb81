"""Checks in addition to the verdict: `p95<400ms`, `errors<1%`, `p99<+10%`.

A check with a sign compares with the baseline run, in percent of its value. What cannot be
measured is neither passed nor failed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from operator import ge, gt, le, lt
from typing import Any, Protocol

from tm_cli.gate.model import Result
from tm_cli.values.text import as_number

_FORM = re.compile(
    r"(?P<metric>p[0-9]{1,2}(?:\.[0-9]{1,3})?|errors|success|rps|requests)\s*"
    r"(?P<relation><=|>=|<|>)\s*"
    r"(?P<sign>[+-]?)(?P<number>[0-9]{1,12}(?:\.[0-9]{1,6})?)\s*(?P<unit>ms|s|%|)",
    re.ASCII,
)
RELATIONS = {"<": lt, "<=": le, ">": gt, ">=": ge}
_FIELDS = {"rps": "avgRps", "requests": "totalRequests", "success": "successRate"}
_UNITS = {"errors": "%", "success": "%", "rps": "", "requests": ""}


class Condition(Protocol):
    """What must hold of a run in addition to its verdict; `text` is how people write it.

    `relative` says that it compares with the baseline run.
    """

    @property
    def text(self) -> str: ...

    @property
    def relative(self) -> bool: ...

    def judge(self, result: Result, baseline: Mapping[str, Any] | None) -> ConditionResult:
        """Judge this run, where needed against the metrics of its baseline."""
        ...


@dataclass(frozen=True, slots=True)
class Check:
    """One condition on a metric; `limit` in milliseconds, percent or plain numbers.

    `relative` limits are percent of the baseline's value: +10 allows 110 % of it.
    """

    text: str
    metric: str
    relation: str
    limit: float
    relative: bool

    def judge(self, result: Result, baseline: Mapping[str, Any] | None) -> ConditionResult:
        """Compare the metrics of the run, where needed with those of its baseline."""
        return apply_check(self, result.metrics, baseline, than=result.basis.other)


@dataclass(frozen=True, slots=True)
class ConditionResult:
    """How a check came out: `passed` is None when it could not be measured."""

    check: Condition
    passed: bool | None
    reason: str


@dataclass(frozen=True, slots=True)
class KeptCheck:
    """A check that only the system behind the run could measure; its outcome is kept.

    It can be left out or repeated, but not with another limit.
    """

    text: str
    passed: bool | None = None
    reason: str = ""
    relative: bool = False

    def judge(self, result: Result, baseline: Mapping[str, Any] | None) -> ConditionResult:
        reason = self.reason or f"{self.text}: it was not measured when the run was judged"
        return ConditionResult(self, self.passed, reason)


def parse_check(text: str) -> Check:
    """Return the check that `text` writes; raises ValueError when it is none."""
    form = _FORM.fullmatch(text.strip())
    if form is None:
        raise ValueError(f"invalid check {text!r}: expected e.g. p95<400ms or errors<1%")
    metric, sign, unit = form["metric"], form["sign"], form["unit"]
    limit = float(form["number"])
    if sign:
        if unit != "%":
            raise ValueError(f"{text!r}: a change against the baseline is in %, as in p99<+10%")
        limit = -limit if sign == "-" else limit
    elif metric.startswith("p"):
        if unit not in {"ms", "s"}:
            raise ValueError(f"{text!r}: a response time is in ms or s")
        limit *= 1000 if unit == "s" else 1
    elif unit != _UNITS[metric]:
        wanted = "in %" if _UNITS[metric] else "a plain number"
        raise ValueError(f"{text!r}: {metric} is {wanted}")
    return Check(text.strip(), metric, form["relation"], limit, relative=bool(sign))


def apply_check(
    check: Check,
    metrics: Mapping[str, Any],
    baseline: Mapping[str, Any] | None,
    *,
    than: str = "baseline",
) -> ConditionResult:
    """Compare the metrics of a run, where needed with those of its baseline.

    `than` is what people call that baseline.
    """
    value = measure(check.metric, metrics)
    if value is None:
        return ConditionResult(check, None, f"{check.text}: the run has no {check.metric}")
    limit = check.limit
    text = shown(check.metric, value)
    if check.relative:
        before = measure(check.metric, baseline or {})
        if before is None:
            return ConditionResult(check, None, f"{check.text}: there is no {than} to compare with")
        limit = before * (1 + check.limit / 100)
        text += f", {than} {shown(check.metric, before)}"
    passed = bool(RELATIONS[check.relation](value, limit))
    return ConditionResult(check, passed, f"{check.text}: {check.metric} is {text}")


def measure(metric: str, metrics: Mapping[str, Any]) -> float | None:
    """Return a metric of a run, None when it is missing or no number."""
    if metric == "errors":
        success = measure("success", metrics)
        return None if success is None else 100.0 - success
    if metric in _FIELDS:
        return as_number(metrics.get(_FIELDS[metric]))
    quantiles = metrics.get("latencyQuantiles")
    return as_number(quantiles.get(metric)) if isinstance(quantiles, Mapping) else None


def shown(metric: str, value: float) -> str:
    """Return a value with its unit, for people."""
    unit = " ms" if metric.startswith("p") else " %" if _UNITS[metric] else ""
    return f"{value:,.2f}".rstrip("0").rstrip(".") + unit
