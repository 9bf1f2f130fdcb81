"""A run over time: figures of the page with tables, and the data that the script draws."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from statistics import fmean
from typing import Any

from tm_cli.gate.model import Result, Sample, TimeSeries, known_points, not_judged
from tm_cli.gate.outcome import Record
from tm_cli.render.chart import remarkable_moments
from tm_cli.render.html.markup import Child, Markup, element, joined, table
from tm_cli.render.tables import milliseconds, percent, rate
from tm_cli.values.durations import format_duration
from tm_cli.values.text import as_number

_QUANTITIES = tuple(field.name for field in fields(Sample) if field.name != "t")
_RATES = frozenset({"rps", "planned"})

ROWS = 24
"""Rows of the table below a chart."""

MOST_BUCKETS, LEAST_BUCKETS, ALL_BUCKETS = 1000, 150, 20_000
"""Buckets of a chart on a page with few runs, with many, and of all runs together."""


@dataclass(frozen=True, slots=True)
class Chart:
    """Some quantities that share a scale; `ours` and `theirs` are fields of Moment."""

    name: str
    title: str
    ours: tuple[str, ...]
    theirs: tuple[str, ...]

    def shown(self, value: float | None) -> str:
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
    """One run over time; `values` holds the known values of each quantity."""

    series: TimeSeries
    values: Mapping[str, Sequence[float]]

    @classmethod
    def of(cls, series: TimeSeries) -> Side:
        names = {name for chart in CHARTS for name in chart.ours}
        return cls(
            series,
            {name: [value for _, value in known_points(series, name)] for name in names},
        )

    def has(self, names: Sequence[str]) -> bool:
        return any(self.values[name] for name in names)


def charts(record: Record, position: int) -> Markup | None:
    """Return the figures of a run, each with a table of its numbers; None without any series."""
    ours, theirs = map(Side.of, _both_series(record))
    if len(ours.series) < 2:
        return None
    other = record.end.result.basis.other if record.end.result else "baseline"
    figures = [
        _figure(chart, ours, theirs, other, position)
        if _is_drawn(chart, ours, theirs)
        else _no_figure(chart, ours)
        for chart in CHARTS
    ]
    lines = [*_left_out(record.end.result), *remarkable_moments(ours.series)]
    listed = element("ul", *(element("li", line) for line in lines)) if lines else None
    return joined([element("h3", "Over time"), listed, *figures])


def _left_out(result: Result | None) -> list[str]:
    warmup = as_number(result.facts.get("warmupSeconds")) if result else None
    return [not_judged(warmup)] if warmup else []


def chart_data(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Return for each record what its charts draw, thinned out to what a screen can show."""
    buckets = max(min(MOST_BUCKETS, ALL_BUCKETS // max(len(records), 1)), LEAST_BUCKETS)
    return [_drawn(record, buckets) for record in records]


def _drawn(record: Record, buckets: int) -> dict[str, Any]:
    ours, theirs = _both_series(record)
    begin, end = _span(ours, theirs)
    result = record.end.result
    return {
        "other": result.basis.other if result else "baseline",
        "ours": _columns(downsampled(ours, begin=begin, end=end, buckets=buckets)),
        "theirs": _columns(downsampled(theirs, begin=begin, end=end, buckets=buckets)),
    }


def _both_series(record: Record) -> tuple[TimeSeries, TimeSeries]:
    end = record.end
    ours = end.result.series if end.result else ()
    return ours, end.baseline.series if end.baseline and ours else ()


def _span(ours: TimeSeries, theirs: TimeSeries) -> tuple[float, float]:
    times = [sample.t for series in (ours, theirs) for sample in (*series[:1], *series[-1:])]
    return min(times, default=0.0), max(times, default=0.0)


def _columns(series: TimeSeries) -> dict[str, list[float | None]]:
    names = [field.name for field in fields(Sample)]
    return {name: [_short(getattr(sample, name)) for sample in series] for name in names}


def _short(value: float | None) -> float | None:
    """Six digits are finer than any screen."""
    return None if value is None else float(f"{value:.6g}")


def _is_drawn(chart: Chart, ours: Side, theirs: Side) -> bool:
    """Whether there is anything to show; a run without failures needs no chart of them."""
    if not ours.has(chart.ours):
        return False
    return chart.name != "errors" or any(any(side.values["bad"]) for side in (ours, theirs))


def _no_figure(chart: Chart, ours: Side) -> Markup:
    note = "none at any moment" if ours.has(chart.ours) else "not recorded by the server"
    return element("p", f"{chart.title} over time: {note}.", class_="soft")


def _figure(chart: Chart, ours: Side, theirs: Side, other: str, position: int) -> Markup:
    is_compared = theirs.has(chart.theirs)
    about = f"tm-chart-{position}-{chart.name}"
    caption = ", ".join(
        f"{_NAMES.get(name, name)} {_range(chart, ours, (name,))}"
        for name in chart.ours
        if ours.has((name,))
    )
    if is_compared:
        caption += f"; the {other}, dashed or paler, {_range(chart, theirs, chart.theirs)}"
    return element(
        "figure",
        element("figcaption", f"{chart.title}: {caption}.", id=about),
        element("div", class_="plot", data_run=position, data_chart=chart.name, data_about=about),
        element(
            "details",
            element("summary", "The same as a table"),
            _table(chart, ours.series, theirs.series if is_compared else (), other),
        ),
    )


def _range(chart: Chart, side: Side, names: Sequence[str]) -> str:
    known = [side.values[name] for name in names if side.values[name]]
    low, high = chart.shown(min(map(min, known))), chart.shown(max(map(max, known)))
    return low if low == high else f"{low} to {high}"


def _table(chart: Chart, ours: TimeSeries, theirs: TimeSeries, other: str) -> Markup:
    begin, end = _span(ours, theirs)
    buckets = min(ROWS, max(len(ours), len(theirs)))
    left, right = (
        {sample.t: sample for sample in aggregated(each, begin=begin, end=end, buckets=buckets)}
        for each in (ours, theirs)
    )
    half = (end - begin) / buckets / 2
    rows: list[tuple[Child, ...]] = [
        (
            f"{format_duration(max(t - half, 0))} to {format_duration(t + half)}",
            *_cells(chart, chart.ours, left.get(t)),
            *(_cells(chart, chart.theirs, right.get(t)) if theirs else ()),
        )
        for t in sorted(left.keys() | right.keys())
    ]
    compared = [f"{_NAMES.get(name, name)}, {other}" for name in chart.theirs] if theirs else []
    head = ("Seconds of the run", *(_NAMES.get(name, name) for name in chart.ours), *compared)
    kind = "mean" if chart.name == "rates" else "highest value"
    return table(f"{chart.title}: the {kind} of each bucket", head, rows)


def _cells(chart: Chart, names: Sequence[str], sample: Sample | None) -> list[str]:
    return [chart.shown(getattr(sample, name) if sample else None) for name in names]


def downsampled(series: TimeSeries, *, begin: float, end: float, buckets: int) -> TimeSeries:
    """Return at most two samples for each of `buckets` of equal length from `begin` to `end`.

    They hold the lowest and the highest of each quantity, in the order in which they came. A series
    that is short enough stays as it is.
    """
    if len(series) <= 2 * buckets or end <= begin:
        return series
    width = (end - begin) / buckets
    found: list[Sample] = []
    for place, samples in _buckets(series, begin, width, buckets):
        if len(samples) == 1:
            found.append(samples[0])
            continue
        pairs = {name: _extremes(samples, name) for name in _QUANTITIES}
        at = begin + place * width
        found += [
            Sample(at + share * width, **{name: pair[n] for name, pair in pairs.items()})
            for n, share in enumerate((0.25, 0.75))
        ]
    return tuple(found)


def aggregated(series: TimeSeries, *, begin: float, end: float, buckets: int) -> TimeSeries:
    """Return one sample for each bucket that has any, at its middle.

    Rates are the mean; response times and failures are the worst.
    """
    if end <= begin:
        return series[:1]
    width = (end - begin) / buckets
    return tuple(
        Sample(
            begin + (place + 0.5) * width, **{name: _summary(samples, name) for name in _QUANTITIES}
        )
        for place, samples in _buckets(series, begin, width, buckets)
    )


def _buckets(
    series: TimeSeries, begin: float, width: float, buckets: int
) -> Iterator[tuple[int, TimeSeries]]:
    """Yield each bucket that has samples, with its place."""
    place, samples = 0, list[Sample]()
    for sample in series:
        own = min(max(int((sample.t - begin) / width), 0), buckets - 1)
        if own != place and samples:
            yield place, tuple(samples)
            samples = []
        place = own
        samples.append(sample)
    if samples:
        yield place, tuple(samples)


def _extremes(samples: TimeSeries, name: str) -> tuple[float | None, float | None]:
    values = [value for _, value in known_points(samples, name)]
    if not values:
        return None, None
    low, high = min(values), max(values)
    return (low, high) if values.index(low) <= values.index(high) else (high, low)


def _summary(samples: TimeSeries, name: str) -> float | None:
    values = [value for _, value in known_points(samples, name)]
    if not values:
        return None
    return fmean(values) if name in _RATES else max(values)
