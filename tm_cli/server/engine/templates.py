"""Texts with macros, `$$name$$`, that are filled in for each request."""

import re
from collections.abc import Callable, Mapping
from typing import Self
from urllib.parse import quote

MACRO = re.compile(r"\$\$([^\s${}]+)\$\$")
_NOT_IN_HEADERS = re.compile(r"[^\t\x20-\x7e\x80-\xff]")


class BadValue(Exception):
    """A value that cannot stand where its macro is; the request is not sent."""


class Template:
    """A text, cut at its macros once so that rendering is quick; `names` are those of its macros.

    A constant text is rendered by returning it.
    """

    __slots__ = ("_parts", "names", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._parts = MACRO.split(text)  # constant, name, constant, name, ... constant
        self.names = frozenset(self._parts[1::2])

    @classmethod
    def compile(cls, text: str) -> Self:
        return cls(text)

    def render(self, values: Mapping[str, str], encode: Callable[[str], str] | None = None) -> str:
        """The text with the values of its macros, each encoded; an unknown macro stays as it is."""
        if not self.names:
            return self.text
        parts = self._parts.copy()
        for place in range(1, len(parts), 2):
            value = values.get(parts[place])
            if value is None:
                parts[place] = f"$${parts[place]}$$"
            else:
                parts[place] = encode(value) if encode else value
        return "".join(parts)


def in_url(value: str) -> str:
    """Percent-encode a value for the path or the query of a URL."""
    try:
        return quote(value, safe="")
    except UnicodeEncodeError as error:  # a lone surrogate
        raise BadValue from error


def in_header(value: str) -> str:
    """Return the value of a header; BadValue where a header cannot carry it, as a line break."""
    if _NOT_IN_HEADERS.search(value):
        raise BadValue
    return value
