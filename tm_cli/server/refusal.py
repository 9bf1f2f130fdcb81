"""An error response of the API."""

from __future__ import annotations

from collections.abc import Mapping


class Refusal(Exception):
    """Ends a request with `status` and the error envelope; 400 by default."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.headers = headers

    @property
    def envelope(self) -> dict[str, str]:
        """The body of the answer, in characters that can be sent."""
        body = {"error": self.message.encode("utf-8", "backslashreplace").decode()}
        if self.code is not None:
            body["code"] = self.code
        return body
