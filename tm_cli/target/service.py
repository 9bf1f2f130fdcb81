"""The service that a gate starts, waits for, and ends with all its processes."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from tm_cli.errors import TargetUntestable, UsageError
from tm_cli.runtime.clock import Clock
from tm_cli.runtime.subprocesses import describe_exit, last_lines
from tm_cli.values.durations import format_duration
from tm_cli.values.text import sanitize
from tm_cli.values.urls import port_of

LOOK_EVERY = 0.1
CONNECT_TIMEOUT = 1.0
PATIENCE = 5.0
"""Seconds that a service has to end by itself."""

READY_WAIT = 60.0
"""Seconds until a service must be ready, where nothing else is asked for."""

LARGEST_LOG = 16 * 1024 * 1024
MOST_LOGS = 10

_SECRETS = ("TM_API_KEY", "RUNLOOP_API_KEY", "STRAIT_API_KEY")


class Process(Protocol):
    """The command of a service, with all its processes."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None:
        """Return its exit code, None while it runs."""
        ...

    def end(self, patience: float) -> None:
        """End it and all its processes."""
        ...

    def kill(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where a target listens."""

    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Place:
        """Return the place of a URL; raises UsageError for one that has none."""
        try:
            parts = urlsplit(url)
            return cls(parts.hostname or "", port_of(parts))
        except ValueError:
            raise UsageError(f"the target {sanitize(url)} is no address") from None

    def answers(self) -> bool:
        """Whether anything accepts connections there."""
        with (
            suppress(OSError, UnicodeError),
            socket.create_connection((self.host, self.port), CONNECT_TIMEOUT),
        ):
            return True
        return False

    def __str__(self) -> str:
        return sanitize(
            f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
        )


class Service:
    """A running service; a thread of it notices at once when it ends by itself."""

    def __init__(self, process: Process, log: Path, *, named: str | None = None) -> None:
        self.process, self.log, self._named = process, log, named or str(log)
        self.ended_at: float | None = None
        self._code: int | None = None
        self._listeners: list[Callable[[], None]] = []
        self._is_over = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while not self._is_over.wait(LOOK_EVERY):
            if self.has_ended:
                for notify in self._listeners:
                    notify()
                return

    @property
    def has_ended(self) -> bool:
        """Whether it has ended by itself."""
        if self._code is None and (code := self.process.poll()) is not None:
            self._code, self.ended_at = code, time.monotonic()
        return self._code is not None

    def notify_on_end(self, notify: Callable[[], None]) -> None:
        """Call `notify`, from another thread, when it has ended by itself."""
        self._listeners.append(notify)

    def ended(self, when: str) -> TargetUntestable:
        """Return the error for a service that has ended by itself."""
        code = describe_exit(self._code or 0)
        return self._untestable(f"the service of --serve ended with {code} {when}")

    def _untestable(self, what: str) -> TargetUntestable:
        lines = last_lines(self.log, 1)
        ending = f" (its last line: {lines[0]})" if lines else ""
        return TargetUntestable(
            f"{what}; the target could not be tested{ending}",
            hint=f"its log is {sanitize(self._named)}",
        )

    def await_places(self, places: Sequence[Place], seconds: float, clock: Clock) -> None:
        """Return once something listens at each place; raises TargetUntestable."""
        deadline, missing = clock.monotonic() + seconds, list(places)
        while missing:
            if self.has_ended:
                raise self.ended("before it was ready")
            if missing[0].answers():
                del missing[0]
                continue
            if clock.monotonic() >= deadline:
                limit = format_duration(seconds)
                raise self._untestable(f"nothing listened at {missing[0]} within {limit}")
            clock.sleep(LOOK_EVERY)

    def end(self) -> None:
        """End it and all its processes, at once if a signal comes during that."""
        self._is_over.set()
        try:
            self.process.end(PATIENCE)
        except BaseException:
            self.process.kill()
            raise


def require_free(places: Sequence[Place]) -> None:
    """Raise TargetUntestable when a place is taken: another service would be tested."""
    for place in places:
        if place.answers():
            raise TargetUntestable(
                f"something listens at {place} already, before --serve has started anything; "
                "it would be tested instead",
                hint="end it, or let the service and the profile use another port",
            )


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the user's environment without keys of tm."""
    return {name: value for name, value in environ.items() if name.upper() not in _SECRETS}


def open_log(directory: Path, name: str) -> Path:
    """Create a log that is its owner's alone, and remove the oldest of too many; raises OSError."""
    logs = sorted(directory.glob("serve-*.log"), key=_age)
    for old in logs[: max(len(logs) - MOST_LOGS + 1, 0)]:
        with suppress(OSError):
            old.unlink()
    for number in range(1, 100):
        path = directory / (f"serve-{name}.log" if number == 1 else f"serve-{name}-{number}.log")
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            return path
    raise FileExistsError(17, "there are too many logs of this second", str(path))


def _age(path: Path) -> Any:
    with suppress(OSError):
        return path.stat().st_mtime
    return 0.0
