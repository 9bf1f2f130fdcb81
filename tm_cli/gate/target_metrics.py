"""What was recorded of the target during a run, and conditions on it: `target.cpu<80%`.

CPU time is in percent of one core, memory in bytes. What was not recorded, or with too long a gap,
is neither passed nor failed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from operator import eq
from typing import Any

from tm_cli.gate.checks import RELATIONS, Check, ConditionResult, parse_check
from tm_cli.gate.model import Result, TargetMetric
from tm_cli.values.text import did_you_mean

CPU, MEMORY, RESTARTS = "target.cpu", "target.memory", "target.restarts"
OF_THE_PROCESS = (CPU, MEMORY, RESTARTS)
PERCENT, BYTES = "%", "B"
UNITS = {CPU: PERCENT, MEMORY: BYTES, RESTARTS: ""}

SHORTEST_GAP, LONGEST_GAP = 5.0, 30.0
"""Seconds without a sample: a shorter gap is none, a longer one leaves a condition unmeasured."""

_GAP_SHARE = 0.25
_RELATIONS = {**RELATIONS, "==": eq}
_STATISTICS = ("mean", "max", "min", "last", "p95")
_SIZES = {
    **{unit: 1000**power for power, unit in enumerate(("B", "KB", "MB", "GB", "TB"))},
    **{unit: 1024**power for power, unit in enumerate(("KiB", "MiB", "GiB", "TiB"), 1)},
}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)
_FORM = re.compile(
    r"(?P<name>(?:target\.)?[A-Za-z_][A-Za-z0-9_]{0,63})"
    rf"(?:\.(?P<statistic>{'|'.join(_STATISTICS)}))?\s*"
    r"(?P<relation><=|>=|==|<|>)\s*"
    r"(?P<number>[0-9]{1,15}(?:\.[0-9]{1,6})?)\s*(?P<unit>%|[KMGT]?i?B|)",
    re.ASCII,
)
_EXAMPLE = "target.cpu<80%, target.memory<512MB or target.restarts<1"


@dataclass(frozen=True, slots=True)
class MetricCheck:
    """One condition on a statistic of a metric; `limit` in percent, bytes or plain numbers."""

    text: str
    name: str
    statistic: str
    relation: str
    limit: float
    relative: bool = False

    def judge(self, result: Result, baseline: Mapping[str, Any] | None) -> ConditionResult:
        """Compare what was recorded during the run."""
        metric = result.target_metrics.get(self.name)
        if metric is None:
            return ConditionResult(self, None, f"{self.text}: {self.name} was not recorded")
        if metric.gap > longest_gap(metric.seconds):
            missing = f"there was no reading of {self.name} for {metric.gap:.0f} s"
            return ConditionResult(self, None, f"{self.text}: {missing}")
        value: float = getattr(metric, self.statistic)
        passed = bool(_RELATIONS[self.relation](value, self.limit))
        what = self.name if self.name == RESTARTS else f"{self.name} ({self.statistic})"
        return ConditionResult(self, passed, f"{self.text}: {what} is {shown(value, metric.unit)}")


def longest_gap(seconds: float) -> float:
    """Return how long a gap may be in a run of so many seconds."""
    return min(max(seconds * _GAP_SHARE, SHORTEST_GAP), LONGEST_GAP)


def parse_condition(text: str, names: Collection[str] | None = None) -> Check | MetricCheck:
    """Return the check that `text` writes; raises ValueError when it is none.

    `names` are the metrics of the user's own that are recorded. Where they are not known, such a
    metric needs a statistic, as in `db_connections.max<100`.
    """
    written = text.strip()
    form = _FORM.fullmatch(written)
    is_own = form is not None and "target." not in form["name"]
    if form is not None and is_own and (form["statistic"] or form["name"] in (names or ())):
        return _of_own(form, written, names)
    if not written.lower().startswith("target."):
        return parse_check(text)
    if form is None or form["name"] not in OF_THE_PROCESS:
        raise ValueError(f"invalid check {text!r}: expected e.g. {_EXAMPLE}")
    return _of_the_process(form, written)


def _of_own(form: re.Match[str], written: str, names: Collection[str] | None) -> MetricCheck:
    name = form["name"]
    if names is not None and name not in names:
        hint = did_you_mean(name, [*names], "`--metric NAME=QUERY` records one")
        raise ValueError(f"{written!r}: no metric {name} is recorded; {hint}")
    if form["unit"]:
        raise ValueError(f"{written!r}: {name} is a plain number")
    worst = {"<": "max", ">": "min"}.get(form["relation"][0], "last")
    statistic = form["statistic"] or worst
    text = f"{name}.{statistic}{form['relation']}{form['number']}"
    return MetricCheck(text, name, statistic, form["relation"], float(form["number"]))


def _of_the_process(form: re.Match[str], written: str) -> MetricCheck:
    name, unit, limit = form["name"], form["unit"], float(form["number"])
    statistic = form["statistic"] or {CPU: "mean", MEMORY: "max"}.get(name, "last")
    if name == CPU and unit != PERCENT:
        raise ValueError(f"{written!r}: {name} is in % of one core")
    if name == MEMORY:
        if unit not in _SIZES:
            raise ValueError(f"{written!r}: {name} is in {', '.join(_SIZES)}")
        limit *= _SIZES[unit]
    if name == RESTARTS and (unit or form["statistic"]):
        raise ValueError(f"{written!r}: {name} is a plain number")
    return MetricCheck(written, name, statistic, form["relation"], limit)


def check_metric_name(name: str) -> None:
    """Raise ValueError for what cannot be the name of a metric of the user's own."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a name: letters, digits and _, not a digit first")
    if name == "target" or re.fullmatch(r"p[0-9]+|errors|success|rps|requests", name):
        raise ValueError(f"{name} is a name of tm's own")


def shown(value: float, unit: str) -> str:
    """Return a value with its unit, for people."""
    if unit == BYTES:
        for size, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "KB")):
            if abs(value) >= size:
                return f"{_rounded(value / size)} {name}"
    return _rounded(value) + (f" {unit}" if unit else "")


def _rounded(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2g}" if 0 < abs(value) < 1 else f"{value:.1f}".removesuffix(".0")


def describe(metric: TargetMetric) -> str:
    """Return a metric as a sentence."""
    if metric.name == RESTARTS:
        return f"{shown(metric.last, '')} restarts" if metric.last != 1 else "1 restart"
    mean, most = shown(metric.mean, metric.unit), shown(metric.max, metric.unit)
    return f"{metric.name.removeprefix('target.')} {mean} on average and {most} at most"


_BARS = "▁▂▃▄▅▆▇█"


def sparkline(metric: TargetMetric, width: int = 30) -> str:
    """Return the course of a metric from 0 on as bars."""
    values = [value for _, value in metric.course]
    if len(values) < 2:
        return ""
    size = len(values) / min(width, len(values))
    groups = [values[int(n * size) : int((n + 1) * size)] for n in range(min(width, len(values)))]
    top = max(values) or 1.0
    levels = (max(max(group), 0.0) / top for group in groups if group)
    return "".join(_BARS[min(int(level * len(_BARS)), len(_BARS) - 1)] for level in levels)
