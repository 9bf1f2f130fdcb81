"""Checks on an answer, as users write them under `checks:`, and values to extract from it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from tm_cli.values.documents import InvalidDocument, expected
from tm_cli.values.durations import parse_duration
from tm_cli.values.load.journeys.json_path import parse_json_path
from tm_cli.values.text import as_number, did_you_mean
from tm_cli.values.thresholds import EXPECTED, InvalidThreshold, read_thresholds

HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
LONGEST_TEXT = 10_000
LONGEST_PATTERN = 500
MOST_CHECKS = 50
LONGEST_TIME = 600.0
"""Seconds."""
REQUEST_TIMEOUT = 10.0
"""Seconds after which a request is an error, or a step with its redirects."""
_VARIABLE = re.compile(r"[A-Za-z_][\w.-]{0,99}", re.ASCII)
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?) ?(B|KB|MB|GB|KiB|MiB|GiB)?")
_UNITS = {"B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3}
_UNITS |= {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}

Reader = Callable[[Any], Any]


def read_fields(value: Any, readers: Mapping[str, Reader], wanted: str) -> dict[str, Any]:
    """Return a mapping with known keys, each as its reader reads it; null is the same as no key.

    Raises InvalidDocument.
    """
    if not isinstance(value, Mapping):
        raise expected(value, wanted)
    found = {}
    for key, inner in value.items():
        if key not in readers:
            hint = did_you_mean(str(key), readers, f"the keys are {', '.join(readers)}")
            raise InvalidDocument(f"is not known; {hint}", (str(key),))
        if inner is not None:
            found[key] = read_below(key, readers[key], inner)
    return found


def read_below(key: str | int, reader: Reader, value: Any) -> Any:
    """Return what a reader makes of the value at a key, which its errors then name."""
    try:
        return reader(value)
    except InvalidDocument as problem:
        raise InvalidDocument(str(problem), (key, *problem.path)) from None


def read_checks(value: Any) -> dict[str, Any]:
    """Return checks in the form of the API: seconds, bytes, lists of statuses."""
    readers: dict[str, Reader] = {
        "status": _statuses,
        "body": _body,
        "header": _texts_by(_header_name, "a mapping of header names to texts"),
        "json": _json,
        "maxTime": _time,
        "size": _sizes,
    }
    return read_fields(value, readers, "a mapping such as {status: 200, maxTime: 500ms}")


def read_extractions(value: Any) -> dict[str, Any]:
    """Return the variables of `extract:`, each with the place of its value."""
    if not isinstance(value, Mapping) or len(value) > MOST_CHECKS:
        raise expected(
            value, f"a mapping of at most {MOST_CHECKS} names, {{token: {{json: $.token}}}}"
        )
    for name in value:
        if not _VARIABLE.fullmatch(str(name)):
            raise InvalidDocument("is not a name; use letters, digits, _ - and .", (str(name),))
    return {name: read_below(name, _extraction, place) for name, place in value.items()}


def _extraction(value: Any) -> dict[str, str]:
    readers: dict[str, Reader] = {"json": _json_path, "header": _header_name, "regex": _pattern}
    wanted = "one of {json: $.token}, {header: X-Token} and {regex: 'id=([0-9]+)'}"
    place = read_fields(value, readers, wanted)
    if len(place) != 1:
        raise expected(value, wanted)
    return place


def _statuses(value: Any) -> list[int]:
    """A status from 400 up stays an error, as with `gate.expectStatus`."""
    try:
        statuses: list[int] = read_thresholds({EXPECTED: value})[EXPECTED]
    except InvalidThreshold as problem:
        raise InvalidDocument(str(problem).removeprefix(f"gate.{EXPECTED} ")) from None
    return statuses


def _body(value: Any) -> dict[str, str]:
    if isinstance(value, str):
        return {"contains": _text(value)}
    readers: dict[str, Reader] = {"contains": _text, "lacks": _text, "regex": _pattern}
    return read_fields(value, readers, "text that the body has, or {contains: ..., lacks: ...}")


def _json(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping) or len(value) > MOST_CHECKS:
        raise expected(value, 'a mapping of paths to values, {"$.ok": true}')
    return {read_below(str(path), _json_path, path): wanted for path, wanted in value.items()}


def _texts_by(name: Reader, wanted: str) -> Reader:
    def read(value: Any) -> dict[str, str]:
        if not isinstance(value, Mapping) or len(value) > MOST_CHECKS:
            raise expected(value, wanted)
        return {
            read_below(str(key), name, key): read_below(str(key), _text, text)
            for key, text in value.items()
        }

    return read


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise expected(
            value, "text" if isinstance(value, dict | list) else "text; write it in quotes"
        )
    if not value or len(value) > LONGEST_TEXT:
        raise InvalidDocument(f"has {len(value)} characters; expected 1 to {LONGEST_TEXT}")
    return value


def _header_name(value: Any) -> str:
    if not isinstance(value, str) or not HEADER_NAME.fullmatch(value):
        raise InvalidDocument("cannot be the name of a header")
    return value


def _json_path(value: Any) -> str:
    try:
        parse_json_path(text := _text(value))
    except InvalidDocument:
        raise
    except ValueError as problem:
        raise InvalidDocument(f"is not a JSON path: {problem}") from None
    return text


def _pattern(value: Any) -> str:
    text = _text(value)
    if len(text) > LONGEST_PATTERN:
        raise InvalidDocument(f"is longer than {LONGEST_PATTERN} characters")
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as problem:
        raise InvalidDocument(f"is not a regular expression: {problem}") from None
    return text


def _time(value: Any) -> float:
    seconds = read_seconds(value)
    if seconds == 0:
        raise expected(value, "more than no time, such as 500ms")
    if seconds > REQUEST_TIMEOUT:  # it could never fail, and is likely to mean milliseconds
        raise expected(
            value, f"at most {REQUEST_TIMEOUT:g}s, when a request is ended anyway, such as 500ms"
        )
    return seconds


def read_seconds(value: Any) -> float:
    """Return seconds, from a number of them or a duration such as `500ms`."""
    try:
        number = as_number(parse_duration(value) if isinstance(value, str) else value)
    except ValueError:
        number = None
    if number is None or not 0 <= number <= LONGEST_TIME:
        raise expected(value, f"a duration of at most {LONGEST_TIME / 60:g}m, such as 500ms or 2s")
    return number


def _sizes(value: Any) -> dict[str, int]:
    found = read_fields(value, {"min": _bytes, "max": _bytes}, "bounds such as {max: 1MB}")
    if found.get("min", 0) > found.get("max", found.get("min", 0)):
        raise InvalidDocument("has a min above its max")
    return found


def _bytes(value: Any) -> int:
    form = _SIZE.fullmatch(str(value)) if isinstance(value, str | int | float) else None
    if form is None or isinstance(value, bool):
        raise expected(value, "a number of bytes, such as 1200, 50KB or 1MiB")
    return int(float(form[1]) * _UNITS[form[2] or "B"])
