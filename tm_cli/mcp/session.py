"""A session for one call, whose standard output becomes the result."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tm_cli.cli.session import CommandContext
from tm_cli.commands.shared.follow import WaitBehavior
from tm_cli.commands.shared.report_sinks import Reports
from tm_cli.gate.events import Decided, Event
from tm_cli.gate.outcome import GateOutcome
from tm_cli.mcp.results import as_published
from tm_cli.runtime.clock import Clock
from tm_cli.runtime.terminal import Terminal
from tm_cli.values.api_key import KEY_VARIABLES
from tm_cli.values.text import sanitize

if TYPE_CHECKING:
    from tm_cli.api.middleware import Exchange
    from tm_cli.api.transport import Connection
    from tm_cli.runtime.local_server import LocalServerLease

OnEvent = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class EventSink:
    """Passes the events of a gate on; a call has no other reports."""

    on_event: OnEvent
    wants_baseline: bool = False

    def begin(self, undecided: GateOutcome) -> None:
        """Nothing is written before a call has ended."""

    def note(self, position: int, event: Event) -> None:
        self.on_event(event)

    def finish(self, evidence: GateOutcome) -> bool:
        """The result holds the outcome."""
        return True


@dataclass
class CallSession(CommandContext):
    """One call's session, with output streams in memory."""

    stdout: io.StringIO = field(default_factory=io.StringIO)
    stderr: io.StringIO = field(default_factory=io.StringIO)
    log: Terminal | None = None
    on_event: OnEvent = field(default=lambda _event: None)
    ending: Decided | None = None
    connections: list[Connection] = field(default_factory=list)

    @property
    def wait_behavior(self) -> WaitBehavior:
        """A cancelled call leaves its run going: the assistant can stop it by another call."""
        return WaitBehavior(stop_on_interrupt=False, reports=Reports((EventSink(self._note),)))

    def _note(self, event: Event) -> None:
        if isinstance(event, Decided):
            self.ending = event
        self.on_event(event)

    def connect_to(self, system: str) -> Connection:
        """Remember the connection for its key."""
        found = super().connect_to(system)
        self.connections.append(found)
        return found

    def keys(self) -> list[str]:
        """The keys that this call may have used: nothing that it returns may hold one."""
        own = [self.connection] if "connection" in self.__dict__ else []
        used = [item.key.reveal().decode("utf-8", "replace") for item in (*own, *self.connections)]
        environ = self.context.environ
        return [*used, *(environ.get(name, "").strip() for name in KEY_VARIABLES)]

    def document(self, code: int) -> dict[str, Any]:
        """The JSON document that was printed; its exit code must be the one that was returned.

        Where a gate has ended, its data have the meanings of the published tool.
        """
        found: dict[str, Any] = json.loads(self.stdout.getvalue())
        if found["exit_code"] != code:
            raise AssertionError(f"a call ended with {code} and printed {found['exit_code']}")
        if self.ending is not None:
            found["data"] = as_published(found["data"], self.ending.result)
        return found

    def messages(self) -> list[str]:
        """The lines on standard error."""
        lines = (line.removeprefix("tm: ") for line in self.stderr.getvalue().splitlines())
        return [sanitize(line) for line in lines if line.strip()]

    def show_exchange(self, exchange: Exchange) -> None:
        """Print the request for `--verbose` where the client keeps its log."""
        if self.log is not None:
            CommandContext(replace(self.context, terminal=self.log), {}).show_exchange(exchange)


def open_session(
    outer: CommandContext,
    clock: Clock,
    launch: Callable[[Path], LocalServerLease],
    on_event: OnEvent,
) -> CallSession:
    """Return a session with the flags of `tm mcp` and streams of its own."""
    stdout, stderr = io.StringIO(), io.StringIO()
    context = replace(outer.context, terminal=Terminal(stdout, stderr), clock=clock, launch=launch)
    return CallSession(
        context,
        outer.flags,
        wants_json=True,
        quiet=True,
        verbose=outer.verbose,
        stdout=stdout,
        stderr=stderr,
        log=outer.terminal,
        on_event=on_event,
    )
