"""HTML that can only be made escaped: the one way in which text comes onto the page."""

from __future__ import annotations

import json
from collections.abc import Iterable
from html import escape
from typing import Any

from tm_cli.text import clean

_VOID = frozenset({"br", "col", "link", "meta"})


class Markup(str):
    """HTML as it is. Made by the functions of this module; whatever else is a str is text."""

    __slots__ = ()


Child = str | None
"""Text, which is cleaned and escaped, or Markup, which is not; None is nothing."""


def text(value: object, *, longest: int = 500) -> Markup:
    """Return `value` as it is to be read, without control or bidi characters.

    A blank at either end stays, so that sentences can be made from pieces.
    """
    shown = str(value)
    before, after = " " * shown[:1].isspace(), " " * shown[-1:].isspace()
    return Markup(f"{before}{escape(clean(shown, longest=longest))}{after}")


def element(name: str, /, *children: Child, **attributes: str | int | bool | None) -> Markup:
    """Return an element of ours; only children and attribute values may come from elsewhere.

    `class_` and `aria_label` become `class` and `aria-label`. An attribute that is True has no
    value, one that is None or False is left out.
    """
    head = name + "".join(_attributes(attributes))
    if name in _VOID:
        return Markup(f"<{head}>")
    return Markup(f"<{head}>{joined(children)}</{name}>")


def joined(children: Iterable[Child]) -> Markup:
    """Return the children one after the other."""
    return Markup("".join(_child(child) for child in children if child is not None))


def prose(sentence: str, *, longest: int = 500) -> Markup:
    """Return a sentence in which `backticks` mark what is typed."""
    parts = clean(sentence, longest=longest).split("`")
    if len(parts) % 2 == 0:
        return text(sentence, longest=longest)
    return joined(element("code", part) if n % 2 else part for n, part in enumerate(parts))


def data_block(name: str, value: Any) -> Markup:
    """Return `value` as JSON in an element that no text in it can end."""
    shown = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character in "<>&":  # stand in texts only, as do U+2028 and U+2029, which are ASCII by now
        shown = shown.replace(character, f"\\u{ord(character):04x}")
    return element("script", Markup(shown), type="application/json", id=name)


def _child(child: str) -> str:
    return child if isinstance(child, Markup) else text(child)


def _attributes(attributes: dict[str, str | int | bool | None]) -> Iterable[str]:
    for name, value in attributes.items():
        shown = name.rstrip("_").replace("_", "-")
        if value is True:
            yield f" {shown}"
        elif value is not None and value is not False:
            yield f' {shown}="{text(value)}"'
