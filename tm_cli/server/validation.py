"""Values from load generators, disk and clients, checked before use: times, counts, histograms."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from typing import Annotated

from hdrh.histogram import HdrHistogram
from pydantic import AfterValidator, Field, Strict, ValidationError


def wire_time(instant: datetime) -> str:
    """Return `instant` in the one fixed-width form, so that texts sort like the instants."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def read_time(text: str) -> datetime:
    """Parse an ISO 8601 time; raises ValueError when it is invalid or has no offset."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"{text!r} has no offset; write for instance 2026-01-31T12:00:00Z")
    return instant.astimezone(UTC)


def time_or_none(stored: object) -> str | None:
    """A time of a row as it is sent; None for none, and for what cannot be read as one."""
    with suppress(ValueError, OverflowError):
        return wire_time(read_time(stored)) if isinstance(stored, str) else None
    return None


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


HIGHEST_US = 3600 * 1_000_000
_LOWEST, _DIGITS = 1, 3
_QUANTILES = {"p50_ms": 50.0, "p95_ms": 95.0, "p99_ms": 99.0}
_KEPT_BITS = 11  # of a value, which is what three digits take
_ENVELOPE = struct.Struct(">II")  # cookie, length
_HEADER = struct.Struct(">IIIIQQd")  # cookie, length, offset, digits, lowest, highest, ratio
_BYTES_A_COUNT = 9


class UnreadableHistogram(ValueError):
    """A histogram is damaged, or of another kind than ours."""


def new_histogram() -> HdrHistogram:
    """An empty histogram of microseconds up to an hour, the only kind used."""
    return HdrHistogram(_LOWEST, HIGHEST_US, _DIGITS)


def lowest_equivalent(value: int) -> int:
    """The lowest of the values that a histogram does not tell apart from this one."""
    shift = max(value.bit_length() - _KEPT_BITS, 0)
    return value >> shift << shift


def highest_equivalent(value: int) -> int:
    shift = max(value.bit_length() - _KEPT_BITS, 0)
    return value | ((1 << shift) - 1)


def quantiles_ms(histogram: HdrHistogram | None) -> dict[str, float | None]:
    """The quantiles of a bucket in milliseconds, None without response times."""
    if histogram is None or not histogram.get_total_count():
        return dict.fromkeys(_QUANTILES)
    found = histogram.get_percentile_to_value_dict(list(_QUANTILES.values()))
    return {name: found[percentile] / 1000 for name, percentile in _QUANTILES.items()}


def merge_encoded(texts: Iterable[str]) -> HdrHistogram:
    """The sum of encoded histograms, which is without loss; raises UnreadableHistogram."""
    total = new_histogram()
    for text in texts:
        add_encoded(total, text)
    return total


def check_encoded(text: str) -> None:
    """Raise UnreadableHistogram unless `text` is empty or safe to decode; cheap."""
    try:
        if text:
            _check_size(text)
    except (ValueError, zlib.error, struct.error) as error:
        raise _unreadable(error) from error


def add_encoded(histogram: HdrHistogram, text: str) -> None:
    """Add an encoded histogram; an empty text is none. Raises UnreadableHistogram."""
    if not text:
        return
    check_encoded(text)
    try:
        histogram.decode_and_add(text)
        _check_total(histogram)
    except Exception as error:  # the library has many kinds
        raise _unreadable(error) from error


def _check_total(histogram: HdrHistogram) -> None:
    if histogram.get_total_count() > MAX_COUNT:
        raise ValueError("it has more response times than there can be")


def _unreadable(error: Exception) -> UnreadableHistogram:
    return UnreadableHistogram(f"the response times cannot be read: {error!r}")


def _check_size(text: str) -> None:
    """Decompress no more than our histograms can have, and check the header."""
    most = _most_bytes()
    if len(text) > 2 * most:
        raise ValueError("too long")
    packed = base64.b64decode(text)[_ENVELOPE.size :]
    unpacked = zlib.decompressobj().decompress(packed, most + 1)
    if len(unpacked) > most:
        raise ValueError("too long when it is unpacked")
    _, _, _, digits, lowest, highest, _ = _HEADER.unpack_from(unpacked)
    if (digits, lowest, highest) != (_DIGITS, _LOWEST, HIGHEST_US):
        raise ValueError("it has another precision or range")


@cache
def _most_bytes() -> int:
    return _HEADER.size + int(new_histogram().counts_len) * _BYTES_A_COUNT
