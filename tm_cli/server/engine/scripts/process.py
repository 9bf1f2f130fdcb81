"""The process of the response script, seen from the load generator."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from gevent import Timeout, subprocess
from gevent.threadpool import ThreadPool

from tm_cli.runtime import child_environment
from tm_cli.server.engine.protocol import read_lines, write_all


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
            creationflags=0x00000200 if sys.platform == "win32" else 0,
        )
        os.close(source)
        os.close(sink)
        self._lines = read_lines(answers)
        self._writer = ThreadPool(1)

    def exchange(self, message: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Send a line and return the answer; raises ScriptProcessFailed."""
        line = json.dumps(message).encode() + b"\n"
        try:
            with Timeout(seconds):
                self._writer.apply(write_all, (self._sink, line))
                answer = json.loads(next(self._lines))
        except (Timeout, StopIteration, ValueError) as error:
            self.kill()
            late = isinstance(error, Timeout)
            reason = f"no answer within {seconds:g} s" if late else "its process has ended"
            raise ScriptProcessFailed(reason) from None
        if not isinstance(answer, dict):
            self.kill()
            raise ScriptProcessFailed("its process has given no answer")
        return answer

    def kill(self) -> None:
        """End it; a second call changes nothing.

        The pipes stay open, because threads may still be reading and writing.
        """
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
