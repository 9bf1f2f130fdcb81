"""Building blocks of JSON Schemas (draft 7, which editors read) for what users write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tm_cli.values.durations import PATTERN as DURATION
from tm_cli.values.load.step_names import MOST_STEPS
from tm_cli.values.thresholds import (
    BOUNDS,
    EXPECTED,
    FEWEST,
    FLOOR,
    LARGEST,
    OF_STEPS,
    OF_STRETCHES,
    QUANTILES,
    STEPS,
)

Schema = dict[str, Any]

DIALECT = "http://json-schema.org/draft-07/schema#"
_PERCENT = r"^\s*[0-9]{1,9}(?:\.[0-9]{1,6})?\s*%?\s*$"
_TIME = r"^\s*[0-9]{1,9}(?:\.[0-9]{1,6})?\s*(?:ms|s)\s*$"
A_DURATION: Schema = {"$ref": "#/definitions/duration"}
_NEVER: Schema = {"const": False}
_NUMBER: Schema = {"type": "number", "minimum": 0, "maximum": LARGEST}


def any_of(*options: Schema, **further: Any) -> Schema:
    return {"anyOf": list(options), **further}


def text(longest: int | None = None, pattern: str | None = None, **further: Any) -> Schema:
    found: Schema = {"type": "string", **further}
    if longest is not None:
        found["maxLength"] = longest
    if pattern is not None:
        found["pattern"] = pattern
    return found


def duration(least: float, most: float, **further: Any) -> Schema:
    """A number of seconds, or a duration; the limits of the latter are checked by the reader."""
    number = {"type": "number", "minimum": least, "maximum": most, **further}
    return any_of(number, A_DURATION)


def mapping(properties: Mapping[str, Schema], **further: Any) -> Schema:
    """Known keys only."""
    return {
        "type": "object",
        "properties": dict(properties),
        "additionalProperties": False,
        **further,
    }


def words(choices: tuple[str, ...], *, any_case: bool = True) -> Schema:
    """One of some words; editors complete the usual spelling."""
    if not any_case:
        return {"enum": list(choices)}
    return any_of({"enum": list(choices)}, text(pattern=f"^{in_any_case(choices)}$"))


def in_any_case(choices: Iterable[str]) -> str:
    """A pattern of some words; the dialect has no flag for it."""
    spelt = ("".join(f"[{c.upper()}{c.lower()}]" for c in word) for word in choices)
    return f"(?:{'|'.join(spelt)})"


def definitions() -> dict[str, Schema]:
    """What the other schemas refer to; a schema with them has these as its `definitions`."""
    side = any_of(_NEVER, _NUMBER, text(pattern=_PERCENT))
    one = any_of(_NEVER, _NUMBER, text(pattern=_PERCENT), text(pattern=_TIME))
    both = any_of(one, {"type": "array", "items": one, "minItems": 1, "maxItems": 2})
    absolute = any_of(_NEVER, _NUMBER)
    sides = {"warn": _ref("time"), "fail": _ref("time"), "warnMs": absolute, "failMs": absolute}
    return {
        "duration": {"type": "string", "pattern": DURATION},
        "share": side,
        "time": both,
        "bound": mapping({"warn": _ref("share"), "fail": _ref("share")}, minProperties=1),
        "boundOfTime": mapping(sides, minProperties=1),
        "floor": any_of(_NUMBER, text(pattern=_TIME)),
    }


def _ref(name: str) -> Schema:
    return {"$ref": f"#/definitions/{name}"}


def thresholds() -> Schema:
    """The table `gate` of documents and settings; see `values/thresholds.py`."""
    status = {"type": "integer", "minimum": 200, "maximum": 399}
    step = any_of(_NEVER, mapping(_of_step(), minProperties=1))
    steps = {"type": "object", "additionalProperties": step, "maxProperties": MOST_STEPS}
    others = {
        **dict.fromkeys(["floor", FLOOR], _ref("floor")),
        FEWEST: {"type": "integer", "minimum": 0, "maximum": LARGEST},
        EXPECTED: any_of(status, {"type": "array", "items": status, "minItems": 1}),
        STEPS: any_of(_NEVER, {**steps, "minProperties": 1}),
    }
    quantiles, rest = "|".join(QUANTILES).replace(".", r"\."), "|".join(OF_STRETCHES[-2:])
    stretch = r")\s*\[[^\[\]]*\.\.[^\[\]]*\]$"
    return mapping(
        {**{key: _bound(key) for key in BOUNDS}, **others},
        patternProperties={
            rf"^\s*(?:{quantiles}{stretch}": _bound("p95"),
            rf"^\s*(?:{rest}{stretch}": _bound("errors"),
        },
    )


def _bound(key: str) -> Schema:
    return any_of(_NEVER, _ref("boundOfTime" if key in QUANTILES else "bound"))


def _of_step() -> dict[str, Schema]:
    """The keys of a step; a single value is the threshold for FAIL."""
    found = {
        key: any_of(*_bound(key)["anyOf"], _ref("time" if key in QUANTILES else "share"))
        for key in OF_STEPS
        if key != FLOOR
    }
    return {**found, **dict.fromkeys(["floor", FLOOR], _ref("floor"))}
