"""From settings to a connection: a configured server, or the embedded one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tm_cli.api.retry import RequestBudget
from tm_cli.api.transport import Connection
from tm_cli.errors import ConfigurationError
from tm_cli.settings import TRAFFICMORPH, Endpoint, Source, project_root, read_key_file
from tm_cli.values.urls import LOCAL

if TYPE_CHECKING:
    from tm_cli.cli.session import Session
    from tm_cli.values.api_key import ApiKey

DATA_DIR = ".tm"


def connect(session: Session) -> Connection:
    """Return the connection that the settings ask for.

    Raises ConfigurationError when there is no server and none may be started.
    """
    endpoint = session.settings.endpoint(TRAFFICMORPH)
    if endpoint.base_url in (None, LOCAL):
        return _embedded(session)
    return reach(session, endpoint, endpoint.key)


def connect_to(session: Session, system: str) -> Connection:
    """Return a connection to the configured server of another system than TrafficMorph.

    Raises ConfigurationError when there is no key for it.
    """
    endpoint = session.settings.endpoint(system)
    return reach(session, endpoint, endpoint.key)


def reach(session: Session, endpoint: Endpoint, key: ApiKey) -> Connection:
    """Return a connection to a server that is there, with a key that need not be stored yet."""
    settings = endpoint.settings
    return Connection(
        base_url=str(endpoint.base_url),
        key=key,
        bearer=endpoint.system != TRAFFICMORPH,
        clock=session.context.clock,
        timeout=settings.value("timeout"),
        environ=session.context.environ,
        ca_file=settings.value("ca_file"),
        on_exchange=session.show_exchange if session.verbose else None,
        budget=RequestBudget(session.context.clock),
    )


def _embedded(session: Session) -> Connection:
    if session.settings.server is None and session.context.environ.get("CI"):
        raise ConfigurationError(
            "no server is configured",
            hint="set TM_BASE_URL and TM_API_KEY, or TM_BASE_URL=local for the embedded server",
        )
    return _lease(session, data_dir(session))


def _lease(session: Session, directory: Path) -> Connection:
    """Find or start the server of `directory` and keep it until the command ends."""
    server = session.context.launch(directory)
    session.keep_open(server.close)
    began = "started" if server.started_here else "found"
    session.note(f"tm: {began} the embedded server at {server.base_url} (data in {directory})")
    return Connection(
        base_url=server.base_url,
        key=read_key_file(server.api_key_file),
        clock=session.context.clock,
        timeout=session.settings.value("timeout"),
        environ=session.context.environ,
        on_exchange=session.show_exchange if session.verbose else None,
        revive=lambda: _lease(session, directory),
    )


def data_dir(session: Session) -> Path:
    """The embedded server's directory: as set, else `.tm` at the root of the project.

    Raises ConfigurationError when a project file sets one that is not in the project: `tm` writes
    there, and a history elsewhere is not the project's.
    """
    chosen = session.settings["data_dir"]
    if chosen.value is None:
        return project_root(session.context.cwd) / DATA_DIR
    try:
        directory = session.context.cwd / Path(chosen.value).expanduser()
    except RuntimeError:
        raise ConfigurationError(
            f"{chosen.origin} names the data directory {chosen.value}, which is in the home of a "
            "user who does not exist"
        ) from None
    if chosen.origin.source is Source.PROJECT:
        project = Path(chosen.origin.place).parent
        if not directory.resolve().is_relative_to(project.resolve()):
            raise ConfigurationError(
                f"{chosen.origin.place} sets data_dir to {chosen.value}, which is not in "
                "the project",
                hint="set it in your own file, or as TM_DATA_DIR",
            )
    return directory
