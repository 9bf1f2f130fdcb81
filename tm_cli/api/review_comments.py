"""Comments on pull requests of GitHub and merge requests of GitLab."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import quote

from tm_cli.api.errors import ApiError, HttpError, InvalidResponse
from tm_cli.api.responses import ErrorBody
from tm_cli.api.transport import Transport

MOST_PAGES = 30
PAGE_SIZE = 100
NOT_OURS = frozenset({403, 404})


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment; `ours` says whether its author may be us."""

    number: int
    body: str
    ours: bool


class ReviewThread:
    """The comments of one pull or merge request; every method raises ApiErrors."""

    longest: ClassVar[int]
    """Characters of one comment."""
    _author: ClassVar[str]
    _order: ClassVar[dict[str, str]] = {}

    def __init__(self, transport: Transport, comments: str, one_comment: str) -> None:
        self._transport = transport
        self._comments = comments
        self._one_comment = one_comment

    def page(self, number: int) -> list[Comment]:
        """Return a page of comments, the oldest first; `number` counts from 1."""
        query: dict[str, str | int] = {"per_page": PAGE_SIZE, "page": number, **self._order}
        found = self._transport.get(self._comments, query)
        if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
            raise InvalidResponse("the comments: expected a list of objects")
        return [
            Comment(item["id"], str(item.get("body") or ""), self._is_ours(item.get(self._author)))
            for item in found
            if type(item.get("id")) is int
        ]

    def create(self, body: str) -> int:
        """Add a comment and return its number."""
        document = self._transport.post(self._comments, {"body": body})
        number = document.get("id") if isinstance(document, dict) else None
        if type(number) is not int:
            raise InvalidResponse("the new comment has no id")
        return number

    def update(self, comment: int, body: str) -> None:
        self._transport.put(f"{self._one_comment}/{comment}", {"body": body})

    def delete(self, comment: int) -> None:
        self._transport.delete(f"{self._one_comment}/{comment}")

    def _is_ours(self, author: Any) -> bool:
        raise NotImplementedError


class PullRequest(ReviewThread):
    """Comments of a pull request, by GitHub's REST API (version 2022-11-28).

    A token of a workflow cannot ask who it is; then every comment of a bot may be ours, and the
    server refuses to change one that is not.
    """

    longest = 65_536
    _author = "user"

    def __init__(self, transport: Transport, repository: str, number: int) -> None:
        issues = f"repos/{'/'.join(quote(part, safe='') for part in repository.split('/'))}/issues"
        super().__init__(transport, f"{issues}/{number}/comments", f"{issues}/comments")
        self._login = self._own_login()

    def update(self, comment: int, body: str) -> None:
        self._transport.send_once("PATCH", f"{self._one_comment}/{comment}", {"body": body})

    def _own_login(self) -> str | None:
        try:
            user = self._transport.get("user")
        except ApiError:
            return None
        login = user.get("login") if isinstance(user, dict) else None
        return login if isinstance(login, str) else None

    def _is_ours(self, author: Any) -> bool:
        if not isinstance(author, dict):
            return False
        if self._login is not None:
            return bool(author.get("login") == self._login)
        return author.get("type") == "Bot"


class MergeRequest(ReviewThread):
    """Notes of a merge request, by GitLab's REST API (v4)."""

    longest = 1_000_000
    _author = "author"
    _order: ClassVar[dict[str, str]] = {"sort": "asc", "order_by": "created_at"}

    def __init__(self, transport: Transport, project: str, number: int) -> None:
        notes = f"projects/{quote(project, safe='')}/merge_requests/{number}/notes"
        super().__init__(transport, notes, notes)
        user = transport.get("user")
        self._own = user.get("id") if isinstance(user, dict) else None

    def _is_ours(self, author: Any) -> bool:
        return self._own is not None and isinstance(author, dict) and author.get("id") == self._own


def replace_comment(thread: ReviewThread, marker: str, body: str) -> str:
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


def _marked(thread: ReviewThread, marker: str) -> list[int]:
    """Return our comments with the marker, the oldest first."""
    found = (item for item in _all(thread) if item.ours and item.body.startswith(marker))
    return sorted(item.number for item in found)


def _all(thread: ReviewThread) -> Iterator[Comment]:
    for number in range(1, MOST_PAGES + 1):
        page = thread.page(number)
        yield from page
        if len(page) < PAGE_SIZE:
            return


def _updated(thread: ReviewThread, comment: int, body: str) -> bool:
    """Replace a comment; False when its author turns out to be another."""
    try:
        thread.update(comment, body)
    except HttpError as error:
        if error.status not in NOT_OURS:
            raise
        return False
    return True


def _drop_others(thread: ReviewThread, marker: str, *, keep: int) -> None:
    for comment in _marked(thread, marker):
        if comment != keep:
            thread.delete(comment)


def explain(document: Any) -> ErrorBody:
    """Read the body of an error: `{"message": sentence}`."""
    message = document.get("message") if isinstance(document, dict) else None
    text = message if isinstance(message, str) else None
    return ErrorBody(text, from_api=text is not None)
