"""Commits under test: built and served in work trees of their own, by commands of the user."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tm_cli.bisect.repository import Commit, Repository
from tm_cli.errors import TmError
from tm_cli.runtime.clock import Clock
from tm_cli.runtime.subprocesses import describe_exit, last_lines, shell_command
from tm_cli.values.durations import format_duration

LOOK_EVERY = 0.1
PATIENCE = 5.0
"""Seconds that a service has to end by itself."""

MOST_WORK_TREES = 4
PORT_ATTEMPTS = 2  # another process may take a free port before the service does
MARK = "TM_BISECT_ID"
"""The variable by which processes are known that a killed tm has left behind."""

_OWN_PREFIXES = ("TM_", "RUNLOOP_", "STRAIT_")
_OF_A_HOOK = frozenset(
    {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX"}
)


class Process(Protocol):
    """A command that is running."""

    def poll(self) -> int | None:
        """Return its exit code, None while it runs."""
        ...

    def end(self, patience: float) -> None:
        """End it and all its children."""
        ...


class Untestable(TmError):
    """A commit cannot be built or served; `log` is what its commands have written."""

    def __init__(self, commit: Commit, what: str, log: Path) -> None:
        super().__init__(f"{commit.short} {what}")
        self.commit, self.what, self.log = commit, what, log

    def last_lines(self) -> list[str]:
        """Return how the log ends."""
        return last_lines(self.log)


@dataclass(frozen=True, slots=True)
class ServiceCommands:
    """How a commit is built and served; both are read by the shell. Times in seconds."""

    build: str | None
    serve: str
    build_timeout: float
    start_timeout: float


@dataclass(frozen=True, slots=True)
class Served:
    """A service that listens at `origin`."""

    commit: Commit
    origin: str
    log: Path
    process: Process

    def require_running(self) -> None:
        """Raise Untestable if it has ended."""
        if (code := self.process.poll()) is not None:
            raise Untestable(self.commit, f"stopped serving: {describe_exit(code)}", self.log)


@dataclass(slots=True)
class CommitBuilds:
    """Work trees in `directory`, and what was built in them; `environ` has no key of the caller."""

    repository: Repository
    commands: ServiceCommands
    directory: Path
    logs: Path
    environ: Mapping[str, str]
    spawn: Callable[..., Process]
    start_service: Callable[..., Process]
    clock: Clock
    note: Callable[[str], None]
    _built: dict[str, Path] = field(default_factory=dict)

    def build(self, commit: Commit, *, keep: str) -> Path:
        """Return the work tree in which the commit is built; that of `keep` is never dropped.

        Raises Untestable.
        """
        if commit.id in self._built:
            return self._built[commit.id]
        while len(self._built) >= MOST_WORK_TREES:
            oldest = next(name for name in self._built if name != keep)
            self.repository.remove_work_tree(self._built.pop(oldest))
        place = self.directory / commit.short
        self.repository.remove_work_tree(place)
        self.repository.add_work_tree(place, commit.id)
        if self.commands.build is not None:
            self.note(f"tm: building {commit}")
            self._run_build(self.commands.build, commit, place)
        self._built[commit.id] = place
        return place

    def _run_build(self, command: str, commit: Commit, place: Path) -> None:
        log = self._log(commit, "build")
        process = self._start(self.spawn, command, commit, place, log)
        deadline = self.clock.monotonic() + self.commands.build_timeout
        try:
            while (code := process.poll()) is None:
                if self.clock.monotonic() >= deadline:
                    limit = format_duration(self.commands.build_timeout)
                    raise Untestable(commit, f"was not built within {limit}", log)
                self.clock.sleep(LOOK_EVERY)
        finally:
            process.end(PATIENCE)
        if code:
            raise Untestable(commit, f"does not build: {describe_exit(code)}", log)

    @contextmanager
    def serve(self, commit: Commit, *, keep: str) -> Iterator[Served]:
        """Build and serve a commit until the block is left; raises Untestable."""
        place = self.build(commit, keep=keep)
        log = self._log(commit, "serve")
        for attempt in range(PORT_ATTEMPTS):
            port = free_port()
            variables = {"PORT": str(port), "TM_PORT": str(port)}
            start, command = self.start_service, self.commands.serve
            process = self._start(start, command, commit, place, log, **variables)
            try:
                host = self._await(process, commit, port, log, may_retry=attempt == 0)
                if host is not None:
                    yield Served(commit, f"http://{host}:{port}", log, process)
                    return
            finally:
                process.end(PATIENCE)

    def _await(
        self, process: Process, commit: Commit, port: int, log: Path, *, may_retry: bool
    ) -> str | None:
        """Return the host at which it listens; None if it has ended and another port may help."""
        deadline = self.clock.monotonic() + self.commands.start_timeout
        while True:
            if (code := process.poll()) is not None:
                if may_retry:
                    return None
                raise Untestable(commit, f"does not serve: {describe_exit(code)}", log)
            if (host := listening_host(port)) is not None:
                return host
            if self.clock.monotonic() >= deadline:
                limit = format_duration(self.commands.start_timeout)
                what = f"does not serve: nothing listened at the port in PORT ({port}) for {limit}"
                raise Untestable(commit, what, log)
            self.clock.sleep(LOOK_EVERY)

    def _start(
        self,
        start: Callable[..., Process],
        command: str,
        commit: Commit,
        place: Path,
        log: Path,
        **variables: str,
    ) -> Process:
        environ = {**self.environ, "TM_COMMIT": commit.id, **variables}
        try:
            return start(shell_command(command, environ), environ, directory=place, output=log)
        except OSError as problem:
            raise TmError(f"the shell cannot be run: {problem.strerror}") from None

    def _log(self, commit: Commit, what: str) -> Path:
        self.logs.mkdir(parents=True, exist_ok=True)
        log = self.logs / f"{commit.short}-{what}.log"
        log.write_bytes(b"")
        return log

    def close(self) -> None:
        """Remove all work trees."""
        for place in self._built.values():
            self.repository.remove_work_tree(place)
        self._built.clear()
        remove_directory(self.repository, self.directory)


def remove_directory(repository: Repository, directory: Path) -> None:
    """Remove a directory of work trees, also one that a killed tm has left behind."""
    for place in directory.iterdir() if directory.is_dir() else ():
        repository.remove_work_tree(place)
    with suppress(OSError):
        directory.rmdir()


def environment(environ: Mapping[str, str], mark: str) -> dict[str, str]:
    """Return the user's environment for a build: without variables of tm, which may be keys, and
    without those that make git work on another work tree.
    """
    kept = {
        name: value
        for name, value in environ.items()
        if not name.upper().startswith(_OWN_PREFIXES) and name not in _OF_A_HOOK
    }
    return {**kept, MARK: mark}


def end_leftovers(mark: str) -> None:
    """End the processes of a bisection whose tm was killed, where the system shows them."""
    if not sys.platform.startswith("linux") or not mark:
        return
    wanted = f"{MARK}={mark}".encode()
    for entry in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if wanted in entry.read_bytes().split(b"\0"):
                os.kill(int(entry.parent.name), signal.SIGKILL)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def listening_host(port: int) -> str | None:
    """Return the loopback address at which something listens."""
    for host in ("127.0.0.1", "::1"):
        with suppress(OSError), socket.create_connection((host, port), timeout=1.0):
            return f"[{host}]" if ":" in host else host
    return None
