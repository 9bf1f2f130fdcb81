"""Keys: entered, checked, stored, listed with their state, and removed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tm_cli.api.errors import ApiError, ConnectionFailed, HttpError, InvalidResponse
from tm_cli.api.trafficmorph import TrafficMorphClient
from tm_cli.api.transport import Connection, Transport
from tm_cli.cli.session import LONGEST_PAUSE
from tm_cli.doctor.server import smallest_read
from tm_cli.errors import ConfigurationError, TmError, UsageError
from tm_cli.exit_codes import ExitCode
from tm_cli.settings import (
    DEFINITIONS,
    SYSTEMS,
    TRAFFICMORPH,
    Endpoint,
    MissingKey,
    Settings,
    Source,
)
from tm_cli.settings.credentials import KEYRING
from tm_cli.settings.definitions import ENDPOINT
from tm_cli.values.api_key import ApiKey
from tm_cli.values.text import sanitize
from tm_cli.values.urls import LOCAL

if TYPE_CHECKING:
    from tm_cli.cli.session import CommandContext


@dataclass(frozen=True, slots=True)
class StoredFor:
    """Where the key of a server was stored."""

    system: str
    base_url: str
    place: str
    checked: bool

    def data(self) -> dict[str, Any]:
        """What JSON has."""
        return {
            "system": self.system,
            "base_url": self.base_url,
            "stored_in": _place(self.place),
            "checked": self.checked,
        }

    def summary(self) -> str:
        """What people read."""
        tried = "the server takes it" if self.checked else "it was not checked"
        return sanitize(f"stored the key for {self.base_url} in {_named(self.place)}; {tried}")


@dataclass(frozen=True, slots=True)
class Removed:
    """From where the key of a server was removed."""

    system: str
    base_url: str
    places: list[str]

    def data(self) -> dict[str, Any]:
        """What JSON has."""
        places = [_place(place) for place in self.places]
        return {"system": self.system, "base_url": self.base_url, "removed_from": places}

    def summary(self) -> str:
        """What people read."""
        if not self.places:
            return sanitize(f"no key is stored for {self.base_url}")
        where = " and ".join(_named(place) for place in self.places)
        return sanitize(f"removed the key for {self.base_url} from {where}")


def store_key(session: CommandContext, system: str, *, check: bool) -> StoredFor:
    """Read a key, try it unless `check` is false, store it.

    Raises UsageError for what cannot be a key and HttpError, ConnectionFailed or InvalidResponse
    when the server did not take it; nothing is stored then.
    """
    endpoint, url = _server(session, system)
    endpoint.check_trust("a key is not asked for, and not sent to")
    key = _enter(session, url)
    if check:
        _try(session, endpoint, key)
    place = endpoint.settings.stored.save(system, url, key)
    if (problem := endpoint.settings.stored.problem) is not None:
        session.note(f"tm: {problem}")
    _say_what_wins(session, endpoint)
    return StoredFor(system, url, place, checked=check)


def remove_key(session: CommandContext, system: str) -> Removed:
    """Remove the stored key of a server; what is not there needs no removing."""
    endpoint, url = _server(session, system)
    removed = Removed(system, url, endpoint.settings.stored.remove(system, url))
    _say_what_wins(session, endpoint)
    return removed


def _server(session: CommandContext, system: str) -> tuple[Endpoint, str]:
    """Whose server it is about; its flags mean the system that was asked for."""
    for flag in ("api_key", "api_key_file"):
        if session.flags.get(flag) is not None:
            raise UsageError(
                f"{DEFINITIONS[flag].flag} is not for this command",
                hint="enter the key at the prompt, or pipe it: tm auth login < FILE",
            )
    endpoint = session.settings.for_system(system).endpoint(system)
    if endpoint.base_url is None:
        raise ConfigurationError(
            "no server is configured, and a key is kept for one server",
            hint="name it with --base-url or --context",
        )
    if endpoint.base_url == LOCAL:
        raise UsageError("the embedded server has a key of its own; there is none to store")
    return endpoint, endpoint.base_url


def _enter(session: CommandContext, url: str) -> ApiKey:
    text = session.context.read_secret(f"API key for {sanitize(url)} (not shown): ")
    try:
        return ApiKey(text)
    except ValueError as problem:
        raise UsageError(f"{problem}; nothing was stored") from None


def _try(session: CommandContext, endpoint: Endpoint, key: ApiKey) -> None:
    try:
        check_key(session.connector.reach(endpoint, key), endpoint)
    except ApiError as error:
        error.message = f"the key was not stored: {error.message}"
        if isinstance(error, ConnectionFailed):
            error.hint = "--no-check stores a key without asking the server"
        elif error.hint and "config show" in error.hint:
            error.hint = f"check the key, and whether it is one for {endpoint.base_url}"
        raise


def _say_what_wins(session: CommandContext, endpoint: Endpoint) -> None:
    """Tell of a key that commands use in spite of the stored one."""
    try:
        found = Endpoint(endpoint.settings, endpoint.system).credential
    except MissingKey:
        return
    except TmError as problem:
        session.note(f"tm: commands cannot use a key here: {sanitize(problem.message)}")
        return
    if found.origin.source is not Source.STORED:
        session.note(f"tm: commands use another key here: {sanitize(found.origin)}")


def _place(place: str) -> str:
    return "keyring" if place == KEYRING else place


def _named(place: str) -> str:
    return "the system keyring" if place == KEYRING else place


_UNKNOWN_ROUTE = 404


def check_key(connection: Connection, endpoint: Endpoint) -> None:
    """Ask the server for something small that only a valid key gets.

    Raises HttpError for a key that is refused, ConnectionFailed or InvalidResponse when nothing is
    known.
    """
    transport, system = Transport(connection), endpoint.system
    try:
        if system == TRAFFICMORPH:
            client = TrafficMorphClient(transport, connection.clock)
            _read_account(client.pausing_at_most(LONGEST_PAUSE))
        elif not isinstance(transport.get(*smallest_read(endpoint.settings, system)), (dict, list)):
            raise InvalidResponse(f"{connection.base_url} does not answer as {system} does")
    finally:
        transport.close()


def _read_account(client: TrafficMorphClient) -> None:
    try:
        client.get_account()
    except HttpError as error:
        if error.status != _UNKNOWN_ROUTE:  # early servers have no accounts
            raise
        client.list_profiles()


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


def key_statuses(session: CommandContext, *, check: bool) -> list[KeyStatus]:
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


def _status(
    session: CommandContext, context: str | None, endpoint: Endpoint, *, check: bool
) -> KeyStatus:
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


def _state(session: CommandContext, endpoint: Endpoint) -> str:

    check_key(session.connector.reach(endpoint, endpoint.key), endpoint)
    return WORKS


def _trouble(problem: TmError) -> str:
    match problem:
        case HttpError() if problem.exit_code is ExitCode.AUTHENTICATION:
            return "refused"
        case ConnectionFailed():
            return "server not reached"
        case ApiError():
            return "not known"
    return "not usable"


def show_statuses(session: CommandContext, statuses: Sequence[KeyStatus]) -> int:
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
            session.terminal.write_line(f"tm: {item.system}: {sanitize(item.problem.message)}")
    if not any(item.source for item in statuses):
        session.terminal.write_line("tm: no key is configured; `tm auth login` stores one")
    return code
