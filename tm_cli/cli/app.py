"""Typer with tm's own help and without what slows down its start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from tm_cli.cli.help_page import HelpPage, Summary, paragraphs
from tm_cli.runtime.terminal import Terminal


class Command(TyperCommand):
    """A command whose help is a `HelpPage`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the command line; errors start without pydantic's prefix."""
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as problem:
            problem.message = problem.message.removeprefix("Value error, ")
            raise

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the page into click's formatter."""
        formatter.write(_page(ctx, []))


class Group(TyperGroup):
    """A group whose help is a `HelpPage`; without a command it prints that and succeeds.

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
            ctx.exit()
        self._is_command_first = bool(args) and not args[0].startswith("-")
        try:
            if self._is_command_first:  # typer would repeat the values of an earlier call
                ctx.params.update({str(item.name): item.default for item in self.params})
            return super().parse_args(ctx, args)
        finally:
            self._is_command_first = False

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the page into click's formatter."""
        formatter.write(_page(ctx, self.summaries(ctx)))

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
