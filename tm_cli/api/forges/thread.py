"""The comments of one pull or merge request, and the one of ours among them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from tm_cli.api.errors import HttpError, NotUnderstood

MOST_PAGES = 30
PAGE_SIZE = 100
NOT_OURS = frozenset({403, 404})


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment; `ours` says whether its author may be us."""

    number: int
    body: str
    ours: bool


class Thread(Protocol):
    """What a forge must be able to do; every method raises ApiErrors."""

    def page(self, number: int) -> list[Comment]:
        """Return a page of comments, the oldest first; `number` counts from 1."""
        ...

    def create(self, body: str) -> int:
        """Add a comment and return its number."""
        ...

    def update(self, comment: int, body: str) -> None:
        """Replace the text of a comment."""
        ...

    def delete(self, comment: int) -> None:
        """Take a comment away."""
        ...


def put(thread: Thread, marker: str, body: str) -> str:
    """Make `body` the only comment of ours that holds `marker`; return what was done to it.

    Two jobs that comment at the same time end with one comment: the oldest stays.
    """
    for comment in _marked(thread, marker):
        if _updated(thread, comment, body):
            _drop_others(thread, marker, keep=comment)
            return "updated"
    created = thread.create(body)
    oldest = next(iter(_marked(thread, marker)), created)
    if oldest < created and _updated(thread, oldest, body):
        thread.delete(created)
        return "updated"
    return "created"


def _marked(thread: Thread, marker: str) -> list[int]:
    """Our comments with the marker, the oldest first."""
    found = (item for item in _all(thread) if item.ours and item.body.startswith(marker))
    return sorted(item.number for item in found)


def _all(thread: Thread) -> Iterator[Comment]:
    for number in range(1, MOST_PAGES + 1):
        page = thread.page(number)
        yield from page
        if len(page) < PAGE_SIZE:
            return


def _updated(thread: Thread, comment: int, body: str) -> bool:
    """Replace a comment; False when it turns out to be somebody else's."""
    try:
        thread.update(comment, body)
    except HttpError as error:
        if error.status not in NOT_OURS:
            raise
        return False
    return True


def _drop_others(thread: Thread, marker: str, *, keep: int) -> None:
    for comment in _marked(thread, marker):
        if comment != keep:
            thread.delete(comment)


def as_list(document: Any, what: str) -> list[dict[str, Any]]:
    """Return a list of objects; raises NotUnderstood for anything else."""
    if not isinstance(document, list) or not all(isinstance(item, dict) for item in document):
        raise NotUnderstood(f"{what} are no list")
    return document


def number_of(document: Any) -> int:
    """Return the id of what was answered; raises NotUnderstood without one."""
    number = document.get("id") if isinstance(document, dict) else None
    if type(number) is not int:
        raise NotUnderstood("the new comment has no id")
    return number
