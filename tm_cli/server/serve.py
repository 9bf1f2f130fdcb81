"""Starts the embedded server in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tm_cli.clock import SystemClock
from tm_cli.server.data_dir import DataDir, ServerInfo
from tm_cli.server.embedded_server import EmbeddedServer
from tm_cli.server.listener import open_listeners
from tm_cli.server.logs import log_to_stderr
from tm_cli.server.options import ServeOptions
from tm_cli.server.store.database import Database
from tm_cli.server.store.settings import SettingStore

__all__ = ["ServeOptions", "ServerInfo", "serve"]


def serve(
    options: ServeOptions,
    *,
    on_ready: Callable[[ServerInfo], None],
    stop: asyncio.Event | None = None,
) -> None:
    """Serve until a signal comes, the server is unused, or `stop` is set.

    `on_ready` is called once the server listens. Raises ConfigurationError when the port or the
    directory is taken, or when the database cannot be used.
    """
    log_to_stderr()
    data = DataDir(options.data_dir)
    with data.exclusive(), open_listeners(options) as endpoints:
        database = Database.open(data.database)
        try:
            key = data.key(SettingStore(database))
            server = EmbeddedServer(options, database, key, endpoints, SystemClock())
            asyncio.run(server.run(data, on_ready, stop or asyncio.Event()))
        finally:
            database.close()
