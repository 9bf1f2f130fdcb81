"""Comments on pull and merge requests, on GitHub and GitLab."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

from tm_cli.api.errors import ApiError, HttpError, NotUnderstood
from tm_cli.api.responses import Explanation
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


GITHUB_LONGEST = 65_536
"""Characters of one comment."""


def explain(document: Any) -> Explanation:
    """Read the body of an error: `{"message": sentence}`."""
    message = document.get("message") if isinstance(document, dict) else None
    text = message if isinstance(message, str) else None
    return Explanation(text, from_api=text is not None)


class PullRequest:
    """One pull request's thread.

    A token of a workflow cannot ask who it is; then every comment of a bot may be ours, and the
    server refuses to change one that is not.
    """

    def __init__(self, transport: Transport, repository: str, number: int) -> None:
        self._transport = transport
        self._repository = "/".join(quote(part, safe="") for part in repository.split("/"))
        self._number = number
        self._login = self._own_login()

    def page(self, number: int) -> list[Comment]:
        """Return a page of comments."""
        path = f"repos/{self._repository}/issues/{self._number}/comments"
        found = self._transport.get(path, {"per_page": PAGE_SIZE, "page": number})
        return [
            Comment(item["id"], str(item.get("body") or ""), self._is_ours(item.get("user")))
            for item in as_list(found, "the comments")
            if type(item.get("id")) is int
        ]

    def create(self, body: str) -> int:
        """Add a comment."""
        path = f"repos/{self._repository}/issues/{self._number}/comments"
        return number_of(self._transport.post(path, {"body": body}))

    def update(self, comment: int, body: str) -> None:
        """Replace a comment."""
        path = f"repos/{self._repository}/issues/comments/{comment}"
        self._transport.send_once("PATCH", path, {"body": body})

    def delete(self, comment: int) -> None:
        """Take a comment away."""
        self._transport.delete(f"repos/{self._repository}/issues/comments/{comment}")

    def _own_login(self) -> str | None:
        try:
            user = self._transport.get("user")
        except ApiError:
            return None
        login = user.get("login") if isinstance(user, dict) else None
        return login if isinstance(login, str) else None

    def _is_ours(self, user: Any) -> bool:
        if not isinstance(user, dict):
            return False
        if self._login is not None:
            return bool(user.get("login") == self._login)
        return user.get("type") == "Bot"


GITLAB_LONGEST = 1_000_000
"""Characters of one note."""


class MergeRequest:
    """One merge request's thread; raises ApiErrors."""

    def __init__(self, transport: Transport, project: str, number: int) -> None:
        self._transport = transport
        self._path = f"projects/{quote(project, safe='')}/merge_requests/{number}/notes"
        user = transport.get("user")
        self._own = user.get("id") if isinstance(user, dict) else None

    def page(self, number: int) -> list[Comment]:
        """Return a page of notes."""
        order = {"sort": "asc", "order_by": "created_at"}
        found = self._transport.get(self._path, {"per_page": PAGE_SIZE, "page": number, **order})
        return [
            Comment(item["id"], str(item.get("body") or ""), self._is_ours(item.get("author")))
            for item in as_list(found, "the notes")
            if type(item.get("id")) is int
        ]

    def create(self, body: str) -> int:
        """Add a note."""
        return number_of(self._transport.post(self._path, {"body": body}))

    def update(self, comment: int, body: str) -> None:
        """Replace a note."""
        self._transport.put(f"{self._path}/{comment}", {"body": body})

    def delete(self, comment: int) -> None:
        """Take a note away."""
        self._transport.delete(f"{self._path}/{comment}")

    def _is_ours(self, author: Any) -> bool:
        return self._own is not None and isinstance(author, dict) and author.get("id") == self._own
