"""Types of the numbers and texts from load generators and from the disk, checked before use.

A number that is too large for the database, or that is not a number, would otherwise end the server
instead of the run.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, Strict, ValidationError

MAX_COUNT = 2**53
"""The largest count: what JSON readers, floating point and SQLite all keep exactly."""
_MAX_SECONDS = 1e9
_MAX_NAMES = 1000
_MAX_NAME_LENGTH = 10_000
_HIGHEST_STATUS = 99_999

Count = Annotated[int, Strict(), Field(ge=0, le=MAX_COUNT)]
Finite = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Measure = Annotated[Finite, Field(ge=0, le=MAX_COUNT)]
"""Seconds, milliseconds or requests per second."""
Seconds = Annotated[Finite, Field(ge=0, le=_MAX_SECONDS)]
"""A moment of the curve, which no run outlasts."""


def _check_encodable(text: str) -> str:
    text.encode()  # a lone surrogate could not be sent on
    return text


Text = Annotated[str, Strict(), AfterValidator(_check_encodable)]
Counts = Annotated[
    dict[Annotated[Text, Field(max_length=_MAX_NAME_LENGTH)], Count], Field(max_length=_MAX_NAMES)
]
"""Counts by name."""


def _status(text: str) -> str:
    if not (text.isascii() and text.isdigit() and int(text) <= _HIGHEST_STATUS):
        raise ValueError(f"{text[:20]!r} is not an HTTP status")
    return str(int(text))


StatusCounts = Annotated[
    dict[Annotated[Text, AfterValidator(_status)], Count], Field(max_length=_MAX_NAMES)
]
"""Counts by HTTP status."""


def refuse_constant(text: str) -> None:
    """Raise ValueError for NaN and the infinities, which Python's JSON reader takes."""
    raise ValueError(f"{text} is not a number")


def problems(error: ValidationError) -> list[tuple[str, str]]:
    """The field, if any, and the message of each problem."""
    return [
        (
            ".".join(str(part) for part in detail["loc"]),
            detail["msg"].removeprefix("Value error, "),
        )
        for detail in error.errors(include_url=False, include_input=False)
    ]
