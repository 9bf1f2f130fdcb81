"""Response times as the judge wants them: by stretches of the curve."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hdrh.histogram import HdrHistogram

from tm_cli.server.engine_events import Bucket
from tm_cli.server.judge.facts import Times

_MOST_BLOCKS = 40
_HIGHEST_US = 3600 * 1_000_000


def blocks(buckets: Sequence[Bucket]) -> list[Times]:
    """Join the buckets of one side to at most 40 blocks of equal length.

    Comparable runs have the same number of buckets, so their blocks cover the same stretches.
    Returns nothing when a histogram cannot be read.
    """
    count = max((bucket.index for bucket in buckets), default=-1) + 1
    size = -(-count // _MOST_BLOCKS) or 1
    joined: list[list[str]] = [[] for _ in range(-(-count // size))]
    for bucket in buckets:
        joined[bucket.index // size].append(bucket.response)
    try:
        return [_times(texts) for texts in joined]
    except Exception:  # the library has many kinds, down to those of zlib
        return []


def _times(encoded: Iterable[str]) -> Times:
    merged = HdrHistogram(1, _HIGHEST_US, 3)
    for text in encoded:
        if text:
            merged.decode_and_add(text)
    # ten times quicker than the library's iterator, which works out much more
    counts = enumerate(merged.counts[: merged.counts_len])
    return [(max(merged.get_value_from_index(at), 1), count) for at, count in counts if count]
