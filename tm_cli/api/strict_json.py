"""JSON as a gate needs it: whatever is ambiguous is refused instead of guessed."""

from __future__ import annotations

import json
import math
from typing import Any

LONGEST_NUMBER = 400
"""Digits of one number; more is an attack, not a measurement."""


def parse(data: bytes | str) -> Any:
    """Return the document in `data`.

    Raises ValueError for anything but one UTF-8 JSON document, and beyond the standard for a
    repeated key (Python would keep the last: FAIL, then PASS reads as PASS), NaN, infinities,
    numbers too large for a float, and nesting too deep to read. Lone surrogates, which no output
    can encode, become U+FFFD.
    """
    text = data if isinstance(data, str) else data.decode("utf-8-sig")
    try:
        document = _DECODER.decode(text)
        return _without_surrogates(document) if "\\ud" in text.lower() else document
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _without_surrogates(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case list():
            return [_without_surrogates(item) for item in value]
        case dict():
            pairs = [(_without_surrogates(key), item) for key, item in value.items()]
            return _unique([(key, _without_surrogates(item)) for key, item in pairs])
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {repeated[:40]!r} is there twice")
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is too large")
    return value


def _integer(text: str) -> int:
    if len(text) > LONGEST_NUMBER:
        raise ValueError("a number is too long")
    return int(text)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_constant=_refuse_constant,
    parse_float=_finite,
    parse_int=_integer,
)
