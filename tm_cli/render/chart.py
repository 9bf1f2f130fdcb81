"""Time series as charts for the terminal, of braille dots or, without Unicode, of ASCII."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from operator import itemgetter
from typing import TYPE_CHECKING

from tm_cli.gate.model import Sample, TimeSeries, known_points, not_judged
from tm_cli.render.tables import milliseconds, percent, rate
from tm_cli.runtime.terminal import Terminal
from tm_cli.values.durations import format_duration

if TYPE_CHECKING:
    from rich.text import Text

WIDEST = 100
NARROWEST = 10
HEIGHT = 5
MARGIN = 9
"""Columns for the labels of the values."""

_DOTS = ((0x40, 0x04, 0x02, 0x01), (0x80, 0x20, 0x10, 0x08))
"""The braille bits of the left and the right column of a cell, from the bottom up."""

Points = Sequence[tuple[float, float]]
"""Times in seconds and values, in order of time."""

_QUANTILES = {"p50": "green", "p95": "yellow", "p99": "red"}
_NEIGHBOURS = 1
"""Samples to both sides that the band of another run covers."""


def draw_series(
    terminal: Terminal,
    series: TimeSeries,
    *,
    other: TimeSeries = (),
    other_name: str = "baseline",
    duration: float | None = None,
    warmup: float = 0.0,
    draws_other_rates: bool = False,
) -> str:
    """Draw a run, its response times over the band of the `other`; empty without any series.

    `duration` is that of the load curve, in seconds; the axis marks the `warmup`, which is not
    judged. `draws_other_rates` adds a chart of the other
    one's rates, for two targets under load at the same time.
    """
    last = max((sample.t for sample in series), default=0.0)
    if not last:
        return ""
    scale = Scale.fitting(terminal, max(duration or 0.0, _end(last, _width(series) / 2, duration)))
    parts = _rates(scale, series, "")
    if draws_other_rates:
        parts += _rates(scale, other, f" of the {other_name}")
    for quantile, style in _QUANTILES.items():
        parts += _times(scale, series, other, quantile, style, other_name)
    if not parts:
        return ""
    from rich.text import Text

    drawn = Text().join([*parts, time_axis(scale, warmup)])
    return terminal.render(drawn).rstrip("\n")


def draw_levels(
    terminal: Terminal,
    title: str,
    values: Sequence[float],
    levels: Sequence[float],
    *,
    label: Callable[[float], str],
    ends: tuple[str, str],
    marks: Sequence[int] = (),
) -> str:
    """Draw one value for each of several runs over their levels; `ends` name the outer runs.

    The axis has a `^` at each of the runs in `marks`.
    """
    from rich.text import Text

    scale = Scale.fitting(terminal, float(len(values)))
    band = [(number + 0.5, level) for number, level in enumerate(levels)]
    line = [(number + 0.5, value) for number, value in enumerate(values)]
    drawn = chart(scale, line, low=band, high=band, label=label, style="cyan")
    head = _title(f"{title}: each run {scale.ink.line}, level {scale.ink.band}")
    base = list(scale.ink.base * scale.width)
    for number in marks:
        base[int((number + 0.5) / len(values) * scale.width)] = "^"
    axis = _axis(scale, *ends, "".join(base))
    return terminal.render(Text().join([head, drawn, axis])).rstrip("\n")


def remarkable_moments(series: TimeSeries, duration: float | None = None) -> list[str]:
    """Return when the run was slowest and when it failed most, in sentences."""
    lines = []
    half = _width(series) / 2

    def span(sample: Sample) -> str:
        begin, end = max(sample.t - half, 0.0), _end(sample.t, half, duration)
        return f"{format_duration(begin)} to {format_duration(end)}"

    slow = max(series, key=lambda sample: _slowness(sample) or 0.0, default=None)
    if slow is not None and _slowness(slow):
        times = ", ".join(
            f"{name} {milliseconds(value)}"
            for name in _QUANTILES
            if (value := getattr(slow, name)) is not None
        )
        at = f" at {rate(slow.rps)} requests/s" if slow.rps is not None else ""
        lines.append(f"slowest {span(slow)}: {times}{at}")
    worst = max(series, key=lambda sample: sample.bad or 0.0, default=None)
    if worst is not None and worst.bad:
        lines.append(f"most failures {span(worst)}: {percent(worst.bad * 100)} of requests")
    return lines


def _rates(scale: Scale, series: TimeSeries, whose: str) -> list[Text]:
    achieved = known_points(series, "rps")
    if not achieved:
        return []
    planned = known_points(series, "planned")
    shown = "" if not planned else f", planned {scale.ink.band}"
    return [
        _title(f"requests/s{whose}: achieved {scale.ink.line}{shown}"),
        chart(
            scale,
            achieved,
            low=planned,
            high=planned,
            label=rate_label,
            style="cyan",
            from_zero=True,
        ),
    ]


def _times(
    scale: Scale, series: TimeSeries, other: TimeSeries, quantile: str, style: str, other_name: str
) -> list[Text]:
    line = known_points(series, quantile)
    if not line:
        return []
    there = known_points(other, quantile)
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


def rate_label(value: float) -> str:
    return rate(value) if value < 1e6 else f"{value:.2g}"


def _around(points: Points, pick: Callable[[list[float]], float]) -> Points:
    """Give each point the lowest or highest value of its neighbourhood."""
    values = [value for _, value in points]
    return [
        (t, pick(values[max(n - _NEIGHBOURS, 0) : n + _NEIGHBOURS + 1]))
        for n, (t, _) in enumerate(points)
    ]


def _slowness(sample: Sample) -> float | None:
    return next(
        (value for value in (sample.p99, sample.p95, sample.p50) if value is not None), None
    )


def _width(series: TimeSeries) -> float:
    """Return the median distance of two samples in seconds."""
    gaps = sorted(after.t - before.t for before, after in pairwise(series))
    return gaps[(len(gaps) - 1) // 2] if gaps else 5.0


def _end(middle: float, half: float, duration: float | None) -> float:
    """Return the end of the bucket around `middle`; the end of the curve cuts the last one."""
    end = middle + half
    return duration if duration and middle - half < duration < end else end


@dataclass(frozen=True, slots=True)
class Ink:
    """The characters of charts; a cell has `across` times `up` dots.

    `line` and `band` are samples for a legend; `base` is the time axis, `warmup` its beginning.
    """

    across: int
    up: int
    line: str
    band: str
    axis: str
    corner: str
    base: str
    warmup: str


BRAILLE = Ink(2, 4, "⠒⠒", "⠔⠔", "│", "└", "─", "┄")
ASCII = Ink(1, 1, "*", ".", "|", "+", "-", "=")


def choose_ink(terminal: Terminal) -> Ink:
    encoding = getattr(terminal.out, "encoding", None) or "utf-8"
    try:
        "⣿│└─┄".encode(encoding)
    except (LookupError, UnicodeEncodeError):
        return ASCII
    return BRAILLE


@dataclass(frozen=True, slots=True)
class Scale:
    """What the charts above one time axis share: `end` in seconds, `width` in columns."""

    end: float
    width: int
    ink: Ink

    @classmethod
    def fitting(cls, terminal: Terminal, end: float) -> Scale:
        """Return a scale as wide as the terminal, within limits."""
        width = min(terminal.width, WIDEST) - MARGIN - 2
        return cls(max(end, 1.0), max(width, NARROWEST), choose_ink(terminal))


def resample(
    points: Points, slots: int, end: float, pick: Callable[[list[float]], float] = max
) -> list[float | None]:
    """Return a value for each of `slots` parts of 0 to `end` seconds, None where nothing is known.

    A point counts from halfway to the one before it to halfway to the next.
    """
    found: list[list[float]] = [[] for _ in range(slots)]
    reach = _spacing(points, end) / 2
    for t, value in points:
        first = max(int((t - reach) / end * slots), 0)
        last = min(math.ceil((t + reach) / end * slots), slots)
        for slot in range(first, max(last, min(first + 1, slots))):
            found[slot].append(value)
    return [pick(values) if values else None for values in found]


def chart(
    scale: Scale,
    line: Points,
    *,
    low: Points = (),
    high: Points = (),
    label: Callable[[float], str],
    style: str,
    from_zero: bool = False,
) -> Text:
    """Draw `line` and a dotted band that reaches from `low`, or the bottom, to `high`.

    The bottom is zero, or half of the largest value where nothing is lower; `label` writes both.
    Lines end in a line break.
    """
    from rich.text import Text

    values = [value for _, value in (*line, *low, *high)]
    top = max(values, default=0.0) or 1.0
    bottom = 0.0 if from_zero or min(values, default=0.0) < top / 2 else top / 2
    slots, steps = scale.width * scale.ink.across, HEIGHT * scale.ink.up

    def level(value: float | None) -> int | None:
        if value is None:
            return None
        return min(max(int((value - bottom) / (top - bottom) * steps), 0), steps - 1)

    strokes = _strokes([level(value) for value in resample(line, slots, scale.end)])
    band = _band(
        [level(value) for value in resample(low, slots, scale.end, min)],
        [level(value) for value in resample(high, slots, scale.end)],
    )
    drawn = Text()
    for row in reversed(range(HEIGHT)):
        name = {HEIGHT - 1: label(top), 0: label(bottom)}.get(row, "")
        drawn.append(f"{name:>{MARGIN}} {scale.ink.axis}", style="dim")
        cells = (_cell(strokes, band, row, n, scale.ink, style) for n in range(scale.width))
        for shade, run in groupby(cells, key=itemgetter(1)):
            drawn.append("".join(character for character, _ in run), style=shade)
        drawn.append("\n")
    return drawn


def time_axis(scale: Scale, warmup: float = 0.0) -> Text:
    cold = min(math.ceil(warmup / scale.end * scale.width), scale.width)
    base = scale.ink.warmup * cold + scale.ink.base * (scale.width - cold)
    last = format_duration(scale.end)
    labels = f"0s  {not_judged(warmup)}" if warmup else "0s"
    first = labels if len(labels) < scale.width - len(last) - 1 else "0s"
    return _axis(scale, first, last, base)


def _axis(scale: Scale, first: str, last: str, base: str | None = None) -> Text:
    from rich.text import Text

    blanks = " " * (MARGIN + 1)
    base = base or scale.ink.base * scale.width
    room = max(scale.width - len(first), len(last) + 1)
    return Text(f"{blanks}{scale.ink.corner}{base}\n{blanks} {first}{last:>{room}}\n", style="dim")


def _spacing(points: Points, end: float) -> float:
    gaps = sorted(after - before for (before, _), (after, _) in pairwise(points))
    return min(gaps[(len(gaps) - 1) // 2], end) if gaps else min(5.0, end)


Span = tuple[int, int] | None
"""The lowest and the highest dot of one slot, both included."""


def _strokes(levels: list[int | None]) -> list[Span]:
    """Return the dots of a line, so that it has no gaps where it jumps."""
    spans: list[Span] = []
    before: int | None = None
    for level in levels:
        if level is None:
            spans.append(None)
        elif before is None or abs(level - before) <= 1:
            spans.append((level, level))
        else:
            spans.append((min(level, before + 1), max(level, before - 1)))
        before = level
    return spans


def _band(lows: list[int | None], highs: list[int | None]) -> list[Span]:
    return [
        None if high is None else (low or 0, high) for low, high in zip(lows, highs, strict=True)
    ]


def _cell(
    strokes: Sequence[Span], band: Sequence[Span], row: int, column: int, ink: Ink, style: str
) -> tuple[str, str]:
    line = shade = 0
    for side in range(ink.across):
        slot = column * ink.across + side
        for dot in range(ink.up):
            height = row * ink.up + dot
            if _covers(strokes[slot], height):
                line |= _DOTS[side][dot]
            elif _covers(band[slot], height) and (ink.up == 1 or (slot + height) % 2):
                shade |= _DOTS[side][dot]
    if not line and not shade:
        return " ", ""
    # a cell has one colour, so where the line is, the band is left out
    if ink.up == 1:
        return (ink.line, style) if line else (ink.band, "dim")
    return (chr(0x2800 + line), style) if line else (chr(0x2800 + shade), "dim")


def _covers(span: Span, height: int) -> bool:
    return span is not None and span[0] <= height <= span[1]
