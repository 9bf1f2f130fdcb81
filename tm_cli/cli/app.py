"""Typer with tm's own help and without what slows down its start."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from tm_cli.cli.help_page import HelpPage, Summary, paragraphs
from tm_cli.runtime.terminal import Terminal

GO_JSON = "tm.go_json"
"""In the `meta` of a context: JSON is printed as the Go tm prints it."""

_TRUE = frozenset({"1", "t", "T", "true", "True", "TRUE"})
_FALSE = frozenset({"0", "f", "F", "false", "False", "FALSE"})
JSON_FLAGS = frozenset({"--json", *(f"--json={word}" for word in _TRUE)})
"""What asks for a JSON document, also of an error."""


def _read_switches(command: Any, ctx: Any, args: list[str], *, until_command: bool) -> list[str]:
    """Return a command line in which no switch has a value, as in `--wait=true` and `--json=go`.

    An empty value stays, so that it is refused: a variable without a value must not turn a gate
    off. `until_command` leaves alone what follows the first word that is no option.
    """
    if not any(word.startswith("--") and "=" in word for word in args):
        return args
    options = [item for item in command.get_params(ctx) if item.param_type_name == "option"]
    switches = {
        name: (item.opts, item.secondary_opts)
        for item in options
        if item.is_flag
        for name in (*item.opts, *item.secondary_opts)
    }
    with_value = {name for item in options if not item.is_flag for name in item.opts}
    words, found = iter(args), list[str]()
    for word in words:
        name, _, value = word.partition("=")
        if word == "--" or (until_command and not word.startswith("-")):
            return [*found, word, *words]
        if word == "--json=go":
            ctx.meta[GO_JSON] = True
            found.append("--json")
        elif name in switches and value in _TRUE:
            found.append(name)
        elif name in switches and value in _FALSE:
            own, opposite = switches[name] if name in switches[name][0] else switches[name][::-1]
            found = [*(other for other in found if other not in own), *opposite[:1]]
        else:
            found.append(word)
            if word in with_value:
                found += islice(words, 1)
    return found


class Command(TyperCommand):
    """A command whose help is a `HelpPage`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the command line; errors start without pydantic's prefix."""
        try:
            return super().parse_args(ctx, self.read_switches(ctx, args))
        except typer.BadParameter as problem:
            problem.message = problem.message.removeprefix("Value error, ")
            raise

    def read_switches(self, ctx: Any, args: list[str]) -> list[str]:
        """Return the command line without values of switches."""
        return _read_switches(self, ctx, args, until_command=False)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the page into click's formatter."""
        formatter.write(_page(ctx, []))


class Group(TyperGroup):
    """A group whose help is a `HelpPage`, which it prints when no command is given.

    `tm` alone succeeds. `tm runs` alone does not: its words may be those of a gate, lost to an
    empty variable.

    It reads options of its own only when one is given: Typer coerces even an option that is not
    there, `--help` included, and imports pydantic for it.
    """

    _is_command_first = False

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the group's options; none while a command line starts with a command."""
        return [] if self._is_command_first else super().get_params(ctx)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse up to the name of the command."""
        if not args and not ctx.resilient_parsing:
            typer.echo(ctx.get_help())
            if ctx.parent is None:
                ctx.exit()
            ctx.fail("Missing command.")
        self._is_command_first = bool(args) and not args[0].startswith("-")
        try:
            if self._is_command_first:  # typer would repeat the values of an earlier call
                ctx.params.update({str(item.name): item.default for item in self.params})
            else:
                args = self.read_switches(ctx, args)
            return super().parse_args(ctx, args)
        finally:
            self._is_command_first = False

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the page into click's formatter."""
        formatter.write(_page(ctx, self.summaries(ctx)))

    def read_switches(self, ctx: Any, args: list[str]) -> list[str]:
        """Return the command line without values of switches before the command's name."""
        return _read_switches(self, ctx, args, until_command=True)

    def summaries(self, _ctx: Any) -> list[Summary]:
        """Return the commands that the help lists."""
        shown = [(name, inner) for name, inner in self.commands.items() if not inner.hidden]
        return [Summary(name, paragraphs(inner)[0][0]) for name, inner in shown]


class App(typer.Typer):
    """The commands of a noun; see `Command` and `Group`."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"cls": Group, "add_completion": False, **settings})

    def command(
        self, name: str | None = None, *, cls: Any = Command, **settings: Any
    ) -> Callable[..., Any]:
        """Register a command, as in Typer."""
        return super().command(name, cls=cls, **settings)


def _page(ctx: Any, commands: list[Summary]) -> str:
    terminal = ctx.obj.terminal if ctx.obj is not None else Terminal(None, None)
    page = HelpPage(terminal.width, bold=terminal.out_color and terminal.out_is_terminal)
    return page.render(ctx.command_path, ctx.command, commands)


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command lives, and the line that the list of commands shows for it."""

    module: str
    summary: str
    section: str = ""
    hidden: bool = False
    attribute: str = "app"


class LazyCommands(Mapping[str, Any]):
    """A mapping of names to commands that imports the module of an entry on first access."""

    def __init__(self, entries: dict[str, Entry]) -> None:
        self._entries = entries
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            entry = self._entries[name]
            app: typer.Typer = getattr(importlib.import_module(entry.module), entry.attribute)
            command = get_command(app)
            command.name = name
            self._loaded[name] = command
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries


class LazyGroup(Group):
    """The root group; `entries` is set by the subclass."""

    entries: ClassVar[dict[str, Entry]]

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = cast(Any, LazyCommands(self.entries))  # never assigned to

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names without importing what they name."""
        return list(self.entries)

    def summaries(self, _ctx: Any) -> list[Summary]:
        """Return the commands that the help lists, without importing them."""
        return [
            Summary(name, entry.summary, entry.section)
            for name, entry in self.entries.items()
            if not entry.hidden
        ]

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:
        """Find the command; the error for one that is in a group names the group."""
        if args[0] not in self.entries and (groups := self._groups_with(args[0])):
            whole = " or ".join(f"`{ctx.command_path} {name} {args[0]}`" for name in groups)
            ctx.fail(f"No such command {args[0]!r}. Did you mean {whole}?")
        return super().resolve_command(ctx, args)

    def _groups_with(self, word: str) -> list[str]:
        """Import every module: it is slow, and the command line is wrong anyway."""
        found = {
            name: getattr(self.commands[name], "commands", {})
            for name, entry in self.entries.items()
            if not entry.hidden
        }
        return [name for name, own in found.items() if word in own and not own[word].hidden]
