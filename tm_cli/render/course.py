"""A run drawn over time: rates as planned and achieved, response times beside the baseline's."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING

from tm_cli.durations import format_duration
from tm_cli.gate.course import Course, Moment
from tm_cli.render.chart import Points, Scale, chart, time_axis
from tm_cli.render.numbers import milliseconds, percent, rate
from tm_cli.terminal import Terminal

if TYPE_CHECKING:
    from rich.text import Text

_QUANTILES = {"p50": "green", "p95": "yellow", "p99": "red"}
_NEIGHBOURS = 1
"""Moments to both sides from which the band of another run takes its lowest and highest."""


def draw_course(
    terminal: Terminal,
    course: Course,
    *,
    other: Course = (),
    other_name: str = "baseline",
    duration: float | None = None,
    draws_other_rates: bool = False,
) -> str:
    """Draw a run, its response times over the band of the `other`; empty without any series.

    `duration` in seconds is that of the curve. `draws_other_rates`: the other one has a chart of
    its rates as well, because both were under load at the same time.
    """
    last = max((moment.t for moment in course), default=0.0)
    if not last:
        return ""
    scale = Scale.fitting(terminal, max(duration or 0.0, _end(last, _width(course) / 2, duration)))
    parts = _rates(scale, course, "")
    if draws_other_rates:
        parts += _rates(scale, other, f" of the {other_name}")
    for quantile, style in _QUANTILES.items():
        parts += _times(scale, course, other, quantile, style, other_name)
    if not parts:
        return ""
    from rich.text import Text

    drawn = Text().join([*parts, time_axis(scale)])
    return terminal.sketch(drawn).rstrip("\n")


def remarkable_moments(course: Course, duration: float | None = None) -> list[str]:
    """Say when the run was slowest and when it failed most; `duration` is that of the curve."""
    lines = []
    half = _width(course) / 2

    def span(moment: Moment) -> str:
        begin, end = max(moment.t - half, 0.0), _end(moment.t, half, duration)
        return f"{format_duration(begin)} to {format_duration(end)}"

    slow = max(course, key=lambda moment: _slowness(moment) or 0.0, default=None)
    if slow is not None and _slowness(slow):
        times = ", ".join(
            f"{name} {milliseconds(value)}"
            for name in _QUANTILES
            if (value := getattr(slow, name)) is not None
        )
        at = f" at {rate(slow.rps)} requests/s" if slow.rps is not None else ""
        lines.append(f"slowest {span(slow)}: {times}{at}")
    worst = max(course, key=lambda moment: moment.bad or 0.0, default=None)
    if worst is not None and worst.bad:
        lines.append(f"most failures {span(worst)}: {percent(worst.bad * 100)} of requests")
    return lines


def _rates(scale: Scale, course: Course, whose: str) -> list[Text]:
    achieved = _points(course, "rps")
    if not achieved:
        return []
    planned = _points(course, "planned")
    shown = "" if not planned else f", planned {scale.ink.band}"
    return [
        _title(f"requests/s{whose}: achieved {scale.ink.line}{shown}"),
        chart(
            scale,
            achieved,
            low=planned,
            high=planned,
            label=_rate_label,
            style="cyan",
            from_zero=True,
        ),
    ]


def _times(
    scale: Scale, course: Course, other: Course, quantile: str, style: str, other_name: str
) -> list[Text]:
    line = _points(course, quantile)
    if not line:
        return []
    there = _points(other, quantile)
    shown = "" if not there else f", {other_name} {scale.ink.band}"
    return [
        _title(f"{quantile}: this run {scale.ink.line}{shown}"),
        chart(
            scale,
            line,
            low=_around(there, min),
            high=_around(there, max),
            label=lambda value: milliseconds(value) if value else "0",
            style=style,
        ),
    ]


def _title(text: str) -> Text:
    from rich.text import Text

    return Text(f"{text}\n", style="bold")


def _rate_label(value: float) -> str:
    return rate(value) if value < 1e6 else f"{value:.2g}"


def _points(course: Course, name: str) -> Points:
    return [(moment.t, value) for moment in course if (value := getattr(moment, name)) is not None]


def _around(points: Points, pick: Callable[[list[float]], float]) -> Points:
    """Give each point the lowest or highest value of its neighbourhood."""
    values = [value for _, value in points]
    return [
        (t, pick(values[max(n - _NEIGHBOURS, 0) : n + _NEIGHBOURS + 1]))
        for n, (t, _) in enumerate(points)
    ]


def _slowness(moment: Moment) -> float | None:
    return next(
        (value for value in (moment.p99, moment.p95, moment.p50) if value is not None), None
    )


def _width(course: Course) -> float:
    """The usual distance of two moments in seconds."""
    gaps = sorted(after.t - before.t for before, after in pairwise(course))
    return gaps[(len(gaps) - 1) // 2] if gaps else 5.0


def _end(middle: float, half: float, duration: float | None) -> float:
    """When the bucket around `middle` ends; the last one of a curve is cut off by its end."""
    end = middle + half
    return duration if duration and middle - half < duration < end else end
