"""tm as a child process, in a given environment but for tm's own variables."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

_LAST_LINES = 6
PIPELINE_FILES = (
    "GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STATE", "GITHUB_STEP_SUMMARY"
)  # fmt: skip


def environment(
    environ: Mapping[str, str], directory: Path, *, port: int, key: str
) -> dict[str, str]:
    """What tm gets: `environ` without its TM_* variables, and the server at `port`.

    Settings and memory of the user stay out of it, and so do the files in which a pipeline collects
    what a step writes. The timeouts end a child that hangs.
    """
    kept = {name: value for name, value in environ.items() if not name.upper().startswith("TM_")}
    files = {name: str(directory / name) for name in PIPELINE_FILES if name in kept}
    return (
        kept
        | files
        | {
            "TM_BASE_URL": f"http://127.0.0.1:{port}",
            "TM_API_KEY": key,
            "TM_CONFIG_DIR": str(directory / "config"),
            "TM_STATE_DIR": str(directory / "state"),
            "TM_TIMEOUT": "10s",
            "TM_WAIT_TIMEOUT": "30s",
            "TM_VERDICT_TIMEOUT": "10s",
        }
    )


@asynccontextmanager
async def child(
    words: Sequence[str], directory: Path, environ: Mapping[str, str]
) -> AsyncIterator[Process]:
    """Run a program in a process group of its own, which is gone afterwards."""
    process = await asyncio.create_subprocess_exec(
        *words,
        cwd=directory,
        env=environ,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        _end(process)
        await process.wait()


def _end(process: Process) -> None:
    """Kill what is left of the group: a shell may have gone before its child."""
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        elif process.returncode is None:
            process.kill()


def last_lines(stderr: bytes, key: str) -> tuple[str, ...]:
    text = stderr.decode("utf-8", "replace").replace(key, "***")
    return tuple(line for line in text.splitlines() if line.strip())[-_LAST_LINES:]
