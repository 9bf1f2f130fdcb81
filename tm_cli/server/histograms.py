"""Encoded histograms of response times: checked before they are decoded.

The library allocates what a histogram's header asks for, and compression hides how much that is:
half a megabyte would become many hundreds.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Iterable
from functools import cache

from hdrh.histogram import HdrHistogram

from tm_cli.server.validation import MAX_COUNT

HIGHEST_US = 3600 * 1_000_000
_LOWEST, _DIGITS = 1, 3
_QUANTILES = {"p50_ms": 50.0, "p95_ms": 95.0, "p99_ms": 99.0}
_ENVELOPE = struct.Struct(">II")  # cookie, length
_HEADER = struct.Struct(">IIIIQQd")  # cookie, length, offset, digits, lowest, highest, ratio
_BYTES_A_COUNT = 9


class UnreadableHistogram(ValueError):
    """A histogram is damaged, or of another kind than ours."""


def new_histogram() -> HdrHistogram:
    """An empty histogram of microseconds up to an hour, the only kind used."""
    return HdrHistogram(_LOWEST, HIGHEST_US, _DIGITS)


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
