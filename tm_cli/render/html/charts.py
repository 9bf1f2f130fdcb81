"""Fewer moments that look the same: the lowest and the highest of each stretch. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from statistics import fmean
from typing import Any

from tm_cli.gate.model import Course, Moment
from tm_cli.gate.outcome import Record
from tm_cli.render.chart import remarkable_moments
from tm_cli.render.html.markup import Child, Markup, element, joined, table
from tm_cli.render.tables import milliseconds, percent, rate
from tm_cli.values.durations import format_duration

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


ROWS = 24
"""Stretches in the table below a chart."""

FINEST, COARSEST, ALL = 1000, 150, 20_000
"""Stretches of a chart: of a page with few runs, at the least, and of all runs together."""


@dataclass(frozen=True, slots=True)
class Chart:
    """Some quantities that share a scale; `ours` and `theirs` are fields of Moment."""

    name: str
    title: str
    ours: tuple[str, ...]
    theirs: tuple[str, ...]

    def shown(self, value: float | None) -> str:
        """Return a value as people read it."""
        if self.name == "rates":
            return rate(value)
        if self.name == "times":
            return milliseconds(value)
        return percent(None if value is None else value * 100)


CHARTS = (
    Chart("rates", "Requests per second", ("planned", "rps"), ("rps",)),
    Chart("times", "Response time", ("p50", "p95", "p99"), ("p50", "p95", "p99")),
    Chart("errors", "Failed requests", ("bad",), ("bad",)),
)
_NAMES = {"planned": "planned", "rps": "achieved", "bad": "failed"}


@dataclass(frozen=True, slots=True)
class Side:
    """One run over time; `values` are the known ones of each quantity."""

    course: Course
    values: Mapping[str, Sequence[float]]

    @classmethod
    def of(cls, course: Course) -> Side:
        """Read the quantities of a course once."""
        names = {name for chart in CHARTS for name in chart.ours}
        return cls(
            course,
            {
                name: [value for moment in course if (value := getattr(moment, name)) is not None]
                for name in names
            },
        )

    def has(self, names: Sequence[str]) -> bool:
        """Whether anything is known of these quantities."""
        return any(self.values[name] for name in names)


def charts(record: Record, position: int) -> Markup | None:
    """Return the figures of a run, each with a table of its numbers; None without any series."""
    ours, theirs = map(Side.of, _courses(record))
    if len(ours.course) < 2:
        return None
    other = record.end.result.basis.other if record.end.result else "baseline"
    figures = [
        _figure(chart, ours, theirs, other, position)
        if _is_drawn(chart, ours, theirs)
        else _silence(chart, ours)
        for chart in CHARTS
    ]
    moments = [element("li", line) for line in remarkable_moments(ours.course)]
    listed = element("ul", *moments) if moments else None
    return joined([element("h3", "Over time"), listed, *figures])


def chart_data(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Return for each record what its charts draw, thinned out to what a screen can show."""
    stretches = max(min(FINEST, ALL // max(len(records), 1)), COARSEST)
    return [_drawn(record, stretches) for record in records]


def _drawn(record: Record, stretches: int) -> dict[str, Any]:
    ours, theirs = _courses(record)
    begin, end = _span(ours, theirs)
    result = record.end.result
    return {
        "other": result.basis.other if result else "baseline",
        "ours": _columns(sampled(ours, begin=begin, end=end, stretches=stretches)),
        "theirs": _columns(sampled(theirs, begin=begin, end=end, stretches=stretches)),
    }


def _courses(record: Record) -> tuple[Course, Course]:
    end = record.end
    ours = end.result.course if end.result else ()
    return ours, end.baseline.course if end.baseline and ours else ()


def _span(ours: Course, theirs: Course) -> tuple[float, float]:
    times = [moment.t for course in (ours, theirs) for moment in (*course[:1], *course[-1:])]
    return min(times, default=0.0), max(times, default=0.0)


def _columns(course: Course) -> dict[str, list[float | None]]:
    names = [field.name for field in fields(Moment)]
    return {name: [_short(getattr(moment, name)) for moment in course] for name in names}


def _short(value: float | None) -> float | None:
    """Six digits are finer than any screen."""
    return None if value is None else float(f"{value:.6g}")


def _is_drawn(chart: Chart, ours: Side, theirs: Side) -> bool:
    """Whether there is anything to see; a run without failures needs no chart of them."""
    if not ours.has(chart.ours):
        return False
    return chart.name != "errors" or any(any(side.values["bad"]) for side in (ours, theirs))


def _silence(chart: Chart, ours: Side) -> Markup:
    said = "none at any moment" if ours.has(chart.ours) else "not recorded by the server"
    return element("p", f"{chart.title} over time: {said}.", class_="soft")


def _figure(chart: Chart, ours: Side, theirs: Side, other: str, position: int) -> Markup:
    is_beside = theirs.has(chart.theirs)
    about = f"tm-chart-{position}-{chart.name}"
    said = ", ".join(
        f"{_NAMES.get(name, name)} {_range(chart, ours, (name,))}"
        for name in chart.ours
        if ours.has((name,))
    )
    if is_beside:
        said += f"; the {other}, dashed or paler, {_range(chart, theirs, chart.theirs)}"
    beside = theirs.course if is_beside else ()
    return element(
        "figure",
        element("figcaption", f"{chart.title}: {said}.", id=about),
        element("div", class_="plot", data_run=position, data_chart=chart.name, data_about=about),
        element(
            "details",
            element("summary", "The same as a table"),
            _table(chart, ours.course, beside, other),
        ),
    )


def _range(chart: Chart, side: Side, names: Sequence[str]) -> str:
    known = [side.values[name] for name in names if side.values[name]]
    low, high = chart.shown(min(map(min, known))), chart.shown(max(map(max, known)))
    return low if low == high else f"{low} to {high}"


def _table(chart: Chart, ours: Course, theirs: Course, other: str) -> Markup:
    begin, end = _span(ours, theirs)
    stretches = min(ROWS, max(len(ours), len(theirs)))
    left = {moment.t: moment for moment in _parts(ours, begin, end, stretches)}
    right = {moment.t: moment for moment in _parts(theirs, begin, end, stretches)}
    half = (end - begin) / stretches / 2
    rows: list[tuple[Child, ...]] = [
        (
            f"{format_duration(max(t - half, 0))} to {format_duration(t + half)}",
            *_cells(chart, chart.ours, left.get(t)),
            *(_cells(chart, chart.theirs, right.get(t)) if theirs else ()),
        )
        for t in sorted(left.keys() | right.keys())
    ]
    beside = [f"{_NAMES.get(name, name)}, {other}" for name in chart.theirs] if theirs else []
    head = ("Seconds of the run", *(_NAMES.get(name, name) for name in chart.ours), *beside)
    kind = "mean" if chart.name == "rates" else "highest value"
    return table(f"{chart.title}: the {kind} of each stretch of time", head, rows)


def _parts(course: Course, begin: float, end: float, stretches: int) -> Course:
    return summed_up(course, begin=begin, end=end, stretches=stretches)


def _cells(chart: Chart, names: Sequence[str], moment: Moment | None) -> list[str]:
    return [chart.shown(getattr(moment, name) if moment else None) for name in names]
