"""What every command starts with: global options, settings, a client, output."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tm_cli.context import AppContext
from tm_cli.exit_codes import ExitCode
from tm_cli.terminal import Terminal

if TYPE_CHECKING:
    from tm_cli.api.trafficmorph.client import Client
    from tm_cli.api.transport import Connection, Exchange
    from tm_cli.settings import Settings

_PANEL = "Global options"

GLOBAL_OPTIONS: dict[str, tuple[Any, Any]] = {
    "base_url": (
        Annotated[
            str | None,
            typer.Option(
                help="Server address; `local` for the embedded one. [TM_BASE_URL]",
                metavar="URL",
                rich_help_panel=_PANEL,
            ),
        ],
        None,
    ),
    "api_key": (
        Annotated[str | None, typer.Option(hidden=True, metavar="KEY", rich_help_panel=_PANEL)],
        None,
    ),
    "api_key_file": (
        Annotated[
            str | None,
            typer.Option(
                help="File that holds the API key. [TM_API_KEY_FILE]",
                metavar="FILE",
                rich_help_panel=_PANEL,
            ),
        ],
        None,
    ),
    "timeout": (
        Annotated[
            str | None,
            typer.Option(
                help="Longest time for one request. [TM_TIMEOUT, 30s]",
                metavar="DURATION",
                rich_help_panel=_PANEL,
            ),
        ],
        None,
    ),
    "json": (
        Annotated[
            bool,
            typer.Option(
                "--json", help="Print one JSON document on stdout.", rich_help_panel=_PANEL
            ),
        ],
        False,
    ),
    "quiet": (
        Annotated[
            bool,
            typer.Option(
                "--quiet", "-q", help="Print results and errors only.", rich_help_panel=_PANEL
            ),
        ],
        False,
    ),
    "verbose": (
        Annotated[
            bool,
            typer.Option(
                "--verbose", "-v", help="Print a line per request.", rich_help_panel=_PANEL
            ),
        ],
        False,
    ),
}
"""Every command takes these, so that they may stand where the user thinks of them."""


@dataclass
class Session:
    """One command's view of the world; clients are made when first used."""

    context: AppContext
    flags: Mapping[str, Any]
    wants_json: bool = False
    quiet: bool = False
    verbose: bool = False
    _open: ExitStack = field(default_factory=ExitStack)

    @property
    def terminal(self) -> Terminal:
        """The user's streams."""
        return self.context.terminal

    @cached_property
    def settings(self) -> Settings:
        """The effective settings."""
        from tm_cli.settings import load_settings

        return load_settings(
            self.flags,
            self.context.environ,
            cwd=self.context.cwd,
            user_dir=self.context.find_user_dir(),
        )

    def setting(self, name: str, flag: str | None) -> Any:
        """Return the value of a setting that a command has a flag of its own for."""
        merged = {**self.flags, name: flag}
        return replace(self.settings, flags=merged).value(name)

    @cached_property
    def connection(self) -> Connection:
        """How to reach the configured server; starts the embedded one where none is."""
        from tm_cli.commands.connecting import connect

        return connect(self)

    @cached_property
    def client(self) -> Client:
        """A client of the configured server."""
        from tm_cli.api.trafficmorph.client import Client

        client = Client(self.connection)
        self._open.callback(client.close)
        return client

    def keep_open(self, close: Callable[[], None]) -> None:
        """Call `close` when the command ends."""
        self._open.callback(close)

    def close(self) -> None:
        """Close whatever the command has opened."""
        self._open.close()

    def note(self, text: str) -> None:
        """Tell something that is no result, unless `--quiet`."""
        if not self.quiet:
            self.terminal.note(text)

    def show_exchange(self, exchange: Exchange) -> None:
        """Print one request for `--verbose`: no header, no query, no body."""
        self.terminal.note(
            f"  {exchange.method} {exchange.url} {exchange.outcome} {exchange.seconds * 1000:.0f}ms"
        )

    def emit(self, data: Any, show: Callable[[], str]) -> int:
        """Print a command's result as JSON or for people, and return OK."""
        from tm_cli.render.machine import document, to_json

        self.terminal.result(to_json(document(data)) if self.wants_json else show())
        return int(ExitCode.OK)


def command(function: Callable[..., int]) -> Callable[..., int]:
    """Let a command take a Session, and give it the global options after its own."""
    signature = inspect.signature(function, eval_str=True)
    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in signature.parameters.items()
        if name != "session"
    ]
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, (kind, default) in GLOBAL_OPTIONS.items()
    ]
    context = inspect.Parameter(
        "ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
    )

    @functools.wraps(function)
    def wrapper(ctx: typer.Context, **values: Any) -> int:
        options = {name: values.pop(name) for name in GLOBAL_OPTIONS}
        session = _session(ctx.obj, options)
        try:
            return function(session, **values)
        finally:
            session.close()

    parameters = [context, *own, *shared]
    wrapper.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {item.name: item.annotation for item in parameters}
    return wrapper


def _session(context: AppContext, options: dict[str, Any]) -> Session:
    session = Session(
        context,
        wants_json=options.pop("json"),
        quiet=options.pop("quiet"),
        verbose=options.pop("verbose"),
        flags=options,
    )
    if options["api_key"] is not None:
        session.terminal.note(
            "tm: --api-key shows the key in process lists; prefer TM_API_KEY or --api-key-file"
        )
    return session
