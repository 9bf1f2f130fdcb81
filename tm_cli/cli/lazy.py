"""Command groups that do nothing before it is needed."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import typer
from typer.main import get_command

from tm_cli.cli.app import Group
from tm_cli.cli.help_page import Summary


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command lives, and the line that the list of commands shows for it."""

    module: str
    summary: str
    section: str = ""
    hidden: bool = False


class LazyCommands(Mapping[str, Any]):
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
