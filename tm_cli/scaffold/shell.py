"""Finds the calls of `tm` in lines of shell. Pure.

This is no shell: it cuts lines at operators and looks for commands that begin with `tm`. What it
cannot read, such as an open quote, it leaves alone.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=.*", re.DOTALL)
_OPERATOR = re.compile(r"[;&|()<>]+")
_BEFORE = frozenset({"exec", "if", "then", "else", "elif", "do", "while", "until", "!", "time"})
_HARMLESS = frozenset({"true", ":"})
_DESCRIPTOR = re.compile(r"(?<=\s)[0-9](?=[<>])")
_OPEN = re.compile(r"[$`*?]")


@dataclass(frozen=True, slots=True)
class Call:
    """The words after `tm`, and why its exit code is lost, if it is."""

    words: tuple[str, ...]
    lost: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether the shell would put something in the place of a word."""
        return any(_OPEN.search(word) for word in self.words)

    @property
    def is_gate(self) -> bool:
        """Whether it waits for a verdict."""
        return self.words[1:2] == ("wait",) or "--wait" in self.words

    @property
    def is_of_runs(self) -> bool:
        """Whether it concerns a traffic run; other systems have keys and verdicts of their own."""
        return self.words[:1] == ("runs",)


def find_calls(script: str, *, pipefail: bool = False) -> Iterator[Call]:
    """Return the calls in a script; `pipefail` says that a pipe keeps a failing code."""
    for line in script.replace("\\\n", " ").splitlines():
        pieces = list(_pieces(line))
        for number, (words, operator) in enumerate(pieces):
            if (rest := _after_tm(words)) is not None:
                following = pieces[number + 1][0] if number + 1 < len(pieces) else []
                yield Call(tuple(rest), _lost(operator, following, pipefail=pipefail))


def _pieces(line: str) -> Iterator[tuple[list[str], str]]:
    """The commands of a line, each with the operator behind it; redirections are dropped."""
    lexer = shlex.shlex(_DESCRIPTOR.sub("", line), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        tokens = list(lexer)
    except ValueError:
        return
    words: list[str] = []
    skip = False
    for token in tokens:
        if skip:
            skip = False
        elif not _OPERATOR.fullmatch(token):
            words.append(token)
        elif set(token) & set("<>"):
            skip = True
        else:
            yield words, token
            words = []
    yield words, ""


def _after_tm(words: list[str]) -> list[str] | None:
    rest = list(words)
    while rest and (rest[0] in _BEFORE or _ASSIGNMENT.fullmatch(rest[0])):
        rest = rest[1:]
    if rest and re.split(r"[/\\]", rest[0])[-1] in {"tm", "tm.exe"}:
        return rest[1:]
    if len(rest) > 2 and rest[0].startswith("python") and rest[1:3] == ["-m", "tm_cli"]:
        return rest[3:]
    return None


def _lost(operator: str, following: list[str], *, pipefail: bool) -> str | None:
    if operator.startswith("|") and operator != "||" and not pipefail:
        return "a pipe drops its exit code"
    if operator == "||" and following[:1] and following[0] in _HARMLESS:
        return f"`|| {following[0]}` drops its exit code"
    return None
