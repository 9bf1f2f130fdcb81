"""The user's streams: results, messages, questions and secrets."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from tm_cli.errors import UsageError
from tm_cli.runtime.ci_platform import ci_platform
from tm_cli.runtime.standard_streams import read_some

if TYPE_CHECKING:
    from rich.console import Console

LONGEST = 64 * 1024
"""Bytes; whatever is longer is not a key but a file piped by mistake."""


def read_secret(prompt: str) -> str:
    """Return what a person enters at the prompt, else all of standard input, as one line.

    Raises UsageError when nothing can be read, and when the terminal would show what is entered.
    """
    if sys.stdin is None:
        raise UsageError("cannot read the key: standard input is closed")
    if sys.stdin.isatty():
        return _ask(prompt)
    try:
        content = _read_all(sys.stdin.fileno())
    except OSError as problem:
        raise UsageError(
            f"cannot read the key from standard input: {problem.strerror}",
            hint="pipe it: tm auth login < FILE",
        ) from None
    if len(content) > LONGEST:
        raise UsageError("standard input is too long to be an API key")
    text = content.decode("utf-8-sig", "surrogateescape")  # PowerShell writes a byte order mark
    return text.removesuffix("\n").removesuffix("\r")


def _read_all(descriptor: int) -> bytes:
    """Read to the end, or until it is too much for a key."""
    content = b""
    while len(content) <= LONGEST and (piece := read_some(descriptor, LONGEST)):
        content += piece
    return content


def _ask(prompt: str) -> str:
    import getpass
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)
            return getpass.getpass(prompt)
    except (EOFError, OSError):  # end of input
        raise UsageError("no key was entered") from None
    except getpass.GetPassWarning:
        raise UsageError(
            "this terminal would show the key", hint="pipe it: tm auth login < FILE"
        ) from None


DEFAULT_WIDTH = 80
PIPE_WIDTH = 2000
"""Columns of a table in a pipe: wide enough never to cut a cell."""


@dataclass(slots=True)
class Terminal:
    """Two streams and what they can show.

    `live` says that standard error can redraw lines. `keyboard` is where a person types answers,
    None without a terminal. Broken streams are handled in `standard_streams`.
    """

    out: TextIO | None
    err: TextIO | None
    live: bool = False
    out_is_terminal: bool = False
    out_color: bool = False
    err_color: bool = False
    width: int = DEFAULT_WIDTH
    keyboard: TextIO | None = None

    @classmethod
    def system(cls, environ: Mapping[str, str]) -> Terminal:
        """The process's own streams, judged by `NO_COLOR`, `FORCE_COLOR`, `TERM` and CI."""
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        smart = environ.get("TERM") != "dumb"
        out_is_terminal = _is_terminal(sys.stdout)
        err_is_terminal = _is_terminal(sys.stderr)
        return cls(
            out=sys.stdout,
            err=sys.stderr,
            live=err_is_terminal and smart and _can_draw(sys.stderr) and not ci_platform(environ),
            out_is_terminal=out_is_terminal,
            out_color=_wants_color(environ, is_terminal=out_is_terminal and smart),
            err_color=_wants_color(environ, is_terminal=err_is_terminal and smart),
            width=_width(environ),
            keyboard=_keyboard(environ, err_is_terminal=err_is_terminal),
        )

    def write_result(self, text: str) -> None:
        """Write a result to standard output, ending in a line break."""
        if self.out is not None:
            self.out.write(text if text.endswith("\n") else text + "\n")
            self.out.flush()

    def write_part(self, text: str) -> None:
        """Write a part of a result to standard output, as it is."""
        if self.out is not None:
            self.out.write(text)
            self.out.flush()

    @property
    def is_unread(self) -> bool:
        """Whether standard output takes no more: its reader has left, or its disk is full."""
        return bool(getattr(self.out, "has_failed", False))

    def write_line(self, text: str) -> None:
        """Write a line to standard error."""
        if self.err is not None:
            self.err.write(text + "\n")
            self.err.flush()

    def ask(self, question: str) -> str | None:
        """Show a question on standard error and return the line typed; None without an answer."""
        if self.keyboard is None or self.err is None:
            return None
        self.err.write(question + " ")
        self.err.flush()
        try:
            line = self.keyboard.readline()
        except (OSError, ValueError):  # the terminal is gone, or the input is not text
            return None
        return line.strip() if line else None

    def console(self) -> Console:
        """A rich console that writes to standard error."""
        return self._rich(self.err or _NullStream(), terminal=self.live, color=self.err_color)

    def render(self, item: object) -> str:
        """Return what rich makes of `item` for standard output, without writing it."""
        buffer = io.StringIO()
        self._rich(buffer, terminal=self.out_is_terminal, color=self.out_color).print(item)
        return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())

    def _rich(self, stream: TextIO, *, terminal: bool, color: bool) -> Console:
        from rich.console import Console

        return Console(
            file=stream,
            force_terminal=terminal,
            color_system=("auto" if terminal else "standard") if color else None,
            no_color=not color,
            width=self.width if terminal else PIPE_WIDTH,
            markup=False,
            highlight=False,
            emoji=False,
        )


class _NullStream(io.StringIO):
    """What takes the place of a stream that is gone."""

    def write(self, text: str, /) -> int:
        return len(text)


def _is_terminal(stream: TextIO | None) -> bool:
    with suppress(OSError, ValueError):
        return stream is not None and stream.isatty()
    return False


def _keyboard(environ: Mapping[str, str], *, err_is_terminal: bool) -> TextIO | None:
    answered = err_is_terminal and not ci_platform(environ) and _is_terminal(sys.stdin)
    return sys.stdin if answered else None


def _can_draw(stream: TextIO) -> bool:
    """Whether bars come out as one column each; escaped, they would scroll the screen."""
    try:
        "█×▁".encode(stream.encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return False
    return True


def _wants_color(environ: Mapping[str, str], *, is_terminal: bool) -> bool:
    if environ.get("NO_COLOR"):
        return False
    return is_terminal or bool(environ.get("FORCE_COLOR"))


def _width(environ: Mapping[str, str]) -> int:
    with suppress(ValueError):
        if (columns := int(environ.get("COLUMNS", ""))) > 0:
            return columns
    for stream in (sys.__stderr__, sys.__stdout__):
        with suppress(OSError, ValueError, AttributeError):
            if (columns := os.get_terminal_size(stream.fileno()).columns) > 0:  # type: ignore[union-attr]
                return columns
    return DEFAULT_WIDTH
