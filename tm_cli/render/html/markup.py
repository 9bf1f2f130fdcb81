"""HTML elements and tables; text gets into a page only through the escaping here."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from html import escape
from typing import Any

from tm_cli.values.text import sanitize

DATA_ELEMENT = "tm-evidence"
"""The id of the element that holds the JSON document."""

MOST_ROWS = 250

_KINDS = {"PASS": "pass", "WARN": "warn", "FAIL": "fail", "NO_BASELINE": "none"}
_VOID = frozenset({"br", "col", "link", "meta"})


class Markup(str):
    """Escaped HTML, made by the functions of this module; any other str is text."""

    __slots__ = ()


Child = str | None
"""Text, which is cleaned and escaped, or Markup, which is not; None is nothing."""


def text(value: object, *, longest: int = 500) -> Markup:
    """Return `value` as it is to be read, without control or bidi characters.

    A blank at either end stays, so that sentences can be made from pieces.
    """
    shown = str(value)
    before, after = " " * shown[:1].isspace(), " " * shown[-1:].isspace()
    return Markup(f"{before}{escape(sanitize(shown, longest=longest))}{after}")


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
    return Markup("".join(_child(child) for child in children if child is not None))


def prose(sentence: str, *, longest: int = 500) -> Markup:
    """Return a sentence in which `backticks` mark what is typed."""
    parts = sanitize(sentence, longest=longest).split("`")
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


def table(
    caption: str,
    head: Sequence[str],
    rows: Sequence[Sequence[Child]],
    *,
    words: Collection[int] = (),
    note: Child = None,
) -> Markup:
    """Return a table whose first cells name their rows; `words` are columns without numbers."""
    shown = rows[:MOST_ROWS]
    left_out = len(rows) - len(shown)
    body = joined(_row(row, words) for row in shown)
    more = f"and {left_out:,} more rows; the data in this page has all of them"
    grid = element(
        "table",
        element("caption", caption),
        element(
            "thead",
            element(
                "tr",
                *(
                    element("th", name, scope="col", class_=_side(n, words))
                    for n, name in enumerate(head)
                ),
            ),
        ),
        element("tbody", body),
    )
    return joined(
        [
            element("div", grid, class_="scroll", tabindex=0, role="region", aria_label=caption),
            element("p", more, class_="soft") if left_out else None,
            element("p", note, class_="soft") if note else None,
        ]
    )


def verdict_mark(word: str, kind: str | None = None) -> Markup:
    """Return a verdict or an outcome with its colour; `kind` names that of another word."""
    return element("span", word, class_=f"mark {colour_of(kind or word)}")


def colour_of(word: str) -> str:
    """Return the class that colours a verdict; only the four have one that means something."""
    return _KINDS.get(word, "unknown")


def _row(row: Sequence[Child], words: Collection[int]) -> Markup:
    first, *rest = row
    cells = [element("th", first, scope="row")]
    cells += [element("td", cell, class_=_side(n, words)) for n, cell in enumerate(rest, 1)]
    return element("tr", *cells)


def _side(column: int, words: Collection[int]) -> str | None:
    return None if column == 0 or column in words else "number"
