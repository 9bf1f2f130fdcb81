"""Comments of a pull request, by GitHub's REST API (version 2022-11-28)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from tm_cli.api.answers import Explanation
from tm_cli.api.errors import ApiError
from tm_cli.api.forges.thread import PAGE_SIZE, Comment, as_list, number_of
from tm_cli.api.transport import Transport

LONGEST = 65_536
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
