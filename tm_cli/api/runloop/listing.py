"""All pages of a listing, or an error: half a listing would hide what decides a gate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from tm_cli.api.errors import NotUnderstood
from tm_cli.api.paging import follow_cursors
from tm_cli.api.runloop.models import (
    Benchmark,
    BenchmarkRun,
    Job,
    Page,
    Scenario,
    ScenarioRun,
)

Listed = TypeVar("Listed", Benchmark, BenchmarkRun, ScenarioRun, Scenario, Job)


def read_all(fetch: Callable[[str | None], Page], what: str) -> list[Any]:
    """Return every item once, in the order in which they came; `fetch` takes a cursor.

    Items may shift from page to page while others are added: the last copy of one counts. Raises
    NotUnderstood for a listing that promises more and does not bring it.
    """
    found: dict[str, Any] = {}
    for page, following in follow_cursors(fetch, _next_cursor):
        found.update((item.id, item) for item in page.items)
        if page.has_more and following is None:
            why = "its cursor leads nowhere" if page.items else "an empty page promises more"
            raise NotUnderstood(f"the listing of {what} is incomplete: {why}")
    return list(found.values())


def _next_cursor(page: Page) -> str | None:
    if not page.has_more or not page.items:
        return None
    cursor: str = page.items[-1].id
    return cursor
