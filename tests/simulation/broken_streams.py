"""Calls of tm with a standard stream that is broken: forks of one process that has imported tm.

As a program it reads a list of calls from standard input and prints how each of them ended.
"""

from __future__ import annotations

import fcntl
import gc
import io
import json
import os
import pty
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.simulation.zygote import _text_to
from tm_cli.cli.root import root_command
from tm_cli.main import run

AT_ONCE = 4
LONGEST = 20
"""Seconds; then a call is killed, which no exit code of the table looks like."""
FILLER = b"." * 4096
KINDS = ("full device", "reader gone", "full pipe", "closed", "terminal gone")


@dataclass(frozen=True)
class Call:
    """What is called, and which stream of it is broken how.

    With `skips_teardown`, Python's last flush is done by hand and all else that it does at its
    end is left out, which halves the time.
    """

    argv: tuple[str, ...]
    stream: int
    kind: str
    skips_teardown: bool = False


@dataclass(frozen=True)
class End:
    """How a call ended: its exit code, negative for a signal, and what each stream received."""

    code: int
    out: str
    err: str


def end_of_each(calls: Sequence[Call], cwd: Path, environ: dict[str, str]) -> list[End]:
    """Make all the calls."""
    roots = [str(path) for path in Path(__file__).parents[1:3]]
    done = subprocess.run(
        [sys.executable, __file__],
        input=json.dumps([asdict(call) for call in calls]),
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(roots), **environ},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return [End(**end) for end in json.loads(done.stdout)]


def broken(kind: str) -> tuple[int | None, int | None]:
    """Return the descriptor to write to, and the one that reads it slowly."""
    if kind == "full device":
        return os.open("/dev/full", os.O_WRONLY), None
    if kind == "closed":
        return None, None
    reader, writer = pty.openpty() if kind == "terminal gone" else os.pipe()
    if kind == "full pipe":
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, len(FILLER))
        os.set_blocking(writer, False)
        os.write(writer, FILLER)
        return writer, reader
    os.close(reader)
    return writer, None


@dataclass
class _Running:
    pid: int
    stream: int
    reader: int | None
    file: Any

    def end(self) -> End:
        said = b""
        if self.reader is not None:
            while piece := os.read(self.reader, 512):
                said += piece
            os.close(self.reader)
        _, status = os.waitpid(self.pid, 0)
        self.file.seek(0)
        texts = [said.removeprefix(FILLER).decode(), self.file.read().decode()]
        self.file.close()
        return End(os.waitstatus_to_exitcode(status), *(texts if self.stream == 1 else texts[::-1]))


def _start(call: dict[str, Any]) -> _Running | None:
    """Fork a call; return None in the fork."""
    stream = call["stream"]
    writer, reader = broken(call["kind"])
    file = tempfile.TemporaryFile()  # noqa: SIM115
    if pid := os.fork():
        if writer is not None:
            os.close(writer)
        return _Running(pid, stream, reader, file)
    signal.alarm(LONGEST)
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(file.fileno(), 3 - stream)
    if reader is not None:
        os.close(reader)
    if writer is not None:
        os.dup2(writer, stream)
        os.close(writer)
    else:
        os.close(stream)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout, sys.stderr = (
        None if writer is None and number == stream else _text_to(number, errors)
        for number, errors in ((1, "strict"), (2, "backslashreplace"))
    )
    sys.argv = ["tm", *call["argv"]]
    return None


def _run(*, skips_teardown: bool) -> None:
    try:
        run()
    except SystemExit as end:
        if not skips_teardown:
            raise
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except OSError:
            os._exit(120)
        os._exit(int(end.code or 0))


def main() -> None:
    """Make the calls of standard input, some at a time."""
    calls = json.load(sys.stdin)
    import_everything()
    gc.freeze()
    ends = []
    for first in range(0, len(calls), AT_ONCE):
        batch = []
        for call in calls[first : first + AT_ONCE]:
            running = _start(call)
            if running is None:
                return _run(skips_teardown=call["skips_teardown"])
            batch.append(running)
        ends += [asdict(running.end()) for running in batch]
    json.dump(ends, sys.stdout)
    return None


def import_everything() -> None:
    """Import every command, and what only some calls import."""
    for name in ("rich.live", "httpx2", "yaml"):
        __import__(name)
    names_of_commands()
    with redirect_stdout(io.StringIO()):
        root_command()(["--help"], standalone_mode=False)


def names_of_commands() -> list[tuple[str, ...]]:
    """The words of every command and group, as tm's own tree has them."""

    def walk(words: tuple[str, ...], node: Any) -> list[tuple[str, ...]]:
        inner = getattr(node, "commands", {})
        return [words] + [found for name in inner for found in walk((*words, name), inner[name])]

    return walk((), root_command())


if __name__ == "__main__":
    main()
