"""The demo: a service with an adjustable delay, and the runs against it."""

from __future__ import annotations

import asyncio
import hashlib
import re
import shlex
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Self

from tm_cli.exit_codes import ExitCode
from tm_cli.runtime import child_environment, ci_platform

_LENGTH = re.compile(rb"content-length:\s*(\d+)", re.IGNORECASE)
_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n"
    b'{"order": 4711}'
)


class DemoService:
    """An HTTP service on a free port of this machine, in a thread of its own."""

    def __init__(self, *, delay: float, rounds: int = 0) -> None:
        """Answer each request `delay` seconds after it has arrived, and `rounds` of a hash."""
        self.delay = delay
        self.rounds = rounds
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_error: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request after the other until the client leaves."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if length := _LENGTH.search(head):
                    await reader.readexactly(int(length[1]))
                await asyncio.sleep(self.delay)
                if self.rounds:
                    hashlib.pbkdf2_hmac("sha256", b"work", b"", self.rounds)
                writer.write(_ANSWER)
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()


DOCUMENT = "checkout.yaml"
PLACEHOLDER = "http://localhost:8080"
USUAL_DELAY = 0.100
SLOWER_DELAY = 0.180
"""Seconds; far enough apart that the noise of a busy machine cannot blur the difference."""

ATTEMPTS = 3
DISTURBED = (ExitCode.OK, ExitCode.WARN, ExitCode.FAIL)
"""What a step may end with because of other work on the machine; anything else is not retried."""

GATE = f"tm runs start {DOCUMENT} --wait --fail-on FAIL,WARN"


@dataclass(frozen=True, slots=True)
class DemoStep:
    """A line of text, the service's delay in seconds, the command and its exit code."""

    text: str
    delay: float
    command: str
    expected: ExitCode


STEPS = (
    DemoStep(
        "A first run: there is nothing to compare it with, and the gate lets that pass.",
        USUAL_DELAY,
        GATE,
        ExitCode.OK,
    ),
    DemoStep(
        "The same again: nothing has changed, the gate passes.", USUAL_DELAY, GATE, ExitCode.OK
    ),
    DemoStep(
        f"Now the service takes {SLOWER_DELAY * 1000:.0f} ms instead of "
        f"{USUAL_DELAY * 1000:.0f} ms: the gate fails.",
        SLOWER_DELAY,
        GATE,
        ExitCode.FAIL,
    ),
    DemoStep("All of it is in the history.", USUAL_DELAY, "tm history list", ExitCode.OK),
)


def run(directory: Path, environ: Mapping[str, str], write: Callable[[str], None]) -> bool:
    """Run every step in `directory`; True if each returned the expected exit code."""
    with DemoService(delay=USUAL_DELAY) as target:
        document = directory / DOCUMENT
        document.write_text(_example().replace(PLACEHOLDER, target.url), encoding="utf-8")
        (directory / "tm.toml").touch()  # so that none further up counts
        write(f"A small service listens at {target.url}; {DOCUMENT} describes a load test of it.")
        return all(run_step(step, target, directory, environ, write) for step in STEPS)


def run_step(
    step: DemoStep,
    target: DemoService,
    directory: Path,
    environ: Mapping[str, str],
    write: Callable[[str], None],
) -> bool:
    """Run a step, with retries; True if it returned the expected exit code."""
    target.delay = step.delay
    write(f"\n{step.text}")
    for attempt in range(1, ATTEMPTS + 1):
        code = _exit_code(step, directory, environ, write)
        if code == step.expected:
            write(f"exit code {code}")
            return True
        write(f"exit code {code}, but it should be {int(step.expected)}")
        if code not in DISTURBED:
            return False
        if attempt < ATTEMPTS:
            write("\nOther work on this machine can disturb a short load test: trying once more.")
    return False


def _exit_code(
    step: DemoStep, directory: Path, environ: Mapping[str, str], write: Callable[[str], None]
) -> int:
    write(f"$ {step.command}")
    return subprocess.call(  # noqa: S603
        [*child_environment.command("tm_cli"), *shlex.split(step.command)[1:]],
        cwd=directory,
        env=child_environment.environment(
            environ,
            (*child_environment.TERMINAL, *child_environment.OWNERS, *ci_platform.VARIABLES),
        )
        | {"TM_BASE_URL": "local"},
    )


def _example() -> str:
    """The document from `examples/`, which an installed package carries inside."""
    inside = resources.files("tm_cli") / "examples" / DOCUMENT
    if inside.is_file():
        return inside.read_text(encoding="utf-8")
    checkout = Path(__file__).resolve().parents[2] / "examples" / DOCUMENT
    return checkout.read_text(encoding="utf-8")
