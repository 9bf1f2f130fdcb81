"""Tables of a page: a caption, heads for rows and columns, and room to scroll."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tm_cli.render.html.markup import Child, Markup, element, joined

MOST_ROWS = 250

_KINDS = {"PASS": "pass", "WARN": "warn", "FAIL": "fail", "NO_BASELINE": "none"}


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
    more = f"and {left_out:,} more rows; the evidence in this page has all of them"
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


def without_empty(
    head: Sequence[str], rows: Sequence[Sequence[Child]], *, keep: int = 1
) -> tuple[list[str], list[list[Child]]]:
    """Leave out the columns after the first `keep` in which nothing is known."""
    used = [n for n in range(len(head)) if n < keep or any(row[n] != "-" for row in rows)]
    return [head[n] for n in used], [[row[n] for n in used] for row in rows]


def _row(row: Sequence[Child], words: Collection[int]) -> Markup:
    first, *rest = row
    cells = [element("th", first, scope="row")]
    cells += [element("td", cell, class_=_side(n, words)) for n, cell in enumerate(rest, 1)]
    return element("tr", *cells)


def _side(column: int, words: Collection[int]) -> str | None:
    return None if column == 0 or column in words else "number"
