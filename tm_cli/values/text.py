"""Text from servers and files is hostile until it has been through here."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable
from typing import Any

LONGEST = 500
"""Characters of one server-sent text that are shown."""

_WORKFLOW_COMMAND = re.compile(r"##(?=\w*\[)")  # GitHub, Azure and TeamCity find it mid-line


def sanitize(text: object, *, longest: int = LONGEST) -> str:
    """Return `text` as one harmless line.

    Control and format characters (escape sequences, bidi overrides, zero-width joiners) and lone
    surrogates are dropped or replaced, line breaks become spaces, and the legacy workflow commands
    that a CI runner recognises are broken up: `::` where it may come first on a line (runners skip
    blanks before it), `##[` anywhere. Rich markup is not touched: print the result as
    `rich.text.Text`, never as markup.
    """
    whole = str(text)
    shown = whole[: longest + 1]
    if not shown.isprintable():
        shown = "".join(map(_harmless, shown))
    shown = _WORKFLOW_COMMAND.sub("# #", " ".join(shown.split()))
    if shown.startswith("::"):
        shown = ": :" + shown[2:]
    # Blanks at the cut are gone by now, so that the length alone does not tell it.
    is_cut = len(shown) > longest or whole[longest + 1 :].strip() != ""
    return shown[: longest - 1] + "…" if is_cut else shown


def _harmless(character: str) -> str:
    match unicodedata.category(character):
        case "Cc" | "Zl" | "Zp":
            return " "
        case "Cf":
            return ""
        case "Cs":
            return "�"
        case _:
            return character


class TextInPieces:
    """Makes a text harmless that arrives in pieces and keeps its blanks and line breaks.

    The pieces together hold no workflow command, even one that is spread over several of them.
    """

    def __init__(self) -> None:
        self._line = ""
        self._after_return = False

    @property
    def is_at_line_start(self) -> bool:
        return not self._line

    def add(self, text: str) -> str:
        """Return what to print for the next piece."""
        return "".join(map(self._character, text))

    def _character(self, character: str) -> str:
        is_second_half = character == "\n" and self._after_return
        self._after_return = character == "\r"
        if character in "\r\n":
            self._line = ""
            return "" if is_second_half else "\n"
        shown = character if character == "\t" else "".join(map(_harmless, character))
        if (shown == ":" and self._line.lstrip() == ":") or (
            shown == "[" and _COMMAND_SO_FAR.search(self._line)
        ):
            shown = " " + shown
        self._line = (self._line + shown)[-LONGEST:]
        return shown


_COMMAND_SO_FAR = re.compile(r"##\w*\Z")


def without_text(text: str) -> str:
    """Return what to show in place of a text that may be a key."""
    return f"({len(text)} characters, which are not shown)"


def did_you_mean(
    word: str, known: Iterable[str], otherwise: str = "", *, alike: float = 0.6
) -> str:
    """Return a question that names what is close to an unknown word, else `otherwise`.

    `alike` is how similar they must be, from 0 to 1.
    """
    import difflib  # takes a while to import, and few commands need it

    near = difflib.get_close_matches(word, list(known), n=1, cutoff=alike)
    return f"did you mean {near[0]}?" if near else otherwise


def count_of(number: int, noun: str) -> str:
    """Return `1 run`, `2 runs`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def as_number(value: Any) -> float | None:
    """Return a finite number, None for anything else; true and false are not numbers."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # an integer that no float holds
        return None


def trimmed_name(name: str) -> str:
    """Return a name as the server keeps that of a profile: outer code points up to U+0020 go."""
    return name.strip("".join(map(chr, range(0x21))))


def folded_name(name: str) -> str:
    """Return what the server compares names by: trimmed, letters are lower-cased one by one.

    A letter whose lower-case form is longer stays as it is.
    """
    trimmed = trimmed_name(name)
    return "".join(low if len(low := letter.lower()) == 1 else letter for letter in trimmed)
