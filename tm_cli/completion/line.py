"""A command line that is being typed, taken apart as a shell would; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Typed:
    """The words before the cursor without their quotes, and the last of them as it was typed."""

    words: tuple[str, ...]
    raw: str = ""

    @property
    def before(self) -> tuple[str, ...]:
        """The words that are complete."""
        return self.words[:-1]

    @property
    def current(self) -> str:
        """The word at the cursor; empty after a blank."""
        return self.words[-1] if self.words else ""


def read_words(words: Sequence[str]) -> Typed:
    """Take words that a shell has separated; they may still have their quotes."""
    return Typed(tuple(unquote(word) for word in words), words[-1] if words else "")


def read_line(line: str) -> Typed:
    """Take a line up to the cursor, and leave out the program's own name."""
    raw = _split(line)[1:]
    return read_words(raw or [""])


def unquote(word: str) -> str:
    """Return a word without quotes and escapes; a quote may still be open."""
    text, quote, escaped = "", "", False
    for character in word:
        if escaped:
            text, escaped = text + character, False
        elif character == "\\" and quote != "'":
            escaped = True
        elif quote:
            text, quote = (text, "") if character == quote else (text + character, quote)
        elif character in "'\"":
            quote = character
        else:
            text += character
    return text


def _split(line: str) -> list[str]:
    """Split at blanks outside of quotes; the last word is empty after a blank."""
    words, word, quote, escaped = [], "", "", False
    for character in line:
        if character.isspace() and not quote and not escaped:
            words += [word] if word else []
            word = ""
            continue
        word += character
        if escaped:
            escaped = False
        elif character == "\\" and quote != "'":
            escaped = True
        elif quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
    return [*words, word]
