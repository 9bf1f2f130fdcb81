"""The history row by row, newest first, without gaps or repeats while runs end or are deleted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from tm_cli.api.trafficmorph import HistoryPage, HistoryRow
from tm_cli.cli.session import CommandContext

LARGEST_PAGE = 100

MANY_PAGES = 10
"""Pages after which it is worth a request to ask how many requests the account may send."""

_AFTER = timedelta(milliseconds=1)
"""Added to the bound of the next page: whether a server includes it is not published, nor how
precise its times are."""


class HistoryRows:
    """All rows that match, read page by page while they are iterated.

    Page numbers shift when a run ends or is deleted. So each page is the first one of the rows up
    to the time of the last row of the page before; only where that does not lead on (rows without a
    time, a page of rows with the same one, another order) is it the next page. Runs that end while
    the rows are read are not among them. `start` is the number of the `first` page.
    """

    def __init__(
        self,
        session: CommandContext,
        filters: Mapping[str, Any],
        size: int = LARGEST_PAGE,
        *,
        start: int = 0,
    ) -> None:
        self.first: HistoryPage | None = None
        self.is_complete = False  # whether the last page has been read
        self._session = session
        self._filters = dict(filters)
        self._size = min(size, LARGEST_PAGE)
        self._start = start
        self._last: datetime | None = None
        self._is_ordered = True
        self._near: dict[object, datetime | None] = {}

    @property
    def total(self) -> int | None:
        """How many rows matched when the first page was read, as far as the server says that."""
        return self.first.total_elements if self.first else None

    def __iter__(self) -> Iterator[HistoryRow]:
        for page in self.pages():
            yield from page

    def pages(self) -> Iterator[list[HistoryRow]]:
        """Yield the rows of each page that were on none before."""
        count = number = self._start
        bound: datetime | None = None
        is_bounded = True
        while True:
            own = {} if bound is None else {"to": bound.isoformat()}
            query = {**self._filters, **own}
            page = self._session.client.list_history(page=number, size=self._size, **query)
            self.first = self.first or page
            if bound is not None and any(_is_after(row, bound) for row in page.content):
                number, bound, is_bounded = count, None, False  # it does not know `to`
                continue
            if bound is None and not _is_ordered(page.content):
                is_bounded = self._is_ordered = False  # by another time, such as that of the start
            is_short = len(page.content) < self._size
            self.is_complete = is_short and not _has_smaller_pages(page, number)
            yield [row for row in page.content if self._is_next(row)]
            if self.is_complete:
                return
            count += 1
            if count - self._start == MANY_PAGES:
                self._session.widen_budget()
            following = self._last + _AFTER if self._last and is_bounded else None
            if following and any(_is_after(row, following) for row in page.content):
                number, bound = 0, following
            else:
                number += 1

    def _is_next(self, row: HistoryRow) -> bool:
        """Note a row; False for one that was there before, or that is newer than those."""
        name = row.id if row.id is not None else row.run_id
        if name in self._near:
            return False
        if row.created_at is not None and self._is_ordered:
            if self._last is not None and row.created_at > self._last:
                return False
            self._last = row.created_at
            self._near = {
                other: time
                for other, time in self._near.items()
                if time is None or time <= row.created_at + _AFTER
            }
        if name is not None:
            self._near[name] = row.created_at
        return True


def _has_smaller_pages(page: HistoryPage, number: int) -> bool:
    """Whether a server that gives fewer rows than were asked for says that there are more."""
    size, total = len(page.content), page.total_elements or 0
    return 0 < size == page.size and (number + 1) * size < total


def _is_ordered(rows: Sequence[HistoryRow]) -> bool:
    times = [row.created_at for row in rows if row.created_at is not None]
    return times == sorted(times, reverse=True)


def _is_after(row: HistoryRow, moment: datetime) -> bool:
    return row.created_at is not None and row.created_at > moment
