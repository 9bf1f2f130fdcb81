"""Embedded servers that stay up between calls."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from tm_cli.embedded import EmbeddedServer


class KeptServers:
    """Launches embedded servers and holds a lease of its own on each until it is closed."""

    def __init__(self, launch: Callable[[Path], EmbeddedServer]) -> None:
        self._launch = launch
        self._lock = threading.Lock()
        self._held: dict[Path, EmbeddedServer] = {}

    def launch(self, data_dir: Path) -> EmbeddedServer:
        """Return the running server of `data_dir`; closing it gives the caller's lease back."""
        with self._lock:  # two calls at once must not start two
            found = self._launch(data_dir)
            held = self._held.get(data_dir)
            if held is None or held.pid != found.pid:
                self._held[data_dir] = self._launch(data_dir)
                if held is not None:
                    held.close()
            return found

    def close(self) -> None:
        """Give all leases back; a run that goes on is played to its end."""
        with self._lock:
            for server in self._held.values():
                server.close()
            self._held.clear()
