"""Placeholders, `${NAME}`, for values that come with the start of a run and are not stored.

`${NAME:-text}` has a default; `$${NAME}` is the text `${NAME}`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus

from tm_cli.values.api_key import SHORTEST_HIDDEN

TOKEN = "TOKEN"  # noqa: S105 - a name
"""The placeholder that the output of `tokenCommand` fills in."""
_PART = re.compile(
    r"(?P<macro>\$\$[^\s${}]+\$\$)|(?P<escape>\$\$\{)"
    r"|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]{0,99})(?::-(?P<default>[^}]*))?\}|(?P<open>\$\{)"
)
FILLED = (
    "endpointUrl",
    "targetUrl",
    "readinessUrl",
    "requestPayload",
    "requestBody",
    "requestHeaders",
    "steps",
    "checks",
    "clientCertificate",
)
"""The keys of a profile in which placeholders are filled in."""


class MissingValue(ValueError):
    """A placeholder has neither a value nor a default."""

    def __init__(self, name: str) -> None:
        super().__init__(f"${{{name}}} has no value")
        self.name = name


@dataclass(frozen=True, slots=True)
class Placeholder:
    """One use of `name`; None where `${` begins no placeholder. `place` is the key it is in."""

    place: str
    name: str | None
    default: str | None = None


def has_any(text: str) -> bool:
    """Whether filling in would change the text."""
    return "${" in text


def fill(text: str, values: Mapping[str, str]) -> str:
    """Return the text with its values; raises MissingValue."""
    return _PART.sub(lambda found: _filled(found, values), text) if has_any(text) else text


def _filled(found: re.Match[str], values: Mapping[str, str]) -> str:
    name, default = found["name"], found["default"]
    if name is None:
        return "${" if found["escape"] else found[0]
    value = values.get(name, default)
    if value is None:
        raise MissingValue(name)
    return value


def fill_all(value: Any, values: Mapping[str, str]) -> Any:
    """Return the same for all texts of a document but its keys."""
    match value:
        case str():
            return fill(value, values)
        case list() | tuple():
            return type(value)(fill_all(item, values) for item in value)
        case dict():
            return {key: fill_all(item, values) for key, item in value.items()}
    return value


def placeholders(profile: Mapping[str, Any]) -> Iterator[Placeholder]:
    """The placeholders of a profile, as a document or as the API has it."""
    for key in FILLED:
        yield from _inside(key, profile.get(key))


def _inside(place: str, value: Any) -> Iterator[Placeholder]:
    match value:
        case str() if place == "requestHeaders" and (headers := _headers(value)):
            yield from _inside(place, headers)
        case str():
            for found in _PART.finditer(value) if has_any(value) else ():
                if found["name"] or found["open"]:
                    yield Placeholder(place, found["name"], found["default"])
        case list() | tuple():
            for index, item in enumerate(value):
                yield from _inside(f"{place}[{index}]", item)
        case dict():
            for key, item in value.items():
                yield from _inside(f"{place}.{key}", item)


def _headers(text: str) -> dict[str, str]:
    """Headers as the API has them, JSON text; none where it is something else."""
    try:
        return {str(item["name"]): str(item["value"]) for item in json.loads(text)}
    except (ValueError, TypeError, KeyError, RecursionError):
        return {}


def needs_filling(profile: Mapping[str, Any]) -> bool:
    return any(has_any(json.dumps(profile.get(key))) for key in FILLED if profile.get(key))


def hide_values(text: str, values: Mapping[str, str]) -> str:
    """Return a message with the placeholder wherever it holds a value, the longest ones first.

    A value is also found as it stands in a URL, in JSON, and in the `repr` of a text.
    """
    found = ((form, name) for name, value in values.items() for form in _forms(value))
    for form, name in sorted(found, key=lambda item: -len(item[0])):
        text = text.replace(form, f"${{{name}}}")
    return text


@lru_cache(2000)
def _forms(value: str) -> frozenset[str]:
    if len(value) < SHORTEST_HIDDEN:
        return frozenset()
    encoded = (quote(value, safe=safe, errors="replace") for safe in ("", "/"))
    spaced = quote_plus(value, errors="replace")
    return frozenset({value, *encoded, spaced, json.dumps(value)[1:-1], repr(value)[1:-1]})
