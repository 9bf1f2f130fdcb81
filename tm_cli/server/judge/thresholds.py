"""The thresholds of a verdict: how much worse than its baseline a run may be."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

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
        sides = {"warn": self.warn, "fail": self.fail}
        return {name: value != NEVER and value for name, value in sides.items()}


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

    `quantiles`: rise of a response time in percent. `floor_ms`: a smaller rise of p95 never
    counts; the other quantiles have floors in proportion. `is_floor_set`: the user has set it, so
    it does not adapt. `errors`: rise of the error rate, all
    together and per class, in percentage points. `fewest_more_errors`: fewer additional errors
    never count. `all_errors`: percent of the requests, whatever the baseline. `shortfall`: percent
    of the plan not sent. `throughput`: fall of the completed requests per second in percent.
    `statuses`: rise of the share of a status below 400 in percentage points. `body_size`: fall of
    the mean size of a body in percent. `fewest_requests`: with less there is nothing to rely on.
    `expect_status`: every status below 400 but these is an error; empty: none is.
    """

    quantiles: Mapping[str, Threshold] = field(default_factory=_quantile_bounds)
    floor_ms: float = 2.0
    is_floor_set: bool = False
    errors: Threshold = Threshold(0.2, 0.5)
    fewest_more_errors: int = 2
    all_errors: Threshold = Threshold(5.0, 50.0)
    shortfall: Threshold = Threshold(1.0, 5.0)
    throughput: Threshold = Threshold(2.0, 10.0)
    statuses: Threshold = Threshold(1.0, NEVER)
    body_size: Threshold = Threshold(50.0, NEVER)
    fewest_requests: int = 200
    expect_status: tuple[int, ...] = ()

    def floor(self, quantile: str) -> float:
        """The rise in milliseconds below which this quantile never counts."""
        return self.floor_ms * _FLOOR_SHARES[quantile]

    def document(self) -> dict[str, Any]:
        own = {key: getattr(self, field_name) for key, field_name in _BOUNDS.items()}
        bounds = {**self.quantiles, **own}
        documents: dict[str, Any] = {name: bound.document() for name, bound in bounds.items()}
        documents |= {"floorMs": self.floor_ms, "minRequests": self.fewest_requests}
        expected = {"expectStatus": list(self.expect_status)} if self.expect_status else {}
        return documents | expected

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
        if key not in self.quantiles:
            raise ValueError("unknown threshold")
        bound = _bound(value, self.quantiles[key])
        return replace(self, quantiles=MappingProxyType({**self.quantiles, key: bound}))


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
    warn = given.get("warn", min(default.warn, fail))
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
