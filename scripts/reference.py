"""Write `docs/commands.md` from the command tree; `--check` only says whether it is up to date."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tm_cli.cli.global_options import GLOBAL_OPTIONS
from tm_cli.cli.root import command as root_command

PAGE = Path(__file__).resolve().parent.parent / "docs" / "commands.md"
NOTES = re.compile(r"\s*\[([^\]]+)\]$")
"""The end of an option's help: its variable, its default, or both."""

INTRODUCTION = """\
# Commands

<!-- Written by scripts/reference.py from the command tree; change the help texts instead. -->

Options stand after the words of their command, before or after its arguments; the global ones may
stand anywhere. Where an option has a variable, the variable or a
[settings file](configuration.md) gives its value when the option is absent. Every command ends with
one of the [exit codes](exit-codes.md). `--help` or `-h` after any command prints its help.
"""


@dataclass(frozen=True, slots=True)
class Command:
    """A command of the tree and the words that call it."""

    words: tuple[str, ...]
    node: Any

    @property
    def path(self) -> str:
        """The words as one would type them."""
        return " ".join(self.words)

    @property
    def anchor(self) -> str:
        """The fragment that its heading gets."""
        return "-".join(self.words)

    @property
    def arguments(self) -> list[Any]:
        """Its arguments in order."""
        return [item for item in self.node.params if item.param_type_name == "argument"]

    @property
    def options(self) -> list[Any]:
        """Its visible options, the global ones included."""
        options = (item for item in self.node.params if item.param_type_name == "option")
        return [item for item in options if not item.hidden]


def commands(node: Any, words: tuple[str, ...]) -> Iterator[Command]:
    """Yield every visible command below `node` that does something, in the order of the help."""
    for name, inner in node.commands.items():
        if inner.hidden:
            continue
        if hasattr(inner, "commands"):
            yield from commands(inner, (*words, name))
        else:
            yield Command((*words, name), inner)


def page() -> str:
    """Return the whole page."""
    root = Command(("tm",), root_command())
    found = list(commands(root.node, root.words))
    shared = [item for item in found[0].options if item.name in GLOBAL_OPTIONS]
    parts = [
        INTRODUCTION,
        _list_of(found),
        "## Global options\n\nEvery command takes these.\n\n" + _options(shared),
        "## tm\n\nWithout a command, `tm` prints its help.\n\n" + _options(root.options),
        *map(_section, found),
    ]
    return "\n".join(part.rstrip() + "\n" for part in parts)


def _list_of(found: list[Command]) -> str:
    rows = (
        f"| [`{item.path}`](#{item.anchor}) | {_cell(_paragraphs(item)[0])} |" for item in found
    )
    return "\n".join(["| Command | What it does |", "|---|---|", *rows])


def _section(command: Command) -> str:
    own = [item for item in command.options if item.name not in GLOBAL_OPTIONS]
    parts = [f"## {command.path}", *map(_paragraph, _paragraphs(command))]
    parts.append(f"```text\n{_usage(command, own)}\n```")
    if command.arguments:
        rows = (f"| `{item.metavar}` | {_cell(item.help)} |" for item in command.arguments)
        parts.append("\n".join(["| Argument | Meaning |", "|---|---|", *rows]))
    if own:
        parts.append(_options(own))
    return "\n\n".join(parts)


def _paragraphs(command: Command) -> list[str]:
    return [" ".join(text.split()) for text in (command.node.help or "").split("\n\n")]


def _paragraph(text: str) -> str:
    return f"```sh\n{text}\n```" if text.startswith("tm ") else text


def _usage(command: Command, own: list[Any]) -> str:
    required = [f"{item.opts[0]} {_value(item)}" for item in own if item.required]
    arguments = [item.metavar for item in command.arguments]
    return " ".join([command.path, *arguments, *required, "[OPTIONS]"])


def _options(options: list[Any]) -> str:
    rows = (f"| {' | '.join(map(_cell, _row(item)))} |" for item in options)
    return "\n".join(["| Option | Meaning | Variable | Default |", "|---|---|---|---|", *rows])


def _row(option: Any) -> tuple[str, str, str, str]:
    """An option's spelling, meaning, variable and default."""
    value = "" if option.is_flag else f" {_value(option)}"
    spellings = [*option.opts, *option.secondary_opts]
    spelling = ", ".join(f"`{name}{value}`" for name in spellings)
    notes = NOTES.search(option.help or "")
    inside = _inside(notes[1]) if notes else []
    variable = next((f"`{note}`" for note in inside if note.startswith("TM_")), "")
    default = next((note for note in inside if not note.startswith("TM_")), "")
    if not default and not option.is_flag and option.default is not None:
        default = str(option.default)
    if option.required:
        default = "required"
    return spelling, NOTES.sub("", option.help or ""), variable, default


def _inside(notes: str) -> list[str]:
    """Split variable and default; a default may have commas of its own."""
    parts = notes.split(",", 1) if notes.startswith("TM_") else [notes]
    return [part.strip() for part in parts]


def _value(option: Any) -> str:
    return str(option.metavar or ("N" if isinstance(option.default, int) else "VALUE"))


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


def main(arguments: list[str]) -> int:
    """Write the page, or with `--check` return 1 when it is stale."""
    if arguments not in ([], ["--check"]):
        print("usage: python scripts/reference.py [--check]", file=sys.stderr)
        return 64
    wanted = page()
    if not arguments:
        PAGE.write_text(wanted, encoding="utf-8", newline="\n")
        return 0
    if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == wanted:
        return 0
    print("docs/commands.md is stale; write it anew with: make docs", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
