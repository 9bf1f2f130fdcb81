"""A recording as an animated SVG: no script, no network; without animation it shows the end."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise

from rich.style import Style
from rich.terminal_theme import MONOKAI
from rich.text import Text

from pictures_recording import COLUMNS, ROWS, Frame

CELL, LINE, SIZE = 8.4, 19.0, 14.0
"""Pixels: a character's width, a line's height, the size of the letters."""
MARGIN, BAR = 14.0, 34.0
LAST = 5.0
"""Seconds for which the end is shown before it begins anew."""

PARTS = re.compile(r"[━╸╺]+|[▁-█]+|[^━╸╺▁-█\s]+(?: [^━╸╺▁-█\s]+)*")
"""Rules and blocks, which are drawn, because fonts disagree on them; words with single spaces."""
LIGHTS = ("#ff5f57", "#febc2e", "#28c840")


@dataclass(frozen=True)
class Shown:
    """A line of the terminal from one moment to another, in seconds; `end` is None for ever."""

    row: int
    text: str
    begin: float
    end: float | None


@dataclass
class Sheet:
    """The style sheet as it grows: a class for each look and for each span of time."""

    total: float
    rules: list[str] = field(default_factory=list)
    names: dict[object, str] = field(default_factory=dict)

    def look(self, style: Style) -> str:
        """Return the class of a style; empty for plain text."""
        rule = _rule(style)
        return self._named(rule, "s", f"{{{rule}}}") if rule else ""

    def span(self, begin: float, end: float | None) -> str:
        """Return the class of what is seen for a time; without animation only the end is."""
        if (key := (begin, end)) in self.names:
            return self.names[key]
        if end is None:
            frames, base = f"0%{{opacity:0}}{self.moment(begin)}{{opacity:1}}", ""
        else:
            frames = f"{self.moment(begin)}{{opacity:1}}{self.moment(end)}{{opacity:0}}"
            base = "opacity:0;"
        name = self._named(key, "t", "")
        self.rules.append(f".{name}{{{base}animation-name:{name}}}@keyframes {name}{{{frames}}}")
        return name

    def moment(self, at: float) -> str:
        """A time of the recording as a share of the whole."""
        return f"{100 * at / self.total:.2f}%"

    def _named(self, key: object, prefix: str, rule: str) -> str:
        if key not in self.names:
            self.names[key] = f"{prefix}{len(self.names)}"
            self.rules += [f".{self.names[key]}{rule}"] if rule else []
        return self.names[key]


def animation(frames: Sequence[Frame], title: str) -> str:
    """Return the SVG; `title` is also what a screen reader says."""
    total = frames[-1].at + LAST
    sheet = Sheet(total)
    lines = "\n".join(_drawn(line, sheet) for line in shown(frames) if line.text.strip())
    scrolling, rules = _scrolling(frames, sheet), "\n".join(sheet.rules)
    width, height = COLUMNS * CELL + 2 * MARGIN, ROWS * LINE + BAR + MARGIN
    lights = "".join(
        f'<circle cx="{20 + 20 * n}" cy="{BAR / 2:g}" r="6" fill="{color}"/>'
        for n, color in enumerate(LIGHTS)
    )
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" \
width="{width:g}" height="{height:g}" role="img" aria-labelledby="title">
<title id="title">{escape(title)}</title>
<style>
text{{font:{SIZE:g}px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;\
white-space:pre}}
.a{{animation:{total:.2f}s step-end infinite}}
{scrolling}
{rules}
@media (prefers-reduced-motion:reduce){{.a{{animation:none}}}}
</style>
<rect x=".5" y=".5" width="{width - 1:g}" height="{height - 1:g}" rx="8" \
fill="{MONOKAI.background_color.hex}" stroke="#6e7681"/>
{lights}
<svg x="{MARGIN:g}" y="{BAR:g}" width="{COLUMNS * CELL:g}" height="{ROWS * LINE:g}">
<g class="a scroll" fill="{MONOKAI.foreground_color.hex}">
{lines}
</g>
</svg>
</svg>
"""


def shown(frames: Sequence[Frame]) -> Iterator[Shown]:
    """Yield each content of each line with the time for which it stood there."""
    rows = max(len(frame.lines) for frame in frames)
    for row in range(rows):
        text, begin = "", 0.0
        for frame in frames:
            now = frame.lines[row] if row < len(frame.lines) else ""
            if now != text:
                yield Shown(row, text, begin, frame.at)
                text, begin = now, frame.at
        yield Shown(row, text, begin, None)


def _scrolling(frames: Sequence[Frame], sheet: Sheet) -> str:
    """Move the lines up as far as they do not fit; the last place is the one at rest."""
    stops: list[tuple[str, int]] = []
    seen = -1
    for frame in frames:
        if (above := max(len(frame.lines) - ROWS, 0)) != seen:
            stops.append((sheet.moment(frame.at) if stops else "0%", above))
            seen = above
    moves = "".join(f"{at}{{transform:{_up(above)}}}" for at, above in stops)
    return f".scroll{{animation-name:scroll;transform:{_up(seen)}}}@keyframes scroll{{{moves}}}"


def _up(rows: int) -> str:
    return f"translateY({-rows * LINE:g}px)"


def _drawn(line: Shown, sheet: Sheet) -> str:
    text = Text.from_ansi(line.text)
    if text.cell_len > COLUMNS:
        raise ValueError(f"wider than the terminal: {text.plain}")
    parts = (
        _part(part[0], line.row, start + part.start(), sheet.look(style))
        for start, words, style in _styled(text)
        for part in PARTS.finditer(words)
    )
    return f'<g class="a {sheet.span(line.begin, line.end)}">{"".join(parts)}</g>'


def _styled(text: Text) -> Iterator[tuple[int, str, Style]]:
    """Yield the column, the words and the style of each stretch of one look."""
    cuts = sorted({0, len(text), *(at for span in text.spans for at in (span.start, span.end))})
    for start, end in pairwise(cuts):
        styles = [span.style for span in text.spans if span.start <= start and span.end >= end]
        look = Style.combine([Style(), *(style for style in styles if isinstance(style, Style))])
        yield start, text.plain[start:end], look


def _part(text: str, row: int, column: int, look: str) -> str:
    """Words as text, whose width no font decides; rules and blocks as shapes."""
    x, top = column * CELL, row * LINE
    styled = f' class="{look}"' if look else ""
    if text[0] in "━╸╺":
        left = x + (text[0] == "╺") * CELL / 2
        right = x + (len(text) - (text[-1] == "╸") / 2) * CELL
        return (
            f'<rect{styled} x="{left:.1f}" y="{top + LINE / 2 - 1:g}" '
            f'width="{right - left:.1f}" height="2.5"/>'
        )
    if "▁" <= text[0] <= "█":
        return f'<path{styled} d="{_blocks(text, x, top + LINE - 3)}"/>'
    return (
        f'<text{styled} x="{x:.1f}" y="{top + SIZE:g}" textLength="{len(text) * CELL:.1f}">'
        f"{escape(text, quote=False)}</text>"
    )


def _blocks(text: str, x: float, bottom: float) -> str:
    """Columns of an eighth to eight eighths of a line, beside each other."""
    heights = ((ord(block) - ord("▁") + 1) * (LINE - 5) / 8 for block in text)
    return "".join(
        f"M{x + n * CELL:.1f} {bottom:g}v{-height:g}h{CELL:g}v{height:g}z"
        for n, height in enumerate(heights)
    )


def _rule(style: Style) -> str:
    color = style.color.get_truecolor(MONOKAI).hex if style.color else ""
    return ";".join(
        [
            *([f"fill:{color}"] if color else []),
            *(["font-weight:bold"] if style.bold else []),
            *(["fill-opacity:.6"] if style.dim else []),
        ]
    )
