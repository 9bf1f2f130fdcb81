"""The planned load of a profile as a chart, with what it sums up to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from tm_cli.render.chart import Scale, chart, rate_label, time_axis
from tm_cli.render.tables import rate
from tm_cli.runtime.terminal import Terminal
from tm_cli.values.durations import format_duration
from tm_cli.values.load.curve import Curve, Interpolation


@dataclass(frozen=True)
class PlannedLoad:
    """A curve through `points`, and the `ceiling` above which nothing is sent, if there is one.

    `unit` is what the curve counts: requests or visitors.
    """

    name: str
    points: tuple[tuple[float, float], ...]
    duration: float
    interpolation: Interpolation
    loop: bool
    unit: str
    ceiling: float | None = None

    @cached_property
    def wanted(self) -> Curve:
        return Curve(self.points, self.duration, self.interpolation)

    @cached_property
    def sent(self) -> Curve:
        return Curve(self.points, self.duration, self.interpolation, max_rate=self.ceiling)

    @property
    def peak(self) -> float:
        """The highest rate of the curve as it is written."""
        return self.wanted.highest_rate

    @property
    def mean(self) -> float:
        return self.sent.expected(self.duration) / self.duration

    @property
    def is_cut_off(self) -> bool:
        return self.ceiling is not None and self.peak > self.ceiling


def sampled(curve: Curve, slots: int) -> list[tuple[float, float]]:
    """The rate in the middle of each part of the curve."""
    width = curve.duration / slots
    return [((slot + 0.5) * width, curve.rate((slot + 0.5) * width)) for slot in range(slots)]


def draw_load(terminal: Terminal, load: PlannedLoad) -> str:
    """Draw the curve that is sent, and what of the written one a limit cuts off."""
    from rich.text import Text

    scale = Scale.fitting(terminal, load.duration)
    slots = scale.width * scale.ink.across
    above = sampled(load.wanted, slots) if load.is_cut_off else []
    cut_off = f", cut off {scale.ink.band}" if above else ""
    title = f"{load.unit}/s: planned {scale.ink.line}{cut_off}"
    drawn = chart(
        scale,
        sampled(load.sent, slots),
        low=[(second, load.ceiling or 0.0) for second, _ in above],
        high=above,
        label=rate_label,
        style="cyan",
        from_zero=True,
    )
    whole = Text().join([Text(f"{title}\n", style="bold"), drawn, time_axis(scale)])
    return "\n".join([*_numbers(load), terminal.render(whole).rstrip("\n"), *_remarks(load)])


def _numbers(load: PlannedLoad) -> Iterator[str]:
    """What it sums up to, in two lines that fit a narrow terminal."""
    count = load.sent.planned_before(load.duration)
    peak = load.sent.highest_rate
    points = f"{len(load.points)} points, {load.interpolation}"
    yield f"{load.name}: {count:,} {load.unit} in {format_duration(load.duration)}"
    yield f"  {rate(load.mean)}/s on average, {rate(peak)}/s at the peak ({points})"


def _remarks(load: PlannedLoad) -> Iterator[str]:
    if load.is_cut_off and load.ceiling is not None:
        limit = rate(load.ceiling)
        yield f"The highest rate is {rate(load.peak)}/s: above {limit}/s nothing is sent."
    if load.loop:
        yield "The curve repeats until the run is stopped."
