"""Notes of a merge request, by GitLab's REST API (v4)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from tm_cli.api.forges.thread import PAGE_SIZE, Comment, as_list, number_of
from tm_cli.api.transport import Transport

LONGEST = 1_000_000
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
