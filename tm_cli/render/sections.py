"""Text in parts that a platform's limit may cost, the least important first. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page; `rank` 0 is never left out, and a higher one goes first."""

    name: str
    rank: int
    text: str


def joined(sections: Sequence[Section], limit: int | None = None) -> str:
    """Return all sections in order, in at most `limit` bytes of UTF-8.

    What does not fit is left out by rank, the last section first, and is named at the end.
    """
    kept = [section for section in sections if section.text]
    if limit is None:
        return _text(kept)
    left_out: list[str] = []
    for place in sorted(range(len(kept)), key=lambda place: (-kept[place].rank, -place)):
        section = kept[place]
        if section.rank == 0 or _size(_text(kept) + _note(left_out)) <= limit:
            break
        kept[place] = Section(section.name, section.rank, "")
        left_out = [*left_out, section.name] if section.name not in left_out else left_out
    return _cut(_text(kept), _note(left_out), limit)


def _text(sections: Sequence[Section]) -> str:
    return "\n\n".join(section.text for section in sections if section.text) + "\n"


def _note(left_out: Sequence[str]) -> str:
    if not left_out:
        return ""
    return f"\nLeft out, because the platform takes no more: {', '.join(left_out)}.\n"


def _cut(text: str, note: str, limit: int) -> str:
    """Cut whole lines where even the most important is too much."""
    if _size(text + note) <= limit:
        return text + note
    note = note or _note(["the rest"])
    lines, used = [], _size(note)
    for line in text.splitlines(keepends=True):
        used += _size(line)
        if used > limit:
            break
        lines.append(line)
    return "".join(lines) + note


def _size(text: str) -> int:
    return len(text.encode())
