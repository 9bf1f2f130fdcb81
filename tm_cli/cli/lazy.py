"""Command groups that do nothing before it is needed."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command lives, and the line that the list of commands shows for it."""

    module: str
    summary: str
    panel: str | None = None


class LazyCommands(MutableMapping[str, Any]):
    """A mapping of names to commands that imports `module.app` on first access."""

    def __init__(self, entries: dict[str, Entry]) -> None:
        self._entries = entries
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            app: typer.Typer = importlib.import_module(self._entries[name].module).app
            command = get_command(app)
            command.name = name
            self._loaded[name] = command
        return self._loaded[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        raise TypeError("commands are not removed")

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries


class QuickGroup(TyperGroup):
    """A group that reads options of its own only when one is given.

    Typer coerces even an option that is not there, `--help` included, and imports pydantic for it.
    """

    _is_command_first = False

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the group's options; none while a command line starts with a command."""
        return [] if self._is_command_first else super().get_params(ctx)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse up to the name of the command."""
        self._is_command_first = bool(args) and not args[0].startswith("-")
        try:
            if self._is_command_first:  # typer would repeat the values of an earlier call
                ctx.params.update({str(item.name): item.default for item in self.params})
            return super().parse_args(ctx, args)
        finally:
            self._is_command_first = False


class LazyGroup(QuickGroup):
    """The root group; `entries` is set by the subclass."""

    entries: ClassVar[dict[str, Entry]]

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = LazyCommands(self.entries)
        self._listing = False

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names without importing what they name."""
        return list(self.entries)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command; while help lists them, a stand-in that has just name and summary."""
        if self._listing and cmd_name in self.entries:
            entry = self.entries[cmd_name]
            return TyperCommand(cmd_name, help=entry.summary, rich_help_panel=entry.panel)
        return super().get_command(ctx, cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:
        """Find the command; for one that stands in a group, say in which."""
        if args[0] not in self.entries and (groups := self._groups_with(args[0])):
            whole = " or ".join(f"`{ctx.command_path} {name} {args[0]}`" for name in groups)
            ctx.fail(f"No such command {args[0]!r}. Did you mean {whole}?")
        return super().resolve_command(ctx, args)

    def _groups_with(self, word: str) -> list[str]:
        """Import every module: it is slow, and the command line is wrong anyway."""
        found = {name: getattr(self.commands[name], "commands", {}) for name in self.entries}
        return [name for name, own in found.items() if word in own and not own[word].hidden]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Show the help without importing a single command."""
        self._listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._listing = False
