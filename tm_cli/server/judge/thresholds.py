"""The thresholds of a verdict: how much worse than its baseline a run may be."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from tm_cli.values.load.step_names import MOST_STEPS, step_name
from tm_cli.values.thresholds import ABSOLUTE, OF_STEPS, OF_STRETCHES, Stretch, split_key

QUANTILES = MappingProxyType({"p50": 0.5, "p95": 0.95, "p99": 0.99, "p99.9": 0.999})
"""The judged response times and the share of the requests that is quicker."""

_BOUNDS = {
    "errors": "errors",
    "allErrors": "all_errors",
    "shortfall": "shortfall",
    "throughput": "throughput",
    "statuses": "statuses",
    "bodySize": "body_size",
}
"""The fields with the thresholds that are not about response times, by their keys in the API."""

_FLOOR_SHARES = {"p50": 0.5, "p95": 1.0, "p99": 2.5, "p99.9": 5.0}
NEVER = math.inf
_MOST_STRETCHES = 50  # each is judged by itself
_MAX_VALUE = 1e15  # a longer integer would not even become a float


@dataclass(frozen=True, slots=True)
class Threshold:
    """More than `warn` is worth a warning, more than `fail` is a failure."""

    warn: float
    fail: float

    def document(self) -> dict[str, float | bool] | bool:
        """The threshold in the API's form; False is never."""
        if self.warn == self.fail == NEVER:
            return False
        return {name: value != NEVER and value for name, value in self._sides()}

    @property
    def is_set(self) -> bool:
        return self != _NONE

    def _sides(self) -> Iterator[tuple[str, float]]:
        yield "warn", self.warn
        yield "fail", self.fail

    def given(self, names: Mapping[str, str]) -> dict[str, float]:
        """What is not never, under the `names` of warn and fail."""
        return {names[name]: value for name, value in self._sides() if value != NEVER}


_NONE = Threshold(NEVER, NEVER)


@dataclass(frozen=True, slots=True)
class StretchThreshold:
    """The thresholds of a `metric` in a stretch of the curve; `limit` is in milliseconds."""

    metric: str
    stretch: Stretch
    bound: Threshold = _NONE
    limit: Threshold = _NONE

    def document(self) -> dict[str, float]:
        return self.bound.given({"warn": "warn", "fail": "fail"}) | self.limit.given(ABSOLUTE)


def _quantile_bounds() -> Mapping[str, Threshold]:
    return MappingProxyType(
        {
            "p50": Threshold(5, 15),
            "p95": Threshold(5, 15),
            "p99": Threshold(10, 30),  # the further out, the noisier
            "p99.9": Threshold(20, 60),
        }
    )


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The thresholds of the judgement.

    `quantiles`: rise of a response time in percent. `limits`: response times in milliseconds,
    whatever the baseline. `stretches`: those of stretches of the curve, by their keys.
    `floor_ms`: a smaller rise of p95 never counts; the other quantiles have floors in
    proportion. `is_floor_set`: the user has set it, so it does not adapt. `errors`: rise of the
    error rate, all together and per class, in percentage points. `fewest_more_errors`: fewer
    additional errors never count. `all_errors`: percent of the requests, whatever the baseline.
    `shortfall`: percent of the plan not sent. `throughput`: fall of the completed requests per
    second in percent. `statuses`: rise of the share of a status below 400 in percentage points.
    `body_size`: fall of the mean size of a body in percent. `fewest_requests`: with less there is
    nothing to rely on. `expect_status`: every status below 400 but these is an error; empty: none
    is. `steps`: the thresholds that steps have of their own, in the API's form; False for a step
    that is not judged.
    """

    quantiles: Mapping[str, Threshold] = field(default_factory=_quantile_bounds)
    limits: Mapping[str, Threshold] = field(default_factory=dict)
    stretches: Mapping[str, StretchThreshold] = field(default_factory=dict)
    floor_ms: float = 2.0
    is_floor_set: bool = field(default=False, compare=False)
    errors: Threshold = Threshold(0.2, 0.5)
    fewest_more_errors: int = 2
    all_errors: Threshold = Threshold(5.0, 50.0)
    shortfall: Threshold = Threshold(1.0, 5.0)
    throughput: Threshold = Threshold(2.0, 10.0)
    statuses: Threshold = Threshold(1.0, NEVER)
    body_size: Threshold = Threshold(50.0, NEVER)
    fewest_requests: int = 200
    expect_status: tuple[int, ...] = ()
    steps: Mapping[str, Mapping[str, Any] | bool] = field(default_factory=dict)
    judges_steps: bool = True

    def floor(self, quantile: str) -> float:
        """The rise in milliseconds below which this quantile never counts."""
        return self.floor_ms * _FLOOR_SHARES[quantile]

    def document(self) -> dict[str, Any]:
        own = {key: getattr(self, field_name) for key, field_name in _BOUNDS.items()}
        bounds = {**self.quantiles, **own}
        documents: dict[str, Any] = {name: bound.document() for name, bound in bounds.items()}
        for name, limit in self.limits.items():
            relative = documents[name] or {"warn": False, "fail": False}
            documents[name] = relative | limit.given(ABSOLUTE)
        documents |= {key: item.document() for key, item in self.stretches.items()}
        documents |= {"floorMs": self.floor_ms, "minRequests": self.fewest_requests}
        expected = {"expectStatus": list(self.expect_status)} if self.expect_status else {}
        steps = {"steps": dict(self.steps)} if self.steps else {}
        return documents | expected | (steps if self.judges_steps else {"steps": False})

    def of_step(self, name: str) -> Thresholds:
        """What holds for a step: the thresholds of the run, as far as it has none of its own.

        Raises ValueError when its own do not go with those.
        """
        own = self.steps.get(name) or {}
        bounds = replace(self, limits={}, stretches={}, steps={})
        return bounds.changed(own) if isinstance(own, Mapping) else bounds

    def changed(self, document: Mapping[str, Any] | None) -> Thresholds:
        """These thresholds with the changes of `document`, which has the API's form.

        Raises ValueError naming the key that is unknown or unusable.
        """
        thresholds = self
        for key, value in (document or {}).items():
            try:
                thresholds = thresholds._with(key, value)
            except ValueError as error:
                raise ValueError(f"gate: {key}: {error}") from None
        for name in thresholds.steps:
            try:
                thresholds.of_step(name)
            except ValueError as error:
                problem = str(error).removeprefix("gate: ")
                raise ValueError(f"gate: steps: {name}: {problem}") from None
        return thresholds

    def _with(self, key: str, value: object) -> Thresholds:
        if key in _BOUNDS:
            changes: dict[str, Any] = {_BOUNDS[key]: _bound(value, getattr(self, _BOUNDS[key]))}
            return replace(self, **changes)
        match key:
            case "floorMs":
                return replace(self, floor_ms=_number(value), is_floor_set=True)
            case "minRequests":
                return replace(self, fewest_requests=_whole(value))
            case "expectStatus":
                return replace(self, expect_status=_statuses(value))
            case "steps":
                return self._with_steps(value)
        metric, stretch = split_key(key)
        if stretch is not None and metric in OF_STRETCHES:
            return self._with_stretch(metric, stretch, value)
        if key not in self.quantiles:
            raise ValueError("unknown threshold")
        bound, limit = _both(value, self.quantiles[key], self.limits.get(key, _NONE))
        others = {name: other for name, other in self.limits.items() if name != key}
        return replace(
            self,
            quantiles=MappingProxyType({**self.quantiles, key: bound}),
            limits={**others, key: limit} if limit.is_set else others,
        )

    def _with_steps(self, value: object) -> Thresholds:
        """Later thresholds of a step override earlier ones of the same metric."""
        if value is False:
            return replace(self, steps={}, judges_steps=False)
        if not isinstance(value, Mapping):
            raise ValueError("it is neither an object of steps, nor false")
        steps = dict(self.steps)
        for name, own in value.items():
            if name != step_name(name):
                raise ValueError(f"{name!r} is not the name of a step")
            steps[name] = _of_one_step(name, steps.get(name), own)
        if len(steps) > MOST_STEPS:
            raise ValueError(f"more than {MOST_STEPS} steps have thresholds")
        return replace(self, steps=steps, judges_steps=True)

    def _with_stretch(self, metric: str, stretch: Stretch, value: object) -> Thresholds:
        """A stretch has only the thresholds that are given for it."""
        key = f"{metric}[{stretch}]"
        others = {name: other for name, other in self.stretches.items() if name != key}
        before = self.stretches.get(key, StretchThreshold(metric, stretch))
        bound, limit = _both(value, before.bound, before.limit)
        if limit.is_set and metric not in QUANTILES:
            raise ValueError("only a response time has a limit in milliseconds")
        if bound == limit == _NONE:
            return replace(self, stretches=others)
        if len(others) >= _MOST_STRETCHES:
            raise ValueError(f"more than {_MOST_STRETCHES} stretches have limits")
        found = StretchThreshold(metric, stretch, bound, limit)
        return replace(self, stretches={**others, key: found})


def _of_one_step(name: str, before: object, own: object) -> Mapping[str, Any] | bool:
    if own is False:
        return False
    if not isinstance(own, Mapping) or not own:
        raise ValueError(f"{name}: it is neither an object of thresholds, nor false")
    if unknown := [key for key in own if key not in OF_STEPS]:
        raise ValueError(f"{name}: {unknown[0]}: unknown threshold of a step")
    merged = dict(before) if isinstance(before, Mapping) else {}
    for key, value in own.items():
        older = merged.get(key)
        is_added = isinstance(older, Mapping) and isinstance(value, Mapping)
        merged[key] = {**(older or {}), **value} if is_added else value
    return merged


def _both(value: object, bound: Threshold, limit: Threshold) -> tuple[Threshold, Threshold]:
    """The thresholds in percent and in milliseconds, as `value` changes them.

    A side that is false never counts: it has no limit of either kind, unless one is given.
    """
    if not isinstance(value, Mapping):
        return _bound(value, bound), _NONE
    relative = {name: side for name, side in value.items() if name not in ABSOLUTE.values()}
    absolute = {
        side: value.get(name, False)
        for side, name in ABSOLUTE.items()
        if name in value or value.get(side) is False
    }
    if relative or not absolute:
        bound = _bound(relative, bound)
    return bound, _bound(absolute, limit) if absolute else limit


def _bound(value: object, default: Threshold) -> Threshold:
    if value is False:
        return Threshold(NEVER, NEVER)
    if not isinstance(value, Mapping):
        raise ValueError("it is neither an object with warn and fail, nor false")
    if unknown := [key for key in value if key not in ("warn", "fail")]:
        raise ValueError(f"it has {unknown[0]!r}, which is neither warn nor fail")
    given = dict(_sides(value))
    if not given:
        raise ValueError("it has neither warn nor fail")
    fail = given.get("fail", default.fail)
    # a failure limit below the usual warning brings that down; the other way would hide failures
    usual = default.warn if default.warn == NEVER else min(default.warn, fail)
    warn = given.get("warn", usual)
    if warn != NEVER and warn > fail:
        raise ValueError(f"warn {warn:g} is above fail {fail:g}")
    return Threshold(warn, fail)


def _sides(value: Mapping[str, object]) -> Iterator[tuple[str, float]]:
    for side, number in value.items():
        yield side, NEVER if number is False else _number(number)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("not a number")
    if not 0 <= value <= _MAX_VALUE:
        raise ValueError("it must be finite and not negative")
    return float(value)


def _statuses(value: object) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(type(status) is int for status in value):
        raise ValueError("it is not a list of statuses")
    if not all(200 <= status < 400 for status in value):
        raise ValueError("a status is from 200 to 399; others are errors in any case")
    return tuple(sorted(set(value)))


def _whole(value: object) -> int:
    number = _number(value)
    if number % 1:
        raise ValueError("it must be a whole number")
    return int(number)
