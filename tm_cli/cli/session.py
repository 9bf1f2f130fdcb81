"""The context of a command: global options, settings, connections, output."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tm_cli.cli.app import GO_JSON
from tm_cli.cli.global_options import with_global_options
from tm_cli.exit_codes import ExitCode
from tm_cli.runtime.environment import Environment, NoHomeDirectory
from tm_cli.runtime.terminal import Terminal
from tm_cli.values.text import sanitize

if TYPE_CHECKING:
    from tm_cli.api.middleware import Exchange
    from tm_cli.api.trafficmorph import Account, TrafficMorphClient
    from tm_cli.api.transport import Connection
    from tm_cli.cli.connections import Connector
    from tm_cli.errors import TmError
    from tm_cli.settings import Settings

LONGEST_PAUSE = 60.0
"""Maximum pause in seconds that a server can ask a command for, unless it is a gate; the APIs count
requests per minute."""


@dataclass
class CommandContext:
    """One command's view of the world; clients are made when first used.

    `is_go_json` has JSON printed as the Go tm prints it: bare, under the names of the wire.
    `tree` is the root command, for commands that tell about others; `system` is what the flags
    for server and key mean; `longest_pause` is how long a read may pause, in seconds, because the
    server asks for it.
    """

    context: Environment
    flags: Mapping[str, Any]
    wants_json: bool = False
    is_go_json: bool = False
    quiet: bool = False
    verbose: bool = False
    tree: Any = None
    system: str = "trafficmorph"
    longest_pause: float = LONGEST_PAUSE
    _open: ExitStack = field(default_factory=ExitStack)

    @property
    def terminal(self) -> Terminal:
        """The user's streams."""
        return self.context.terminal

    @cached_property
    def settings(self) -> Settings:
        """The effective settings; says which files and variables are not used."""
        from tm_cli.settings import load_settings

        settings = load_settings(
            self.flags,
            self.context.environ,
            cwd=self.context.cwd,
            user_dir=self._find_user_dir(),
            system=self.system,
        )
        for source in settings.ignored:
            self.terminal.write_line(f"tm: {sanitize(source.message)}; {sanitize(source.hint)}")
        return settings

    def _find_user_dir(self) -> Path | None:
        """The user's own directory, None for a user without one: a gate needs none."""
        try:
            return self.context.find_user_dir()
        except NoHomeDirectory:
            return None

    def setting(self, name: str, flag: str | None) -> Any:
        """Return the value of a setting that a command has a flag of its own for."""
        merged = {**self.flags, name: flag}
        return replace(self.settings, flags=merged).value(name)

    @property
    def connector(self) -> Connector:
        """Opens connections for this command."""
        from tm_cli.cli.connections import Connector

        return Connector(
            self.context,
            self.settings,
            owner=self,
            note=self.note,
            on_exchange=self.show_exchange if self.verbose else None,
        )

    @cached_property
    def connection(self) -> Connection:
        """How to reach the configured server; starts the embedded one where none is."""
        return self.connector.connect()

    def connect_to(self, system: str) -> Connection:
        """How to reach the server of another system, with its own key; see `Settings.endpoint`."""
        return self.connector.connect_to(system)

    @cached_property
    def client(self) -> TrafficMorphClient:
        """A client of the configured server."""
        from tm_cli.api.trafficmorph import TrafficMorphClient
        from tm_cli.api.transport import Transport

        transport = Transport(self.connection)
        self._open.callback(transport.close)
        return TrafficMorphClient(transport, self.context.clock).pausing_at_most(self.longest_pause)

    @cached_property
    def account(self) -> Account:
        """The account behind the key, read once; raises ApiError, on early servers with 404."""
        return self.client.get_account()

    def widen_budget(self) -> None:
        """Send as many requests a minute as the account permits, if the server says that."""
        from tm_cli.api.errors import ApiError

        budget = self.connection.budget
        if budget is None:
            return
        with suppress(ApiError):
            limits = self.account.limits
            budget.per_minute = (limits and limits.api_requests_per_minute) or budget.per_minute

    def keep_open(self, close: Callable[[], None]) -> None:
        """Call `close` when the command ends."""
        self._open.callback(close)

    def limit_pauses(self, seconds: float) -> None:
        """Let reads of the clients made from now on pause at most this long for a server."""
        self.longest_pause = seconds

    def close(self) -> None:
        """Close what the command has opened."""
        self._open.close()

    def note(self, text: str) -> None:
        """Write a line that is not a result, unless `--quiet`."""
        if not self.quiet:
            self.terminal.write_line(text)

    def show_exchange(self, exchange: Exchange) -> None:
        """Print one request for `--verbose`: no header, no query, no body."""
        self.terminal.write_line(
            f"  {exchange.method} {exchange.url} {exchange.outcome} {exchange.seconds * 1000:.0f}ms"
        )

    def emit(
        self,
        data: Any,
        show: Callable[[], str],
        *,
        error: TmError | None = None,
        code: int = ExitCode.OK,
        as_json: bool | None = None,
        bare: Any = None,
    ) -> int:
        """Print a command's result as JSON or for people, and return its exit code.

        `error` makes it a failure, and brings its own code. JSON is printed where `--json` or
        `as_json` asks for it. `bare` is what scripts of the Go tm get where that is not `data`.
        """
        from tm_cli.render.formats.json_document import document, error_document, to_json

        whole = document(data, exit_code=code)
        if error is not None:
            whole, code = error_document(error, data), error.exit_code
        wants_json = self.wants_json if as_json is None else as_json
        if self.is_go_json:
            whole = data if bare is None else bare
        self.terminal.write_result(to_json(whole) if wants_json else show())
        if error is not None:
            self.terminal.write_line(f"tm: {error.message}")
        return int(code)


def with_session(function: Callable[..., int]) -> Callable[..., int]:
    """Let a command take a CommandContext, and give it the global options after its own."""

    def run(ctx: typer.Context, options: dict[str, Any], values: dict[str, Any]) -> int:
        session = _session(ctx.obj, options)
        session.is_go_json = ctx.meta.get(GO_JSON, False)
        session.tree = ctx.find_root().command
        session.system = _SYSTEM_OF.get(_noun(ctx), "trafficmorph")
        try:
            return function(session, **values)
        finally:
            session.close()

    return with_global_options(function, run)


_SYSTEM_OF = {"benchmarks": "runloop", "jobs": "strait"}
"""What `--base-url` and the key's flags mean to the commands of a group."""


def _noun(ctx: typer.Context) -> str:
    """The first word after `tm`."""
    inner: Any = ctx
    while inner.parent is not None and inner.parent.parent is not None:
        inner = inner.parent
    return str(inner.info_name)


def _session(context: Environment, options: dict[str, Any]) -> CommandContext:
    session = CommandContext(
        context,
        wants_json=options.pop("json"),
        quiet=options.pop("quiet"),
        verbose=options.pop("verbose"),
        flags=options,
    )
    if options["api_key"] is not None:
        session.terminal.write_line(
            "tm: --api-key shows the key in process lists; prefer TM_API_KEY or --api-key-file"
        )
    return session
