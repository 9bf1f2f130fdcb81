"""A run over time as Mermaid charts, which GitHub and GitLab draw inside Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from tm_cli.gate.course import Course

POINTS = 60
"""Points of a line; more cannot be told apart at the width of a comment."""

_OURS, _THEIRS = "#0969da", "#8c959f"
_SIZE = '"width": 800, "height": 260'
_NAMES = {"rps": "requests/s", "p95": "p95 in ms"}


def course_charts(course: Course, other: Course, *, other_name: str) -> str:
    """Return charts of rate and p95, ours in blue over the other run in grey; empty without any."""
    charts = [_chart(course, other, name) for name in _NAMES]
    if not any(charts):
        return ""
    drawn_beside = f", grey: {other_name}" if _line(other, "rps") or _line(other, "p95") else ""
    return "\n\n".join(
        [*filter(None, charts), f"Blue: this run{drawn_beside}; seconds of the run."]
    )


def _chart(course: Course, other: Course, name: str) -> str:
    ours, theirs = _line(course, name), _line(other, name)
    if len(ours) < 2:
        return ""
    begin = min(points[0][0] for points in (ours, theirs) if points)
    end = max(points[-1][0] for points in (ours, theirs) if points)
    if end <= begin:
        return ""
    count = min(POINTS, max(len(ours), len(theirs)))
    grid = [begin + (end - begin) * n / (count - 1) for n in range(count)]
    drawn = [points for points in (theirs, ours) if len(points) > 1]  # ours on top
    lines = [_values(points, grid) for points in drawn]
    colors = ", ".join([_THEIRS, _OURS][-len(lines) :])
    top = max(max(line) for line in lines) or 1.0
    return "\n".join(
        [
            "```mermaid",
            _style(colors),
            "xychart-beta",
            f'  title "{_NAMES[name]}"',
            f"  x-axis {_plain(begin)} --> {_plain(end)}",
            f"  y-axis 0 --> {_plain(top * 1.05)}",
            *(f"  line [{', '.join(map(_plain, line))}]" for line in lines),
            "```",
        ]
    )


def _style(colors: str) -> str:
    palette = f'"themeVariables": {{"xyChart": {{"plotColorPalette": "{colors}"}}}}'
    return f'%%{{init: {{"xyChart": {{{_SIZE}}}, {palette}}}}}%%'


Points = Sequence[tuple[float, float]]


def _line(course: Course, name: str) -> Points:
    return [(moment.t, value) for moment in course if (value := getattr(moment, name)) is not None]


def _values(points: Points, grid: Sequence[float]) -> list[float]:
    """Give each place of the grid the highest value near it, else one between its neighbours."""
    half = (grid[1] - grid[0]) / 2
    found, at = [], 0
    for t in grid:
        near = []
        while at < len(points) and points[at][0] <= t + half:
            near.append(points[at][1])
            at += 1
        found.append(max(near) if near else _between(points, at, t))
    return found


def _between(points: Points, at: int, t: float) -> float:
    """The value at `t` between the points before and after it, which `at` is the later one of."""
    if at == 0:
        return points[0][1]
    if at >= len(points):
        return points[-1][1]
    (t0, before), (t1, after) = points[at - 1], points[at]
    return before + (after - before) * (t - t0) / (t1 - t0) if t1 > t0 else after


def _plain(value: float) -> str:
    """A number as the charts read it: no exponent."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
