"""The JSON client that every API client builds on: attempts, payloads, paging."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, WrapValidator

from tm_cli.api.errors import ApiError, InvalidResponse
from tm_cli.api.retry import LONGEST_PAUSE, Attempts, describe_pause, is_transient, requested_pause
from tm_cli.runtime.clock import Clock, read_deadline
from tm_cli.runtime.signals import SignalReceived

if TYPE_CHECKING:
    from tm_cli.api.transport import Params, Reply, Transport

P = TypeVar("P")

MOST_PAGES = 1000


def follow_cursors(
    fetch: Callable[[str | None], P],
    next_cursor: Callable[[P], str | None],
    *,
    cursor: str | None = None,
) -> Iterator[tuple[P, str | None]]:
    """Yield each page from `cursor` on, with the cursor that leads to the next one.

    That is None on the last page: one without a cursor, one whose cursor was used before, and the
    last of MOST_PAGES.
    """
    used = {cursor}
    while True:
        page = fetch(cursor)
        following = next_cursor(page)
        if following in used or len(used) == MOST_PAGES:
            following = None
        yield page, following
        if following is None:
            return
        cursor = following
        used.add(cursor)


T = TypeVar("T")
READ_ATTEMPTS = 3


class JsonClient:
    """The operations of one server, below its `root` path.

    Every method raises ConnectionFailed, InvalidResponse or HttpError. Reads are attempted three
    times while the failure is transient; everything else is sent once.
    """

    root: ClassVar[str]

    def __init__(self, transport: Transport, clock: Clock) -> None:
        self._transport = transport
        self._clock = clock
        self._read_attempts = READ_ATTEMPTS
        self._longest_pause = LONGEST_PAUSE

    def pausing_at_most(self, seconds: float) -> Self:
        """Return a client on the same transport that repeats no read after a longer pause."""
        twin = copy.copy(self)
        twin._longest_pause = seconds  # noqa: SLF001  # our own
        return twin

    def without_retries(self) -> Self:
        """Return a client on the same transport for callers that repeat reads themselves."""
        twin = copy.copy(self)
        twin._read_attempts = 1  # noqa: SLF001  # our own
        return twin

    @staticmethod
    def may_read_again(error: ApiError) -> bool:
        """Whether a failed read says nothing about the server's state."""
        return is_transient(error)

    def _get(self, read: Callable[[Any], T], path: str, params: Params = None) -> T:
        attempts = Attempts(self._read_attempts)
        while True:
            try:
                return parse_payload(read, path, self._transport.get(self._path(path), params))
            except ApiError as error:
                if not self.may_read_again(error):
                    raise
                self._pause(error, attempts.next_pause(error))

    def _send(
        self,
        read: Callable[[Any], T],
        method: str,
        path: str,
        body: Any = None,
        *,
        params: Params = None,
        headers: Mapping[str, str] | None = None,
    ) -> T:
        """Send what changes something, once."""
        reply = self._send_once(method, path, body, params=params, headers=headers)
        return parse_payload(read, path, reply.document)

    def _send_once(self, method: str, path: str, body: Any = None, **options: Any) -> Reply:
        where = self._path(path)
        try:
            return self._transport.send_once(method, where, body, **options)
        except SignalReceived as signal:
            signal.hint = (
                f"the server may have carried out {method} /{where}: "
                "look before you repeat the command"
            )
            raise

    def _path(self, path: str) -> str:
        return f"{self.root}/{path}"

    def _pause(self, error: ApiError, seconds: float) -> None:
        deadline = read_deadline()
        if deadline is not None and self._clock.monotonic() + seconds > deadline:
            raise error
        requested = requested_pause(error)
        if requested > self._longest_pause:
            pause = describe_pause(requested)
            error.hint = f"the server asks for a pause of {pause}; try again after that"
            raise error
        self._clock.sleep(seconds)


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is not None: optional parameters and fields are left out, not sent as null."""
    return {name: value for name, value in values.items() if value is not None}


def as_object(document: Any) -> dict[str, Any]:
    """Return a JSON object as it is; raises InvalidResponse for anything else."""
    if not isinstance(document, dict):
        what = "empty" if document is None else "not a JSON object"
        raise InvalidResponse(f"the server's answer is {what}")
    return document


def parse_payload(read: Callable[[Any], T], path: str, document: Any) -> T:
    """Return what `read` makes of an answer; raises InvalidResponse when it breaks the contract."""
    try:
        return read(document)
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        what = f"has an unusable {field}: {first['msg']}" if field else "is not what it should be"
        what = "is empty" if document is None else what
        raise InvalidResponse(f"the server's answer to {path} {what}") from None


def _or_none(value: Any, read: Any) -> Any:
    try:
        return read(value)
    except ValidationError:
        return None


def read_instant(value: Any) -> datetime | None:
    """Read an ISO-8601 time; None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(value)
        parsed = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
        parsed.astimezone(UTC)  # fails for one whose UTC is in the year 0 or 10000
    except (ValueError, OverflowError):
        return None
    return parsed


Lenient = Annotated[T | None, WrapValidator(_or_none)]
Instant = Annotated[datetime | None, BeforeValidator(read_instant)]
"""An ISO-8601 time; without an offset it is UTC, and what is finer than a microsecond is cut."""


class Payload(BaseModel):
    """A JSON object of an API, immutable here; unknown fields are kept for JSON output.

    Its validator is built when it is first used: a command uses two or three of many.
    """

    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True, defer_build=True)

    @classmethod
    def field_names(cls) -> list[str]:
        """Return the names of the fields on the wire."""
        alias = cls.model_config.get("alias_generator")
        make = alias if callable(alias) else str
        return [known.alias or make(name) for name, known in cls.model_fields.items()]

    def document(self) -> dict[str, Any]:
        """Return the payload for JSON output, under the names of the wire.

        Raises InvalidResponse for what is nested too deeply to be written.
        """
        try:
            return self.model_dump(mode="json", by_alias=True, exclude_unset=True)
        except ValueError:
            raise InvalidResponse("the server's answer is nested too deeply") from None
