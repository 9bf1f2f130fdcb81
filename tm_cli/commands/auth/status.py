"""What is known about every key: where it is, for which server, and whether it works."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tm_cli.api.errors import ApiError, HttpError, NotReached
from tm_cli.errors import TmError
from tm_cli.exit_codes import ExitCode
from tm_cli.settings import SYSTEMS, Endpoint, MissingKey, Settings
from tm_cli.settings.definitions import ENDPOINT
from tm_cli.values.text import clean
from tm_cli.values.urls import LOCAL

if TYPE_CHECKING:
    from tm_cli.cli.session import Session

WORKS = "works"
_WORST_FIRST = (
    ExitCode.AUTHENTICATION,
    ExitCode.UNAVAILABLE,
    ExitCode.CONFIGURATION,
    ExitCode.USAGE,
    ExitCode.ERROR,
)


@dataclass(frozen=True, slots=True)
class KeyStatus:
    """One system's key in one context; `source` is None where there is no key."""

    context: str | None
    system: str
    state: str
    base_url: str | None = None
    source: str | None = None
    problem: TmError | None = None

    def data(self) -> dict[str, Any]:
        """The status as JSON has it."""
        return {
            "context": self.context,
            "system": self.system,
            "base_url": self.base_url,
            "source": self.source,
            "state": self.state,
            "message": None if self.problem is None else self.problem.message,
        }


def key_statuses(session: Session, *, check: bool) -> list[KeyStatus]:
    """Return the status of every system without a context or in the current one, then of others.

    Each key is sent to its own server, unless `check` is false.
    """
    return [
        _status(session, context, endpoint, check=check)
        for context, endpoint in _endpoints(session.settings)
    ]


def exit_code_of(statuses: Sequence[KeyStatus]) -> ExitCode:
    """Return OK when there is a key and none of them is in trouble, else the worst code."""
    codes = {item.problem.exit_code for item in statuses if item.problem is not None}
    if worst := next((code for code in _WORST_FIRST if code in codes), None):
        return worst
    has_key = any(item.source is not None for item in statuses)
    return ExitCode.OK if has_key else ExitCode.AUTHENTICATION


def _endpoints(settings: Settings) -> Iterator[tuple[str | None, Endpoint]]:
    current = settings.context
    for system in SYSTEMS:
        yield current.name if current else None, settings.endpoint(system)
    others = {name: value for name, value in settings.flags.items() if name not in ENDPOINT}
    for name in settings.contexts:
        if current is None or name != current.name:
            chosen = replace(settings, flags={**others, "context": name})
            for system in chosen.context.systems if chosen.context else ():
                yield name, chosen.endpoint(system)


def _status(session: Session, context: str | None, endpoint: Endpoint, *, check: bool) -> KeyStatus:
    status = KeyStatus(context, endpoint.system, "no server")
    try:
        status = replace(status, base_url=endpoint.base_url)
        if endpoint.base_url is None:
            return status
        if endpoint.base_url == LOCAL:
            return replace(status, state="embedded server, with a key of its own")
        status = replace(status, source=str(endpoint.credential.origin))
        return replace(status, state=_state(session, endpoint) if check else "not checked")
    except MissingKey:
        return replace(status, state="no key")
    except TmError as problem:
        return replace(status, state=_trouble(problem), problem=problem)


def _state(session: Session, endpoint: Endpoint) -> str:
    from tm_cli.commands.auth.login import check_key

    check_key(session.connector.reach(endpoint, endpoint.key), endpoint.system)
    return WORKS


def _trouble(problem: TmError) -> str:
    match problem:
        case HttpError() if problem.exit_code is ExitCode.AUTHENTICATION:
            return "refused"
        case NotReached():
            return "server not reached"
        case ApiError():
            return "not known"
    return "not usable"


def show_statuses(session: Session, statuses: Sequence[KeyStatus]) -> int:
    """Print the statuses and return the exit code that they mean."""
    from tm_cli.render.tables import listed

    head = ("CONTEXT", "SYSTEM", "SERVER", "KEY", "STATE")
    rows = [
        (item.context, item.system, item.base_url, item.source, item.state) for item in statuses
    ]
    code = session.emit(
        [item.data() for item in statuses],
        lambda: listed(session.terminal, head, rows),
        code=exit_code_of(statuses),
    )
    if session.wants_json:
        return code
    for item in statuses:
        if item.problem is not None:
            session.terminal.note(f"tm: {item.system}: {clean(item.problem.message)}")
    if not any(item.source for item in statuses):
        session.terminal.note("tm: no key is configured; `tm auth login` stores one")
    return code
