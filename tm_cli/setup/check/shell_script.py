"""Cuts shell scripts into commands. Pure.

This is no shell: it knows quotes, operators, redirections and the words that open and close a
compound command, so that rules about exit codes can say where a command stands. What it cannot
read it hands back as `unread`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r"""
    (?P<gap>(?:[ \t\r]|\\\r?\n)+)
  | (?P<comment>\#[^\n]*)
  | (?P<redirect>[0-9]*(?:<<<|<<-?|[<>]&|>>|>\||<>|[<>])|&>>?)
  | (?P<operator>\n|&&|\|\||;;&?|;&|\|&|[|&;()])
  | (?P<word>(?:
        \\[^\n] | '[^']*' | "(?:\\.|[^"\\])*" | `[^`]*`
      | \$\{\{.*?\}\} | \$\{[^}]*\}
      | \$\((?:[^()'"] | '[^']*' | "[^"]*" | \((?:[^()])*\))*\)
      | [^\s'"`\\|&;()<>]
    )+)
    """,
    re.VERBOSE | re.DOTALL,
)
_QUOTED = re.compile(r"""'([^']*)'|"((?:\\.|[^"\\])*)"|\\([^\w\n])""", re.DOTALL)
_HERE = re.compile(
    r"(?<!<)(<<(-)?[ \t]*(['\"]?)(\w+)\3([^\n]*)\n)(.*?)(?:^(?(2)\t*)\4$|\Z)",
    re.DOTALL | re.MULTILINE,
)
_OPENERS = {"if": "fi", "for": "done", "while": "done", "until": "done", "select": "done"} | {
    "case": "esac",
    "{": "}",
    "function": "}",
}
_JOINTS = frozenset({"then", "else", "elif", "do", "!"})
_CLOSERS = frozenset(_OPENERS.values())


@dataclass(frozen=True, slots=True)
class Command:
    """One simple command: its words without quotes, and where it stands.

    `before` and `after` are the operators around it, a line end being "\\n" and the ends of the
    script ""; `inside` is the innermost compound command around it, else "". `files` are the
    targets of its redirections.
    """

    words: tuple[str, ...]
    before: str
    after: str
    inside: str = ""
    is_negated: bool = False
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Script:
    """The commands of a script, and the texts that are no commands of it or could not be read."""

    commands: tuple[Command, ...]
    unread: tuple[str, ...] = ()


def read_script(text: str) -> Script:
    """Return what is in a script, in its order."""
    bodies: list[str] = []

    def cut(found: re.Match[str]) -> str:
        bodies.append(found[6])
        return found[1]

    reader = _Reader()
    text = text.replace("\r\n", "\n")
    if any("<<" in found[5] or found[5].endswith("\\") for found in _HERE.finditer(text)):
        return Script((), (text,))
    text = _HERE.sub(cut, text).rstrip()
    position = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            bodies.append(text[position:])
            break
        reader.take(token.lastgroup or "", token[0])
        position = token.end()
    reader.close("")
    return Script(tuple(reader.commands), tuple(bodies))


@dataclass(slots=True)
class _Reader:
    commands: list[Command] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    stack: list[str] = field(default_factory=list)
    before: str = ""
    redirects: bool = False

    def take(self, kind: str, text: str) -> None:
        """Read on by one token."""
        if kind == "redirect":
            self.redirects = True
        elif kind == "word":
            (self.files if self.redirects else self.words).append(text)
            self.redirects = False
        elif kind == "operator":
            self.close(text)

    def close(self, operator: str) -> None:
        """End a command at an operator."""
        words, negated = self.words, False
        while words and words[0] in {*_OPENERS, *_JOINTS, *_CLOSERS}:
            negated = negated or words[0] == "!"
            self._turn(words[0])
            words = words[1:]
        if not self.words and self.files:
            words = [":"]  # redirections alone are a command that succeeds
        if not words and negated:
            words = ["!"]
        if words:
            where = self.stack[-1] if self.stack else ""
            plain, files = map(tuple, (map(_unquoted, words), map(_unquoted, self.files)))
            self.commands.append(Command(plain, self.before, operator, where, negated, files))
            self.before = operator
        elif operator not in {"\n", ""}:
            self.before = operator
        self._parenthesis(operator)
        self.words, self.files, self.redirects = [], [], False

    def _turn(self, word: str) -> None:
        if word in _OPENERS:
            self.stack.append(word)
            self.before = "\n"
        elif word in _CLOSERS and self.stack:
            self.stack.pop()
        elif word in _JOINTS:
            self.before = "\n"

    def _parenthesis(self, operator: str) -> None:
        if operator == "(":
            self.stack.append("(")
        elif operator == ")" and self.stack[-1:] == ["("]:  # else it ends a pattern of `case`
            self.stack.pop()


def _unquoted(word: str) -> str:
    def plain(found: re.Match[str]) -> str:
        return next((part for part in found.groups() if part is not None), "")

    return _QUOTED.sub(plain, word)


def is_assignment(word: str) -> bool:
    """Whether the word sets a variable."""
    return re.match(r"[A-Za-z_][A-Za-z0-9_]*=", word) is not None
