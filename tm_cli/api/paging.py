"""Following the cursors of a list, with an end whatever the server does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

P = TypeVar("P")

MOST_PAGES = 1000


def follow_cursors(
    fetch: Callable[[str | None], P],
    next_cursor: Callable[[P], str | None],
    *,
    cursor: str | None = None,
) -> Iterator[tuple[P, str | None]]:
    """Yield each page from `cursor` on, with the cursor that leads to the next one.

    That is None on the last page: one without a cursor, one whose cursor was used before, and the
    last of MOST_PAGES.
    """
    used = {cursor}
    while True:
        page = fetch(cursor)
        following = next_cursor(page)
        if following in used or len(used) == MOST_PAGES:
            following = None
        yield page, following
        if following is None:
            return
        cursor = following
        used.add(cursor)
