"""Charts as SVG, for light and dark pages: no script, no network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 820
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 24, 62, 44
_LETTERS = "font-family:system-ui,sans-serif;font-size:13px"
_STYLE = f"""
svg{{{_LETTERS};color-scheme:light dark}}
.page{{fill:#ffffff}}.text{{fill:#24292f}}.quiet{{fill:#57606a}}.rule{{stroke:#d0d7de}}
.fail{{fill:#cf222e;stroke:#cf222e}}.warn{{fill:#bf8700;stroke:#bf8700}}
.pass{{fill:#1a7f37;stroke:#1a7f37}}.other{{fill:#0969da;stroke:#0969da}}
.line{{fill:none;stroke-width:2}}.title{{font-weight:600;font-size:15px}}
.limit{{stroke-dasharray:5 4;stroke-width:1.5}}.end{{text-anchor:end}}.middle{{text-anchor:middle}}
@media (prefers-color-scheme:dark){{
.page{{fill:#0d1117}}.text{{fill:#e6edf3}}.quiet{{fill:#9198a1}}.rule{{stroke:#3d444d}}
.fail{{fill:#f85149;stroke:#f85149}}.warn{{fill:#d29922;stroke:#d29922}}
.pass{{fill:#3fb950;stroke:#3fb950}}.other{{fill:#4493f8;stroke:#4493f8}}}}
""".replace("\n", "")


@dataclass(frozen=True)
class Bar:
    """One row of a bar chart: shares in percent by colour, drawn one after the other."""

    name: str
    shares: Sequence[tuple[str, float]]
    text: str


@dataclass(frozen=True)
class Line:
    """A line, or points without a line, in one colour."""

    name: str
    colour: str
    points: Sequence[tuple[float, float]]
    has_line: bool = True


@dataclass(frozen=True)
class Axis:
    """From `low` to `high`, with a text for each mark."""

    title: str
    low: float
    high: float
    marks: Sequence[tuple[float, str]]


def bar_chart(title: str, bars: Sequence[Bar], *, highest: float) -> str:
    """Draw horizontal bars; `highest`: the percentage at the right edge."""
    left, row, top = 270, 26, 40
    scale = (WIDTH - left - 150) / highest
    height = top + row * len(bars) + 12
    drawn = []
    for number, bar in enumerate(bars):
        y, x = top + row * number, float(left)
        drawn.append(_text(bar.name, left - 10, y + 14, "text end"))
        for colour, share in bar.shares:
            width = min(share, highest) * scale
            drawn.append(
                f'<rect class="{colour}" x="{x:.1f}" y="{y + 2}" width="{width:.1f}" height="16"/>'
            )
            x += width
        drawn.append(_text(bar.text, x + 8, y + 14, "quiet"))
    drawn.append(f'<path class="rule" d="M{left} {top - 4}V{height - 8}"/>')
    return _picture(title, height, drawn)


def line_chart(
    title: str,
    lines: Sequence[Line],
    x: Axis,
    y: Axis,
    *,
    limits: Sequence[tuple[float, str, str]] = (),
    height: int = 360,
) -> str:
    """Draw lines over common axes; `limits` are horizontal: value, colour, text."""
    right, bottom = WIDTH - _RIGHT - 190, height - _BOTTOM

    def at(point: tuple[float, float]) -> tuple[float, float]:
        across = (point[0] - x.low) / (x.high - x.low)
        up = (point[1] - y.low) / (y.high - y.low)
        return _LEFT + across * (right - _LEFT), bottom - up * (bottom - _TOP)

    drawn = []
    for value, text in y.marks:
        level = at((x.low, value))[1]
        drawn.append(f'<path class="rule" d="M{_LEFT} {level:.1f}H{right}"/>')
        drawn.append(_text(text, _LEFT - 8, level + 4, "quiet end"))
    for value, text in x.marks:
        drawn.append(_text(text, at((value, y.low))[0], bottom + 18, "quiet middle"))
    drawn.append(_text(x.title, (_LEFT + right) / 2, bottom + 36, "quiet middle"))
    drawn.append(_text(y.title, _LEFT, _TOP - 10, "quiet"))
    for value, colour, text in limits:
        level = at((x.low, value))[1]
        drawn.append(f'<path class="limit {colour} line" d="M{_LEFT} {level:.1f}H{right}"/>')
        drawn.append(_text(text, right - 6, level - 5, "quiet end"))
    legend = float(_TOP)
    for line in lines:
        drawn += _line(line, [at(point) for point in line.points])
        if line.name:
            legend += 22
            drawn.append(f'<circle class="{line.colour}" cx="{right + 16}" cy="{legend}" r="5"/>')
            drawn.append(_text(line.name, right + 28, legend + 4, "text"))
    return _picture(title, height, drawn)


def _line(line: Line, points: Sequence[tuple[float, float]]) -> Iterable[str]:
    if line.has_line:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        yield f'<polyline class="{line.colour} line" points="{path}"/>'
    for x, y in points:
        yield f'<circle class="{line.colour}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>'


def _text(text: str, x: float, y: float, names: str) -> str:
    return f'<text class="{names}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _picture(title: str, height: int, drawn: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'width="{WIDTH}" height="{height}"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style>"
    )
    page = f'<rect class="page" width="{WIDTH}" height="{height}" rx="6"/>'
    return "\n".join([head, page, _text(title, 20, 24, "text title"), *drawn, "</svg>\n"])
