"""What a command shows at a terminal, and when: recorded once, replayed with shorter waits."""

from __future__ import annotations

import codecs
import os
import pty
import re
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, zip_longest

COLUMNS, ROWS = 100, 30
HIDDEN, SHOWN = "\x1b[?25l", "\x1b[?25h"
"""The cursor: it is hidden while progress is redrawn."""

FASTER = 5.0
"""How much faster progress is replayed than it was."""
LONGEST_PAUSE = 0.7
RESULT_PAUSE = 2.0
RESULT = "exit code "
FRAME = 0.1
"""Seconds; what follows sooner is drawn together."""

CONTROL = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|(\r)|(\n)")
BEGUN = re.compile(r"\x1b(\[[?0-9;]*)?$")


@dataclass(frozen=True)
class Piece:
    """Text that arrived at a terminal `at` seconds after the start."""

    at: float
    text: str


@dataclass(frozen=True)
class Frame:
    """All lines since the start as they are from `at` on; colours are still escape sequences."""

    at: float
    lines: tuple[str, ...]


def record(arguments: Sequence[str], environ: Mapping[str, str]) -> tuple[int, list[Piece]]:
    """Run the product at a terminal of ours; return its exit code and what it wrote."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (ROWS, COLUMNS))
    with subprocess.Popen(
        [sys.executable, "-m", "tm_cli", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**environ, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS)},
    ) as process:
        os.close(theirs)
        pieces = list(_read(ours))
    os.close(ours)
    return process.returncode, pieces


def _read(terminal: int) -> Iterator[Piece]:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    start = time.monotonic()
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # how Linux says that nobody can write any more
            return
        if not data:
            return
        yield Piece(time.monotonic() - start, decoder.decode(data))


def shortened(pieces: Sequence[Piece]) -> list[Piece]:
    """Return the pieces at the times of the replay: progress runs faster, pauses are cut."""
    found: list[Piece] = []
    now, live = 0.0, False
    for before, piece in pairwise([Piece(0.0, ""), *pieces]):
        waited = piece.at - before.at
        now += waited / FASTER if live else min(waited, LONGEST_PAUSE)
        now += RESULT_PAUSE * (RESULT in before.text)
        found.append(Piece(now, piece.text))
        if HIDDEN in piece.text or SHOWN in piece.text:
            live = piece.text.rfind(HIDDEN) > piece.text.rfind(SHOWN)
    return found


@dataclass
class Screen:
    """A terminal that never loses a line; it knows the few controls that the product sends."""

    lines: list[str] = field(default_factory=lambda: [""])
    row: int = 0
    rest: str = ""

    def feed(self, text: str) -> None:
        """Take what was written; a control sequence cut in two waits for its other half."""
        text = self.rest + text
        cut = BEGUN.search(text)
        self.rest, text = (text[cut.start() :], text[: cut.start()]) if cut else ("", text)
        end = 0
        for control in CONTROL.finditer(text):
            self.lines[self.row] += text[end : control.start()]
            self._obey(control)
            end = control.end()
        self.lines[self.row] += text[end:]

    def _obey(self, control: re.Match[str]) -> None:
        values, name = control[1], control[2]
        if control[4]:
            self.row += 1
            self.lines += [""] * (self.row == len(self.lines))
        elif name == "A":
            self.row -= int(values or 1)
        elif name == "K":
            self.lines[self.row] = ""
        elif name == "m":
            self.lines[self.row] += control[0]
        elif control[0] not in ("\r", HIDDEN, SHOWN):
            raise ValueError(f"no idea what {control[0]!r} does")


def frames(pieces: Sequence[Piece]) -> list[Frame]:
    """Return what is seen; a moment too short to be seen is left out."""
    screen, found = Screen(), list[Frame]()
    for piece, follower in zip_longest(pieces, pieces[1:]):
        screen.feed(piece.text)
        is_last = follower is None or follower.at - piece.at >= FRAME
        if is_last or not found or piece.at - found[-1].at >= FRAME:
            found.append(Frame(piece.at, tuple(screen.lines)))
    return found
