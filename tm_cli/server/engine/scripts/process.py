"""The process of the response script, seen from the load generator."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from gevent import Timeout, subprocess
from gevent import os as gevent_os

from tm_cli.runtime import child_environment

if sys.platform == "win32":  # where gevent cannot wait for pipes but in threads
    _read, _write = gevent_os.tp_read, gevent_os.tp_write
else:  # a thread that is held back on a busy machine would hold back all requests
    _read, _write = gevent_os.nb_read, gevent_os.nb_write
_CHUNK = 64 * 1024


class ScriptProcessFailed(Exception):
    """It did not answer in time, or has ended; it is gone now."""


class ScriptProcess:
    """A running sandbox (`tm_cli.server.sandbox`), which ends when this process does."""

    def __init__(self) -> None:
        source, self._sink = os.pipe()
        answers, sink = os.pipe()
        self._process = subprocess.Popen(
            child_environment.command("tm_cli.server.sandbox"),
            stdin=source,
            stdout=sink,
            env=child_environment.environment(os.environ),
            start_new_session=True,
            creationflags=child_environment.CREATION_FLAGS,
        )
        os.close(source)
        os.close(sink)
        self._source = answers
        if sys.platform != "win32":
            gevent_os.make_nonblocking(self._source)
            gevent_os.make_nonblocking(self._sink)

    def exchange(self, message: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Send a line and return the answer; raises ScriptProcessFailed."""
        line = json.dumps(message).encode() + b"\n"
        try:
            with Timeout(seconds):
                self._write_all(line)
                answer = json.loads(self._next_line())
        except (Timeout, OSError, ValueError) as error:
            self.kill()
            late = isinstance(error, Timeout)
            reason = f"no answer within {seconds:g} s" if late else "its process has ended"
            raise ScriptProcessFailed(reason) from None
        if not isinstance(answer, dict):
            self.kill()
            raise ScriptProcessFailed("its process has given no answer")
        return answer

    def _write_all(self, line: bytes) -> None:
        rest = memoryview(line)
        while rest:
            rest = rest[_write(self._sink, rest) :]

    def _next_line(self) -> bytearray:
        """The answer to the last line; what the end of the process cuts off cannot be read."""
        line = bytearray()
        while not line.endswith(b"\n") and (chunk := _read(self._source, _CHUNK)):
            line += chunk
        return line

    def kill(self) -> None:
        """End it; a second call changes nothing.

        The pipes stay open, because others may still be waiting for them.
        """
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
