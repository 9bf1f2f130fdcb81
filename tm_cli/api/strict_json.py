"""JSON as a gate needs it: whatever is ambiguous is refused instead of guessed."""

from __future__ import annotations

import json
import sys
from typing import Any

LONGEST_NUMBER = 400
"""Characters of one number; more is an attack, not a measurement."""

LARGEST_MEASURED = 1e100
SMALLEST_MEASURED = 1e-100
"""Nothing that a server measures is beyond these; what is calculated from it stays finite."""

LONGEST_SHOWN = 40
"""Characters of a key that a message shows."""


def parse(data: bytes | str) -> Any:
    """Return the document in `data`.

    Raises ValueError for anything but one UTF-8 JSON document, and beyond the standard for a
    repeated key (Python would keep the last: FAIL, then PASS reads as PASS), NaN, infinities,
    numbers too large for a float, and nesting too deep to read. Lone surrogates, which no output
    can encode, become U+FFFD.
    """
    return _parse(data, _DECODER)


def parse_answer(data: bytes | str) -> Any:
    """Return the document that a server has sent; see `parse`.

    Raises ValueError also for a number that nothing measures; one that is as good as 0 is read
    as 0.
    """
    return _parse(data, _ANSWER_DECODER)


def _parse(data: bytes | str, decoder: json.JSONDecoder) -> Any:
    text = data if isinstance(data, str) else data.decode("utf-8-sig")
    try:
        document = decoder.decode(text)
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
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"duplicate key {key[:LONGEST_SHOWN]!r}")
        found[key] = value
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _number(text: str, largest: float) -> float:
    if len(text) > LONGEST_NUMBER:
        raise ValueError("a number is too long")
    value = float(text)
    if abs(value) > largest:
        raise ValueError("a number is too large")
    return value


def _decoder(largest: float, smallest: float = 0.0) -> json.JSONDecoder:
    def read_float(text: str) -> float:
        value = _number(text, largest)
        return value if abs(value) >= smallest else 0.0

    def read_integer(text: str) -> int:
        """Return a whole number, which must fit a float: it may be calculated with later."""
        _number(text, largest)
        return int(text)

    return json.JSONDecoder(
        object_pairs_hook=_unique,
        parse_constant=_refuse_constant,
        parse_float=read_float,
        parse_int=read_integer,
    )


_DECODER = _decoder(sys.float_info.max)
_ANSWER_DECODER = _decoder(LARGEST_MEASURED, SMALLEST_MEASURED)
