"""Standard input line by line, so that waiting for the next one can be given up."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

from tm_cli.standard_streams import read_some

CHUNK = 65536


class StandardInput:
    """Lines of a descriptor, read in a thread that nobody has to wait for.

    A buffered reader would do neither: its lock, held by a blocked thread, lets Python abort at
    its end.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, name="standard input", daemon=True).start()

    def _read(self) -> None:
        rest = b""
        with suppress(RuntimeError):  # the loop is closed
            with suppress(OSError):
                while chunk := read_some(self._descriptor, CHUNK):
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        self._loop.call_soon_threadsafe(self._lines.put_nowait, line)
            self._loop.call_soon_threadsafe(self._lines.put_nowait, None)

    def __aiter__(self) -> StandardInput:
        return self

    async def __anext__(self) -> str:
        """Return the next line that is not empty."""
        while (line := await self._lines.get()) is not None:
            if line.strip():
                return line.decode("utf-8", "replace")
        raise StopAsyncIteration
