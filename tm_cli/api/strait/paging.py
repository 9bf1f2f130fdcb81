"""The first items of a list that comes in pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tm_cli.api.paging import follow_cursors
from tm_cli.api.strait.client import LARGEST_PAGE
from tm_cli.api.strait.models import Page

Fetch = Callable[[str | None, int], Page]
"""Returns the page after a cursor, of at most so many items."""


def collect(fetch: Fetch, *, most: int, cursor: str | None = None) -> Page:
    """Return the first `most` items as one page, whose cursor leads to the next ones.

    A cursor that comes back, and a page without any new item, end the list.
    """
    items: dict[object, dict[str, Any]] = {}
    rest: str | None = None
    for page, following in follow_cursors(
        lambda at: fetch(at, min(most - len(items), LARGEST_PAGE)),
        lambda page: page.next_cursor or None,
        cursor=cursor,
    ):
        before = len(items)
        for number, item in enumerate(page.data, start=before):
            name = item.get("id")
            items.setdefault(name if name and isinstance(name, str) else number, item)
        rest = following if len(items) > before else None
        if rest is None or len(items) >= most:
            break
    return Page(data=list(items.values())[:most], next_cursor=rest, has_more=rest is not None)
