"""The errors that users meet; each class names its exit code and its slug in JSON.

TmError                  error
  UsageError             usage            64
  ConfigurationError     configuration    78
  Unavailable            unavailable      69
  Refused                refused           8
  StartUnknown           start_unknown     7
  WaitTimeout            wait_timeout      6
  Undecided              undecided         5
    TargetUntestable     untestable
  OutputError            output           73
  Interrupted            interrupted     128 + signal
"""

from __future__ import annotations

from typing import ClassVar

from tm_cli.exit_codes import ExitCode


class TmError(Exception):
    """Something the user should read: what was attempted, what happened, and what to try next.

    `own_request_id` is what the server calls the request whose answer this error is about.
    """

    exit_code: ExitCode = ExitCode.ERROR
    slug: ClassVar[str] = "error"
    own_request_id: str | None = None
    is_refused_key = False

    def __init__(self, message: str, *, hint: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code or self.slug

    @property
    def request_id(self) -> str | None:
        """The server's id of the request that led to this error or to one that it replaces."""
        return self.own_request_id or getattr(self.__context__, "request_id", None)


class UsageError(TmError):
    """Wrong flags or values; raised before anything is sent."""

    exit_code = ExitCode.USAGE
    slug = "usage"


class ConfigurationError(TmError):
    """A setting or a file cannot be used."""

    exit_code = ExitCode.CONFIGURATION
    slug = "configuration"


class Unavailable(TmError):
    """The server could not be reached, and it cannot have seen the request."""

    exit_code = ExitCode.UNAVAILABLE
    slug = "unavailable"


class Refused(TmError):
    """The server answered, and its answer means that nothing was started."""

    exit_code = ExitCode.REFUSED
    slug = "refused"


class StartUnknown(TmError):
    """A start was sent and its answer was lost: it may or may not have happened."""

    exit_code = ExitCode.START_UNKNOWN
    slug = "start_unknown"


class WaitTimeout(TmError):
    """The run was still going at the deadline that the user set."""

    exit_code = ExitCode.WAIT_TIMEOUT
    slug = "wait_timeout"


class Undecided(TmError):
    """The run ended and no verdict can be tied to it."""

    exit_code = ExitCode.UNDECIDED
    slug = "undecided"


class TargetUntestable(Undecided):
    """The service of a gate did not get ready, or it ended by itself: nothing can be decided."""

    slug = "untestable"


class OutputError(TmError):
    """A requested result could not be written."""

    exit_code = ExitCode.OUTPUT
    slug = "output"


class Interrupted(TmError):
    """A signal ended the command before a decision."""

    slug = "interrupted"

    def __init__(self, signal_number: int, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = ExitCode(128 + signal_number)
