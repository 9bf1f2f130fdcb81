"""The process of a script: JSON lines in and out.

The first line opens the script, and the answer says whether it can be called. Each further line has
some `calls`, and the answer their `results`. During a call of a script that may `fetch`, a line
asks for a request, and the next line in is the answer to it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from typing import IO, Any

from tm_cli.server.sandbox.script import Script, ScriptError

_NICENESS = 10
"""The load must not wait for scripts where both share a core."""
_LONGEST_REQUEST = 1024 * 1024


class Pipe:
    """The lines of the process that has started this one."""

    def __init__(self, source: IO[bytes], sink: IO[bytes]) -> None:
        self._source, self._sink = source, sink
        self.may_fetch = False

    def read(self) -> dict[str, Any] | None:
        line = self._source.readline()
        return json.loads(line) if line else None

    def write(self, **message: object) -> None:
        self._sink.write(json.dumps(message).encode() + b"\n")
        self._sink.flush()

    def fetch(self, request: str) -> str:
        """Have a request sent; while the script is opened, the other process expects none."""
        if not self.may_fetch:
            return json.dumps({"error": "fetch: it is possible within the function only"})
        if len(request) > _LONGEST_REQUEST:
            return json.dumps({"error": f"fetch: a request of more than {_LONGEST_REQUEST} bytes"})
        self.write(fetch=json.loads(request))
        answer = self.read()
        if answer is None:  # the other process is gone
            os._exit(1)
        return json.dumps(answer)


def main() -> int:
    """Serve the calls of one script until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other process decides
    pipe = Pipe(sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb"))
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    _restrict()
    threading.Thread(target=_end_with, args=[os.getppid()], daemon=True).start()
    opening = pipe.read()
    if opening is None:
        return 1
    try:
        script = _opened(opening, pipe)
    except ScriptError as error:
        pipe.write(error=str(error))
        return 1
    pipe.write(ready=True, console=script.take_console())
    pipe.may_fetch = True
    while (message := pipe.read()) is not None:
        pipe.write(results=script.run(message["calls"]), console=script.take_console())
    return 0


def _opened(opening: dict[str, Any], pipe: Pipe) -> Script:
    """The first script; the others are only read. Raises ScriptError, which says in which one."""
    found = []
    for name, function, source in opening["scripts"]:
        try:
            script = Script(
                source,
                function,
                macros=opening["macros"],
                constants=opening["constants"],
                seconds=opening["seconds"],
                fetch=pipe.fetch if opening["fetch"] else None,
            )
        except ScriptError as error:
            raise ScriptError(f"{name}: {error}") from None
        found.append(script)
    return found[0]


def _restrict() -> None:
    """Leave the processor to the load, and no memory on disk."""
    if sys.platform == "win32":
        return
    import resource

    os.nice(_NICENESS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _end_with(parent: int) -> None:
    """End with the process that has started this one, even within a call that does not end."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
