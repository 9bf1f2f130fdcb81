"""The errors of requests, distinguished by what each of them proves.

ApiError
  ConnectionFailed        no answer; `maybe_sent` says whether the server can have acted
  InvalidResponse     an answer that is not the API's: HTML, cut or mistyped JSON, a redirect
  HttpError         an error status with the server's explanation
"""

from __future__ import annotations

from tm_cli.errors import TmError
from tm_cli.exit_codes import ExitCode

UNAUTHORIZED = 401
NO_ACCESS = frozenset({UNAUTHORIZED, 403})
SERVER_ERROR = 500


class ApiError(TmError):
    """A request failed."""

    @property
    def maybe_done(self) -> bool:
        """Whether the server may have done what it was asked for all the same."""
        return True


class ConnectionFailed(ApiError):
    """No complete answer arrived."""

    exit_code = ExitCode.UNAVAILABLE
    slug = "unavailable"

    def __init__(self, message: str, *, maybe_sent: bool, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.maybe_sent = maybe_sent

    @property
    def maybe_done(self) -> bool:
        return self.maybe_sent


class InvalidResponse(ApiError):
    """A complete answer arrived that the API cannot have sent."""

    slug = "bad_response"


class HttpError(ApiError):
    """The server answered with an error status.

    `api_code` is the machine-readable `code` of the answer, `from_api` says that the body was the
    API's own error envelope, `media_type` is that of the body, and `retry_after` is the pause in
    seconds that the server asks for.
    """

    slug = "http_error"

    def __init__(
        self,
        message: str,
        *,
        status: int,
        api_code: str | None = None,
        from_api: bool = False,
        media_type: str = "",
        retry_after: float | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, code=api_code)
        self.status = status
        self.from_api = from_api
        self.media_type = media_type
        self.retry_after = retry_after
        self.is_refused_key = status == UNAUTHORIZED
        if status in NO_ACCESS:
            self.exit_code = ExitCode.AUTHENTICATION
            self.code = api_code or "authentication"

    @property
    def maybe_done(self) -> bool:
        return self.status >= SERVER_ERROR
