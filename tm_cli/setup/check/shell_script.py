"""Shell scripts as syntax trees, by tree-sitter (the extra `check`)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

_COMMANDS = frozenset({"command", "declaration_command", "unset_command"})
_REDIRECTS = frozenset({"file_redirect", "heredoc_redirect", "herestring_redirect"})
_EXPRESSION = re.compile(r"\$\{\{.*?\}\}", re.DOTALL)
_OPEN = re.compile(r"[$`*?]")

_RUNNERS = frozenset({"uv", "poetry", "pipenv", "hatch", "pdm", "rye"})
"""`uv run tm` ends as tm does."""
_TRANSPARENT = frozenset(
    {"exec", "time", "command", "builtin", "env", "nohup", "nice", "sudo", "timeout"}
)
_WITH_VALUE = frozenset({"-k", "-s", "-n", "-u", "-a"})
_RESERVED = frozenset(
    {"{", "}", "!", "[[", "if", "then", "elif", "else", "fi", "for", "while", "until", "do"}
    | {"done", "case", "esac", "in", "select", "function", "coproc"}
)


def is_available() -> bool:
    """Whether the parser is installed."""
    try:
        import tree_sitter
        import tree_sitter_bash
    except ImportError:
        return False
    return bool(tree_sitter and tree_sitter_bash)


@cache
def _parser() -> Parser:
    import tree_sitter_bash
    from tree_sitter import Language, Parser

    return Parser(Language(tree_sitter_bash.language()))


@dataclass(frozen=True, slots=True)
class ShellCommand:
    """One simple command: its words without quotes, and its node in the tree."""

    words: tuple[str, ...]
    node: Node

    @property
    def name(self) -> str:
        """The program or builtin, without directory."""
        return program_name(self.words[0]) if self.words else ""

    @property
    def effective(self) -> tuple[str, ...]:
        """The words from the program on, without what only changes how it runs."""
        return tuple(_unwrapped(list(self.words)))


class ShellScript:
    """The syntax tree of a script for `bash` or `sh`."""

    def __init__(self, text: str) -> None:
        text = _EXPRESSION.sub("$GITHUB_EXPRESSION", text.replace("\r\n", "\n"))
        self.text = text
        self.source = text.encode()
        self.root = _parser().parse(self.source).root_node

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes in the order of the text."""
        return tuple(descendants(self.root))

    @cached_property
    def commands(self) -> tuple[ShellCommand, ...]:
        """All simple commands in the order of the text, those in functions and `$(...)` too."""
        return tuple(
            ShellCommand(tuple(_words(node)), node) for node in self.nodes if node.type in _COMMANDS
        )

    def words_of(self, node: Node) -> tuple[str, ...]:
        """Return the words of a node that is a simple command, none for any other."""
        return next((command.words for command in self.commands if command.node == node), ())

    @cached_property
    def is_readable(self) -> bool:
        """Whether all of it is understood; functions are not.

        It joins some lines that bash takes apart, such as `A=1 B=2` with the line below, takes
        `time { tm ...; }` for simple commands, and ends a here document at an indented word.
        """
        return not self.root.has_error and not any(
            [
                *(node.type == "function_definition" for node in self.nodes),
                *(_spans_lines(self.source, command.node) for command in self.commands),
                *(_RESERVED & set(command.effective[:1]) for command in self.commands),
                *(_ends_early(self.source, node) for node in self.nodes),
            ]
        )

    def without(self, skipped: list[Node]) -> str:
        """Return the text without some nodes and without comments."""
        source = bytearray(self.source)
        comments = [node for node in self.nodes if node.type == "comment"]
        for node in [*skipped, *comments]:
            blank = re.sub(rb"[^\n]", b" ", self.source[node.start_byte : node.end_byte])
            source[node.start_byte : node.end_byte] = blank
        return source.decode(errors="replace")


def descendants(node: Node) -> Iterator[Node]:
    """Yield a node and all below it, in the order of the text."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += reversed(node.children)


def text_of(node: Node) -> str:
    """Return the text of a node."""
    return (node.text or b"").decode(errors="replace")


def is_open(word: str) -> bool:
    """Whether the shell or the platform would put something else in the place of the word."""
    return _OPEN.search(word) is not None


def program_name(word: str) -> str:
    """Return the name of a program without its directory."""
    return PurePosixPath(word.replace("\\", "/")).name.removesuffix(".exe")


def _spans_lines(source: bytes, node: Node) -> bool:
    ends = [child.end_byte for child in node.children]
    starts = [child.start_byte for child in node.children]
    gaps = (source[end:start] for end, start in zip(ends, starts[1:], strict=False))
    return any(b"\n" in gap.replace(b"\\\n", b"") for gap in gaps)


def _ends_early(source: bytes, node: Node) -> bool:
    """Whether a here document would go on where the parser sees its end."""
    if node.type != "heredoc_end":
        return False
    start = source.rfind(b"\n", 0, node.start_byte) + 1
    indentation = source[start : node.start_byte]
    redirect = text_of(node.parent) if node.parent else ""
    return bool(indentation.strip(b"\t") if "<<-" in redirect[:4] else indentation) or (
        source[node.end_byte : node.end_byte + 1] not in {b"", b"\n"}
    )


def _words(command: Node) -> Iterator[str]:
    for child in command.children:
        if child.type == "variable_assignment" and command.type == "command":
            continue
        if child.type not in _REDIRECTS:
            yield _unquoted(child)


def _unquoted(node: Node) -> str:
    match node.type:
        case "raw_string":
            return text_of(node)[1:-1]
        case "string":
            return re.sub(r'\\(["\\$`])|\\\n', r"\1", text_of(node)[1:-1])
        case "command_name":
            return "".join(map(_unquoted, node.children))
        case "concatenation":
            return "".join(map(_unquoted, node.children))
        case "word":
            return re.sub(r"\\(.)|\\\n", r"\1", text_of(node))
    return text_of(node)


def _unwrapped(words: list[str]) -> list[str]:
    while words:
        first = program_name(words[0])
        if first in _TRANSPARENT:
            if first == "command" and {"-v", "-V"} & set(words[1:2]):
                break  # it only looks the program up
            words = _without_options(words[1:])
            if first == "timeout":
                words = words[1:]
            while first in {"env", "sudo"} and words and re.match(r"[A-Za-z_]\w*=", words[0]):
                words = words[1:]
        elif first in _RUNNERS and words[1:2] == ["run"]:
            words = _without_options(words[2:])
        else:
            break
    return words


def _without_options(words: list[str]) -> list[str]:
    while words and words[0].startswith("-"):
        words = words[2 if words[0] in _WITH_VALUE else 1 :]
    return words
