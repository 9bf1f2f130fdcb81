"""Commands of the user: each is a process group of its own, which ends as a whole."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tm_cli.runtime import supervisor
from tm_cli.values.text import sanitize

IS_WINDOWS = os.name == "nt"


def split_command(text: str) -> list[str]:
    """Return the words of a command line; no shell reads it, so that nothing is expanded.

    On Windows a backslash stands for itself. Raises ValueError for an open quote or no word.
    """
    lexer = shlex.shlex(text, posix=True, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.commenters = ""
    if IS_WINDOWS:
        lexer.escape = ""
    words = list(lexer)
    if not words:
        raise ValueError("it is empty")
    return words


def find_program(name: str, environ: Mapping[str, str]) -> str | None:
    """Return the path of a program, None when nothing of that name can be run."""
    return shutil.which(name, path=environ.get("PATH"))


def shell_command(text: str, environ: Mapping[str, str]) -> Sequence[str]:
    """Return the command line of the shell that reads `text` as the user wrote it."""
    if IS_WINDOWS:  # one string: the shell has rules of its own for quotes
        return f'"{_system(environ) / "cmd.exe"}" /d /s /c "{text}"'
    return ["/bin/sh", "-c", text]


def _system(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("SYSTEMROOT") or r"C:\Windows", "System32")


_running: set[SubprocessGroup] = set()


def kill_all() -> None:
    """End every group at once; for a process that ends without unwinding its stack."""
    for group in tuple(_running):
        group.kill()


class SubprocessGroup:
    """A running command; its input is empty, and both its streams go to our standard error or to
    the file `output`.
    """

    def __init__(
        self,
        words: Sequence[str],
        environ: Mapping[str, str],
        *,
        directory: Path | None = None,
        output: Path | None = None,
        is_captured: bool = False,
    ) -> None:
        """Start it in `directory`; raises OSError."""
        self._system = _system(environ)
        with suppress(OSError, ValueError):
            sys.stderr.flush()
        with output.open("a+b") if output else nullcontext(_standard_error()) as stream:
            self._process = self._start(
                words if isinstance(words, str) else list(words),
                env=dict(environ),
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if is_captured else stream,
                stderr=subprocess.PIPE if is_captured else stream,
                start_new_session=not IS_WINDOWS,
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
        _running.add(self)

    def _start(self, words: str | list[str], **options: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(words, **options)  # noqa: S603  # the user's own command

    def poll(self) -> int | None:
        """Return its exit code, negative for a signal; None while it runs."""
        return self._process.poll()

    def ask_to_end(self) -> None:
        """Send SIGTERM to the group, on Windows CTRL_BREAK; do nothing once it has ended."""
        if self._process.poll() is None:
            self._signal("SIGTERM", "CTRL_BREAK_EVENT")

    def end(self, patience: float) -> None:
        """Ask it to end, wait for `patience` seconds, and kill what is left of the group."""
        self.ask_to_end()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(patience)
        self.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(patience)

    def captured(self, patience: float, most: int) -> Captured:
        """Wait for the end of a captured command."""
        found: dict[str, bytes] = {}

        def read(name: str, stream: IO[bytes]) -> None:
            with stream, suppress(OSError, ValueError):
                found[name] = stream.read(most)

        streams = {"output": self._process.stdout, "errors": self._process.stderr}
        readers = [
            threading.Thread(target=read, args=(name, stream), daemon=True)
            for name, stream in streams.items()
            if stream is not None
        ]
        for reader in readers:
            reader.start()
        code: int | None = None
        with suppress(subprocess.TimeoutExpired):
            code = self._process.wait(patience)
        self.kill()  # what it has left behind would keep the streams open
        for reader in readers:
            reader.join(1.0)
        return Captured(code, found.get("output", b""), found.get("errors", b""))

    def kill(self) -> None:
        """End what is left of the group at once."""
        _running.discard(self)
        if IS_WINDOWS:
            self._kill_tree()
        else:
            self._signal("SIGKILL", "")

    def _signal(self, name: str, on_windows: str) -> None:
        with suppress(OSError):  # it is gone already
            if sys.platform == "win32":
                self._process.send_signal(getattr(signal, on_windows))
            else:
                os.killpg(self._process.pid, getattr(signal, name))

    def _kill_tree(self) -> None:
        if self._process.poll() is None:
            # Not by its name: on Windows a search begins in the working directory.
            words = [str(self._system / "taskkill.exe"), "/T", "/F", "/PID", str(self._process.pid)]
            with suppress(OSError, subprocess.TimeoutExpired):
                subprocess.run(words, capture_output=True, check=False, timeout=5)  # noqa: S603
            self._process.kill()


@dataclass(frozen=True, slots=True)
class Captured:
    """What a command has printed, and its exit code; None where it took too long."""

    code: int | None
    output: bytes
    errors: bytes


def capture(
    words: Sequence[str],
    environ: Mapping[str, str],
    *,
    directory: Path,
    patience: float,
    most: int,
) -> Captured:
    """Run a command for at most `patience` seconds, and return up to `most` bytes of each stream.

    Whatever ends the wait ends its whole group. Raises OSError where it cannot be started.
    """
    group = SubprocessGroup(words, environ, directory=directory, is_captured=True)
    try:
        return group.captured(patience, most)
    finally:
        group.kill()


class SupervisedGroup(SubprocessGroup):
    """A running command that ends with all processes it has started, and with us, also when we are
    killed; `log_limit` is how many bytes `output` may have, 0 for any number.

    Processes that have left the group are found on Linux, and on Windows those in its job. A
    command that ends with 0 and leaves processes there is still running.
    """

    def __init__(
        self,
        words: Sequence[str],
        environ: Mapping[str, str],
        *,
        log_limit: int = 0,
        directory: Path | None = None,
        output: Path | None = None,
    ) -> None:
        self._log_limit = log_limit
        super().__init__(words, environ, directory=directory, output=output)

    @property
    def pid(self) -> int:
        """The process below which the command and its processes are."""
        return self._process.pid

    def _start(self, words: str | list[str], **options: Any) -> subprocess.Popen[bytes]:
        if IS_WINDOWS:
            from tm_cli.runtime.windows_job import Job

            process = super()._start(words, **options)
            self._job = Job(int(getattr(process, "_handle", 0)))
            return process
        reading, writing = os.pipe()
        try:
            line = supervisor.start(_ROOT, writing, self._log_limit, words)
            own = {"stdin": subprocess.PIPE, "pass_fds": (writing,), "bufsize": 0}
            process = super()._start(line, **(options | own))
        finally:
            os.close(writing)
        try:
            with os.fdopen(reading, "rb") as pipe:
                problem = pipe.read()
        except BaseException:  # a signal, while the command may have been started
            self._process = process
            self.kill()
            raise
        if problem:
            process.communicate()
            raise OSError(int(problem), os.strerror(int(problem)), words[0])
        return process

    def ask_to_end(self) -> None:
        """Have all processes end, those that do not at once after some seconds."""
        if IS_WINDOWS:
            super().ask_to_end()
        else:
            self._tell(supervisor.PATIENCE)

    def end(self, patience: float) -> None:
        """Ask all processes to end, and kill after `patience` seconds those that have not."""
        if IS_WINDOWS:
            super().end(patience)
            return
        self._tell(patience)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(patience + supervisor.KILLING)
        self.kill()

    def kill(self) -> None:
        """End all processes at once."""
        _running.discard(self)
        if IS_WINDOWS:
            self._job.end()
            self._kill_tree()
            return
        if self._process.poll() is None:
            self._tell(0.0)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_KILL_TIME)
        if self._process.stdin is not None:
            self._process.stdin.close()

    def _tell(self, patience: float) -> None:
        with suppress(OSError, ValueError):  # it has ended
            if self._process.stdin is not None:
                self._process.stdin.write(b"%g\n" % patience)


_ROOT = str(Path(__file__).resolve().parents[2])
"""The directory, or archive, that tm is imported from."""

_KILL_TIME = 1.0

LAST_LINES = 8


def describe_exit(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def last_lines(log: Path, most: int = LAST_LINES) -> list[str]:
    """Return how the output of a command ends, fit to be shown."""
    with suppress(OSError), log.open("rb") as file:
        file.seek(max(log.stat().st_size - 20_000, 0))
        lines = file.read().decode("utf-8", "replace").splitlines()
        return [sanitize(line) for line in lines if line.strip()][-most:]
    return []


def _standard_error() -> int | None:
    """Our standard error as a file descriptor; None, to inherit it, where it has none."""
    with suppress(OSError, ValueError, AttributeError):
        return sys.stderr.fileno()
    return None
