"""The thresholds of a verdict, as users write them in a `gate:` block or a `[gate]` table.

The result is the object that the API takes: the numbers of `warn` and `fail`, in milliseconds those
of `warnMs` and `failMs`, or `false` for each comparison, the floor in milliseconds, and the fewest
requests. A key such as `p95[60s..90s]` is about a stretch of the load curve; below `steps` are the
thresholds of steps by their names.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tm_cli.values.durations import parse_duration
from tm_cli.values.load.step_names import MOST_STEPS, step_name
from tm_cli.values.text import did_you_mean, sanitize

BOUNDS = {
    "p50": "%",
    "p95": "%",
    "p99": "%",
    "p99.9": "%",
    "errors": "points",
    "allErrors": "%",
    "shortfall": "%",
    "throughput": "%",
    "statuses": "points",
    "bodySize": "%",
}
"""What has a threshold for WARN and one for FAIL, and the unit of both."""

QUANTILES = ("p50", "p95", "p99", "p99.9")
"""What may also have an absolute threshold, in milliseconds."""
OF_STRETCHES = (*QUANTILES, "errors", "allErrors")
"""What may have thresholds of its own for a stretch of the load curve."""
OF_STEPS = (*QUANTILES, "errors", "allErrors", "statuses", "floorMs")
"""What may have thresholds of its own for a step."""
STRETCH_SECONDS = 5
"""Seconds of the shortest stretch: measurements are kept in stretches of this length."""

FLOOR = "floorMs"
FEWEST = "minRequests"
EXPECTED = "expectStatus"
STEPS = "steps"
KEYS = (*BOUNDS, FLOOR, FEWEST, EXPECTED, STEPS)
ALIASES = {"floor": FLOOR}
SEVERITIES = ("warn", "fail")
ABSOLUTE = {"warn": "warnMs", "fail": "failMs"}

LARGEST = 1e9
"""More is a typing mistake; nothing grows ten million times."""

_PERCENT = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)\s*%?", re.ASCII)
_TIME = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)\s*(ms|s)", re.ASCII)
_LONGEST_KEY = 100
_OF_STRETCH = re.compile(r"([^\[\]]*)\[\s*([^\[\]]*?)\s*\.\.\s*([^\[\]]*?)\s*\]")


class InvalidThreshold(ValueError):
    """A threshold that cannot be used: the problem, and the keys below `gate` that lead to it."""

    def __init__(self, problem: str, *path: str) -> None:
        super().__init__(problem)
        self.path = path


@dataclass(frozen=True, slots=True)
class Stretch:
    """Part of a load curve, from `begin` to `end` in seconds; without `end` it is the rest."""

    begin: int
    end: int | None = None

    def __str__(self) -> str:
        return f"{self.begin}s..{'' if self.end is None else f'{self.end}s'}"


def split_key(key: str) -> tuple[str, Stretch | None]:
    """Return the metric of a key and its stretch: `p95[60s..90s]`, `p95[60s..]`, `p95[..30s]`.

    Raises ValueError when the key has a stretch that is none.
    """
    if "[" not in key:
        return key, None
    form = _OF_STRETCH.fullmatch(key) if len(key) <= _LONGEST_KEY else None
    if form is None:
        raise ValueError("a stretch is written as in p95[60s..90s]")
    begin, end = (_bound_of_stretch(text) for text in form.group(2, 3))
    if end is not None and end <= (begin or 0):
        raise ValueError("the stretch ends before it begins")
    return form[1].strip(), Stretch(begin or 0, end)


def _bound_of_stretch(text: str) -> int | None:
    if not text:
        return None
    seconds = parse_duration(text)
    if seconds % STRETCH_SECONDS:
        raise ValueError(
            f"a stretch begins and ends at a multiple of {STRETCH_SECONDS}s, {text} is none"
        )
    return int(seconds)


def stretch_problem(key: str, *, duration: float, warmup: float) -> str | None:
    """Return why a threshold cannot be used for a curve of so many seconds; None if it can."""
    _, stretch = split_key(key)
    if stretch is None:
        return None
    if stretch.begin >= duration or (stretch.end or 0) > duration:
        return f"the stretch ends after the curve, which takes {duration:g}s"
    if stretch.begin < warmup:
        return f"the stretch begins in the warm-up of {warmup:g}s, which is not judged"
    return None


def read_thresholds(table: Any) -> dict[str, Any]:
    """Return the thresholds in `table`; what it does not name is left to the server.

    Raises InvalidThreshold, which names the key, for an unknown key and an invalid threshold.
    """
    if not isinstance(table, Mapping):
        raise InvalidThreshold("gate must be a table of thresholds")
    thresholds: dict[str, Any] = {}
    for written, value in table.items():
        try:
            key = _key(str(written))
            read = _read(key, value)
        except InvalidThreshold as problem:
            raise InvalidThreshold(str(problem), str(written), *problem.path) from None
        if key in thresholds:
            raise InvalidThreshold(f"gate.{key} is there under two names", str(written))
        thresholds[key] = read
    return thresholds


def _key(written: str) -> str:
    """Return the key in the form of the API."""
    try:
        metric, stretch = split_key(written)
    except ValueError as problem:
        raise InvalidThreshold(f"gate.{written}: {problem}") from None
    if stretch is None:
        return ALIASES.get(metric, metric)
    if metric not in OF_STRETCHES:
        raise InvalidThreshold(
            f"unknown key 'gate.{written}'" + _suggestion(metric, OF_STRETCHES, "with a stretch ")
        )
    return f"{metric}[{stretch}]"


def format_threshold(key: str, value: Any) -> str:
    """Return one threshold as text: `warn 10 %, fail 25 %`, `never`, `5 ms`."""
    if value is False:
        return "never"
    if key == STEPS and isinstance(value, Mapping):
        return "; ".join(f"{sanitize(name)}: {_format_step(own)}" for name, own in value.items())
    if isinstance(value, Mapping):
        sides = ((name, _sides(key, name, value)) for name in SEVERITIES)
        return ", ".join(f"{name} {' or '.join(texts)}" for name, texts in sides if texts)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:g} ms" if key == FLOOR else f"{value:g}"


def _format_step(own: Any) -> str:
    if own is False:
        return "not judged"
    if not isinstance(own, Mapping):
        raise TypeError(f"{own!r} has no thresholds")
    texts = (f"{sanitize(key)} {format_threshold(key, value)}" for key, value in own.items())
    return ", ".join(texts)


def _sides(key: str, name: str, value: Mapping[str, Any]) -> list[str]:
    """Return what one severity has as thresholds: in its unit, and in milliseconds."""
    units = {name: BOUNDS[split_key(key)[0]], ABSOLUTE[name]: "ms"}
    found = {side: unit for side, unit in units.items() if side in value}
    return [
        "never" if value[side] is False else f"{value[side]:g} {unit}"
        for side, unit in found.items()
    ]


def _steps(table: Any) -> Any:
    """Return the thresholds of steps, by name; a single number is the threshold for FAIL."""
    if table is False:
        return False
    if not isinstance(table, Mapping) or not table:
        raise InvalidThreshold(
            'gate.steps must be false or a table such as {"/checkout": {p95: 10}}'
        )
    found: dict[str, Any] = {}
    for written, own in table.items():
        name = step_name(written)
        try:
            read = False if own is False else _step(f"gate.steps.{written}", own)
        except InvalidThreshold as problem:
            raise InvalidThreshold(str(problem), str(written), *problem.path) from None
        if name in found:
            raise InvalidThreshold(f"gate.steps has the step {name} twice", str(written))
        found[name] = read
    if len(found) > MOST_STEPS:
        raise InvalidThreshold(f"gate.steps has more than {MOST_STEPS} steps")
    return found


def _step(where: str, table: Any) -> dict[str, Any]:
    if not isinstance(table, Mapping) or not table:
        raise InvalidThreshold(f"{where} must be false or a table such as {{p95: 10}}")
    found: dict[str, Any] = {}
    for written, value in table.items():
        key = ALIASES.get(str(written), str(written))
        if key not in OF_STEPS:
            hint = _suggestion(key, (*OF_STEPS, *ALIASES), "of a step ")
            raise InvalidThreshold(f"unknown key '{where}.{written}'{hint}", str(written))
        is_short = key != FLOOR and not isinstance(value, bool | Mapping) and value is not None
        try:
            found[key] = _read(key, {"fail": value} if is_short else value, f"{where}.{key}")
        except InvalidThreshold as problem:
            raise InvalidThreshold(str(problem), str(written), *problem.path) from None
    return found


def _read(key: str, value: Any, where: str = "") -> Any:
    where = where or f"gate.{key}"
    if key == STEPS:
        return _steps(value)
    if key == FLOOR:
        return _milliseconds(where, value)
    if key == FEWEST:
        return _count(where, value)
    if key == EXPECTED:
        return _statuses(where, value)
    metric, _ = split_key(key)
    if metric not in BOUNDS:
        raise InvalidThreshold(f"unknown key {where!r}" + _suggestion(key, (*KEYS, *ALIASES)))
    return False if value is False else _bound(where, value, has_times=metric in QUANTILES)


def _bound(where: str, value: Any, *, has_times: bool) -> dict[str, float | bool]:
    if not isinstance(value, Mapping):
        raise InvalidThreshold(f"{where} must be false or a pair such as {{warn: 10, fail: 25}}")
    bound: dict[str, float | bool] = {}
    for name, side in value.items():
        try:
            read = _side(f"{where}.{name}", str(name), side, has_times=has_times)
        except InvalidThreshold as problem:
            raise InvalidThreshold(str(problem), str(name)) from None
        if read.keys() & bound.keys():
            raise InvalidThreshold(f"{where}.{name} is there under two names", str(name))
        bound |= read
    if not value:
        raise InvalidThreshold(f"{where} names neither warn nor fail")
    for warn, fail in (SEVERITIES, ABSOLUTE.values()):
        if bound.get(fail) is not False and bound.get(warn, 0) > bound.get(fail, LARGEST):
            unit = " ms" if warn in ABSOLUTE.values() else ""
            raise InvalidThreshold(
                f"{where} warns at {bound[warn]:g}{unit}, which is above its fail"
            )
    return bound


def _side(where: str, name: str, value: Any, *, has_times: bool) -> dict[str, float | bool]:
    """Return one severity's thresholds: relative, absolute, or a list of both."""
    if has_times and name in ABSOLUTE.values():
        return {name: value is not False and _number(where, value, "400")}
    if name not in SEVERITIES:
        hint = _suggestion(name, SEVERITIES)
        if where == "gate.p99.9":
            hint = '; write "p99.9" in quotes'
        raise InvalidThreshold(f"unknown key '{where}'{hint}")
    found: dict[str, float | bool] = {}
    values = value if has_times and isinstance(value, list) and value else [value]
    for item in values:
        is_time = has_times and isinstance(item, str) and _TIME.fullmatch(item.strip())
        side = ABSOLUTE[name] if is_time else name
        if side in found:
            raise InvalidThreshold(f"{where} may have one limit in % and one in ms or s")
        example = "10, '10%' or '400ms'" if has_times else "10 or '10%'"
        found[side] = _milliseconds(where, item) if is_time else _percent(where, item, example)
    return found


def _percent(where: str, value: Any, example: str) -> float | bool:
    if value is False:
        return False
    if isinstance(value, str) and (form := _PERCENT.fullmatch(value.strip())):
        value = float(form[1])
    return _number(where, value, example)


def _milliseconds(where: str, value: Any) -> float:
    if isinstance(value, str) and (form := _TIME.fullmatch(value.strip())):
        value = float(form[1]) * (1000 if form[2] == "s" else 1)
    return _number(where, value, "5 or '5ms'")


def _count(where: str, value: Any) -> int:
    number = _number(where, value, "100")
    if number % 1:
        raise InvalidThreshold(f"{where} must be a whole number")
    return int(number)


def _statuses(where: str, value: Any) -> list[int]:
    given = value if isinstance(value, list) else [value]
    statuses = [_count(where, status) for status in given]
    if not statuses or not all(200 <= status < 400 for status in statuses):
        raise InvalidThreshold(
            f"{where} must be a status from 200 to 399, or a list of them; others are errors"
        )
    return statuses


def _number(where: str, value: Any, example: str) -> float:
    """Return a finite number that is not negative; whole ones stay whole."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidThreshold(f"{where} must be a number, e.g. {example}")
    if abs(value) > LARGEST and abs(value) != math.inf:
        raise InvalidThreshold(f"{where} is too large")
    if not math.isfinite(value) or value < 0:
        raise InvalidThreshold(f"{where} is {value:g}; a threshold is a number from 0 up")
    return int(value) if value % 1 == 0 else float(value)


def _suggestion(word: str, known: tuple[str, ...], where: str = "") -> str:
    return "; " + did_you_mean(word, known, f"the keys {where}are {', '.join(known)}")
