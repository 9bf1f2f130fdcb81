"""Write the generated files of `docs/`; `--check` only says whether they are up to date."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tm_cli.cli.global_options import GLOBAL_OPTIONS
from tm_cli.cli.help_page import describe, paragraphs, usage, value_name
from tm_cli.cli.root import root_command
from tm_cli.commands.schema import KINDS, schema_text

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = DOCS / "commands.md"
SCHEMAS = DOCS / "schemas"

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
        f"| [`{item.path}`](#{item.anchor}) | {_cell(paragraphs(item.node)[0][0])} |"
        for item in found
    )
    return "\n".join(["| Command | What it does |", "|---|---|", *rows])


def _section(command: Command) -> str:
    own = [item for item in command.options if item.name not in GLOBAL_OPTIONS]
    texts, examples = paragraphs(command.node)
    parts = [f"## {command.path}", *texts]
    parts += [f"```sh\n{example}\n```" for example in examples]
    parts.append(f"```text\n{usage(command.path, command.node)}\n```")
    if command.arguments:
        shown = map(describe, command.arguments)
        rows = (f"| `{item.spelling}` | {_cell(item.text)} |" for item in shown)
        parts.append("\n".join(["| Argument | Meaning |", "|---|---|", *rows]))
    if own:
        parts.append(_options(own))
    return "\n\n".join(parts)


def _options(options: list[Any]) -> str:
    rows = (f"| {' | '.join(map(_cell, _row(item)))} |" for item in options)
    return "\n".join(["| Option | Meaning | Variable | Default |", "|---|---|---|---|", *rows])


def _row(option: Any) -> tuple[str, str, str, str]:
    """An option's spelling, meaning, variable and default."""
    shown = describe(option)
    value = "" if option.is_flag else f" {value_name(option)}"
    names = [*option.opts, *option.secondary_opts]
    spelling = ", ".join(f"`{name}{value}`" for name in names)
    variable = f"`{shown.variable}`" if shown.variable else ""
    return spelling, shown.text, variable, "required" if shown.required else shown.default


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main(arguments: list[str]) -> int:
    """Write the files, or with `--check` return 1 when one of them is stale."""
    if arguments not in ([], ["--check"]):
        print("usage: python scripts/reference.py [--check]", file=sys.stderr)
        return 64
    wanted = {PAGE: page(), **{SCHEMAS / f"{kind}-1.json": schema_text(kind) for kind in KINDS}}
    if not arguments:
        for path, text in wanted.items():
            path.write_text(text, encoding="utf-8", newline="\n")
        return 0
    stale = [
        path.relative_to(DOCS).as_posix()
        for path, text in wanted.items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    for name in stale:
        print(f"docs/{name} is stale; run: make docs", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
