"""Following the cursor of a list, and coming to an end whatever the server does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tm_cli.api.strait.client import LARGEST_PAGE
from tm_cli.api.strait.models import Page

Fetch = Callable[[str | None, int], Page]
"""Returns the page after a cursor, of at most so many items."""


def collect(fetch: Fetch, *, most: int, cursor: str | None = None) -> Page:
    """Return the first `most` items as one page, whose cursor leads to the next ones.

    A cursor that comes back, and a page without any new item, end the list.
    """
    items: dict[object, dict[str, Any]] = {}
    used: set[str | None] = set()
    while True:
        used.add(cursor)
        page = fetch(cursor, min(most - len(items), LARGEST_PAGE))
        before = len(items)
        for number, item in enumerate(page.data, start=before):
            name = item.get("id")
            items.setdefault(name if name and isinstance(name, str) else number, item)
        cursor = page.next_cursor
        is_stuck = cursor in used or len(items) == before
        if not cursor or is_stuck or len(items) >= most:
            rest = None if is_stuck else cursor or None
            found = list(items.values())[:most]
            return Page(data=found, next_cursor=rest, has_more=rest is not None)
