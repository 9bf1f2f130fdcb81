"""What the payloads of all systems share: the base class, and fields that are read leniently.

A lenient field that holds something else counts as absent: a mistyped average must not cost a
verdict. What names a run or decides a gate is never read so.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, WrapValidator

T = TypeVar("T")


def _or_none(value: Any, read: Any) -> Any:
    try:
        return read(value)
    except ValidationError:
        return None


def _instant(value: Any) -> datetime | None:
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
Instant = Annotated[datetime | None, BeforeValidator(_instant)]
"""An ISO-8601 time; without an offset it is UTC, and what is finer than a microsecond is cut."""


class Payload(BaseModel):
    """A JSON object of an API, immutable here; unknown fields are kept for JSON output.

    Its validator is built when it is first used: a command uses two or three of many.
    """

    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True, defer_build=True)

    def document(self) -> dict[str, Any]:
        """Return the payload for JSON output, under the names of the wire."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)
