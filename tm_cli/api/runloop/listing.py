"""All pages of a listing, or an error: half a listing would hide what decides a gate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from tm_cli.api.errors import NotUnderstood
from tm_cli.api.runloop.models import (
    Benchmark,
    BenchmarkRun,
    Job,
    Page,
    Scenario,
    ScenarioRun,
)

Listed = TypeVar("Listed", Benchmark, BenchmarkRun, ScenarioRun, Scenario, Job)

MOST_PAGES = 1000


def read_all(read: Callable[[str | None], Page], what: str) -> list[Any]:
    """Return every item once, in the order in which they came; `read` takes a cursor.

    Items may shift from page to page while others are added: the last copy of one counts. Raises
    NotUnderstood for a listing that promises more and does not bring it.
    """
    found: dict[str, Any] = {}
    cursor: str | None = None
    used: set[str] = set()
    for _ in range(MOST_PAGES):
        page = read(cursor)
        items = getattr(page, "items", [])
        found.update((item.id, item) for item in items)
        if not page.has_more:
            return list(found.values())
        cursor = items[-1].id if items else None
        if cursor is None or cursor in used:
            why = "an empty page promises more" if cursor is None else "a cursor came back"
            raise NotUnderstood(f"the listing of {what} is incomplete: {why}")
        used.add(cursor)
    raise NotUnderstood(f"the listing of {what} does not end after {MOST_PAGES} pages")
