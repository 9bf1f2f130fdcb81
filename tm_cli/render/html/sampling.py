"""Fewer moments that look the same: the lowest and the highest of each stretch. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from statistics import fmean

from tm_cli.gate.course import Course, Moment

_QUANTITIES = tuple(field.name for field in fields(Moment) if field.name != "t")
_RATES = frozenset({"rps", "planned"})


def sampled(course: Course, *, begin: float, end: float, stretches: int) -> Course:
    """Return at most two moments for each of as many stretches of equal length.

    They hold the lowest and the highest of each quantity, in the order in which they came. A course
    that is short enough stays as it is. Seconds; `begin` and `end` enclose the course.
    """
    if len(course) <= 2 * stretches or end <= begin:
        return course
    width = (end - begin) / stretches
    found: list[Moment] = []
    for place, moments in _stretches(course, begin, width, stretches):
        if len(moments) == 1:
            found.append(moments[0])
            continue
        pairs = {name: _extremes(moments, name) for name in _QUANTITIES}
        at = begin + place * width
        found += [
            Moment(at + share * width, **{name: pair[n] for name, pair in pairs.items()})
            for n, share in enumerate((0.25, 0.75))
        ]
    return tuple(found)


def summed_up(course: Course, *, begin: float, end: float, stretches: int) -> Course:
    """Return one moment for each stretch that has any, at its middle.

    Rates are the mean; response times and failures are the worst.
    """
    if end <= begin:
        return course[:1]
    width = (end - begin) / stretches
    return tuple(
        Moment(
            begin + (place + 0.5) * width, **{name: _summary(moments, name) for name in _QUANTITIES}
        )
        for place, moments in _stretches(course, begin, width, stretches)
    )


def _stretches(
    course: Course, begin: float, width: float, stretches: int
) -> Iterator[tuple[int, Sequence[Moment]]]:
    """Yield each stretch that has moments, with its place."""
    place, moments = 0, list[Moment]()
    for moment in course:
        own = min(max(int((moment.t - begin) / width), 0), stretches - 1)
        if own != place and moments:
            yield place, moments
            moments = []
        place = own
        moments.append(moment)
    if moments:
        yield place, moments


def _extremes(moments: Sequence[Moment], name: str) -> tuple[float | None, float | None]:
    values = _values(moments, name)
    if not values:
        return None, None
    low, high = min(values), max(values)
    return (low, high) if values.index(low) <= values.index(high) else (high, low)


def _summary(moments: Sequence[Moment], name: str) -> float | None:
    values = _values(moments, name)
    if not values:
        return None
    return fmean(values) if name in _RATES else max(values)


def _values(moments: Sequence[Moment], name: str) -> list[float]:
    return [value for moment in moments if (value := getattr(moment, name)) is not None]
