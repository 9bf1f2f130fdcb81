"""The command tree, as command lines on pages are checked against it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from tm_cli.cli import root


@cache
def command() -> Any:
    """The tree, built once: nothing here changes it."""
    return root.root_command()


def leaves(node: Any = None, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, with its words; not the aliases in hidden groups."""
    node = node or command()
    for name, inner in node.commands.items():
        if hasattr(inner, "commands") and inner.hidden:
            continue
        if hasattr(inner, "commands"):
            yield from leaves(inner, (*words, name))
        else:
            yield (*words, name), inner


def parse(words: Sequence[str]) -> None:
    """Parse a command line as the program would; raises its usage error, and runs nothing."""
    node, path = command(), ["tm"]
    while hasattr(node, "commands"):
        if not words or words[0].startswith("-"):
            node.parse_args(node.context_class(node), list(words))
            return
        path.append(words[0])
        node, words = node.commands[words[0]], words[1:]
    node.make_context(" ".join(path), list(words))


def check_names(words: Sequence[str]) -> None:
    """Raise ValueError unless command and flags of a mention exist; arguments may be left out."""
    node, rest = command(), list(words)
    while rest and hasattr(node, "commands") and not rest[0].startswith("-"):
        name = rest.pop(0)
        if name not in node.commands:
            raise ValueError(f"no command {name!r}")
        node = node.commands[name]
    known = {"-h", "--help", *(flag for option in node.params for flag in option.opts)}
    if unknown := {word for word in rest if word.startswith("-")} - known:
        raise ValueError(f"no such options: {', '.join(sorted(unknown))}")
