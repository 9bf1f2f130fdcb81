"""What captured bodies have in common: the text between the values of JSON, or of a form."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

_MARK = "\0"
"""Stands for a value; no JSON text and no form has it."""
_JSON_PART = re.compile(r'"(?:[^"\\]|\\.)*"(\s*:)?|-?\d[\d.eE+-]*|true|false|null')
_FORM = re.compile(r"[^\s=&{}\[\]\"]+=[^\s&]*(?:&[^\s=&]+=[^\s&]*)*")
_MACRO_START = re.compile(r"\$(?=[${])")


@dataclass(frozen=True, slots=True)
class BodyShape:
    """A body without its values; `is_json` tells how to write one."""

    text: str
    is_json: bool

    def filled(self, values: Sequence[str]) -> str:
        """The body with values or macros, of which nothing else begins one."""
        first, *more = self.constant(self.text).split(_MARK)
        return first + "".join(map("".join, zip(values, more, strict=True)))

    def constant(self, text: str) -> str:
        """Text that does not vary, in which nothing begins a macro."""
        return _MACRO_START.sub(r"\\u0024" if self.is_json else "%24", text)

    def paths(self) -> list[tuple[str, str]]:
        """For each value the JSON path, empty in a form, and the key it has."""
        if not self.is_json:
            names = [pair.partition("=")[0] for pair in self.text.split("&")]
            return [("", name) for name in names]
        numbers = count()
        document = json.loads(re.sub(_MARK, lambda _: str(next(numbers)), self.text))
        try:
            found = {place: (path, key) for place, path, key in _leaves(document, "$", "value")}
        except RecursionError:
            found = {}
        return [found.get(place, ("$", "value")) for place in range(self.text.count(_MARK))]


def _leaves(value: Any, path: str, key: str) -> Iterator[tuple[int, str, str]]:
    match value:
        case dict():
            for name, item in value.items():
                plain = re.fullmatch(r"[A-Za-z_]\w*", name)
                step = f".{name}" if plain else f"[{json.dumps(name, ensure_ascii=False)}]"
                yield from _leaves(item, path + step, name)
        case list():
            for at, item in enumerate(value):
                yield from _leaves(item, f"{path}[{at}]", key)
        case int():
            yield value, path, key


def split(body: str) -> tuple[BodyShape, list[str]] | None:
    """The shape of a body and its values, as they are written; None where it has no known form."""
    if body.lstrip()[:1] in ("{", "["):
        return _split_json(body)
    if len(body) < 100_000 and _FORM.fullmatch(body) and _MARK not in body:
        pairs = [pair.partition("=") for pair in body.split("&")]
        text = "&".join(f"{name}={_MARK}" for name, _, _ in pairs)
        return BodyShape(text, is_json=False), [value for _, _, value in pairs]
    return None


def _split_json(body: str) -> tuple[BodyShape, list[str]] | None:
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return None
    values: list[str] = []

    def without_value(found: re.Match[str]) -> str:
        if found[1] is not None:  # a key
            return found[0]
        values.append(found[0])
        return _MARK

    return BodyShape(_JSON_PART.sub(without_value, body), is_json=True), values
