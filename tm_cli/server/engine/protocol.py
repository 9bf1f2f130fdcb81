"""The engine's protocol: JSON lines that never delay the load, and patience without a master."""

import json
import logging
import os
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Protocol, Self

import gevent
from gevent.queue import SimpleQueue
from gevent.threadpool import ThreadPool
from pydantic import AllowInfNan, BaseModel, Field, ValidationError, model_validator

from tm_cli.server.engine.schedule import Share

_LOG = logging.getLogger(__name__)


class ShareChange(BaseModel):
    """From a second of the curve on, another share is this worker's."""

    index: int
    count: int
    second: Annotated[float, Field(alias="from", ge=0), AllowInfNan(False)]

    @property
    def share(self) -> Share:
        return Share(self.index, self.count)

    @model_validator(mode="after")
    def _is_a_share(self) -> Self:
        Share(self.index, self.count)
        return self


class EarlyEnd(BaseModel):
    """The curve ends at this second instead."""

    second: Annotated[float, Field(alias="at", ge=0), AllowInfNan(False)]


class RenewedValues(BaseModel):
    """Other values of the job's tokens."""

    values: dict[str, str]


class Controllable(Protocol):
    """What can be commanded."""

    def go(self) -> None: ...
    def share(self, share: Share, second: float) -> None: ...
    def finish(self, second: float) -> None: ...
    def renew(self, values: dict[str, str]) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def stop(self) -> None: ...
    def abort(self) -> None: ...


def execute_commands(lines: Iterator[bytes], load_test: Controllable) -> None:
    """Execute commands until the input ends or breaks; then the server is gone, so abort."""
    try:
        for line in lines:
            if not carry_out(_object(line) or {}, load_test):
                _LOG.warning("ignored a line that is not a known command")
    finally:
        load_test.abort()


def carry_out(message: dict[str, object], load_test: Controllable) -> bool:
    """Whether the message was a command."""
    simple = {
        "go": load_test.go,
        "pause": load_test.pause,
        "resume": load_test.resume,
        "stop": load_test.stop,
    }
    name = message.get("command")
    try:
        if name == "share":
            change = ShareChange.model_validate(message)
            load_test.share(change.share, change.second)
            return True
        if name == "finish":
            load_test.finish(EarlyEnd.model_validate(message).second)
            return True
        if name == "renew":
            load_test.renew(RenewedValues.model_validate(message).values)
            return True
    except ValidationError:
        return False
    if not isinstance(name, str) or name not in simple:
        return False
    simple[name]()
    return True


def _object(line: bytes) -> dict[str, object] | None:
    try:
        document = json.loads(line)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


_CHUNK = 64 * 1024


def read_lines(descriptor: int) -> Iterator[bytes]:
    """The lines of a pipe until its end; only the greenlet that asks has to wait.

    A thread does the reading: gevent can wait for pipes itself, but not on Windows.
    """
    thread = ThreadPool(1)
    rest = b""
    while chunk := thread.apply(os.read, (descriptor, _CHUNK)):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    if rest:
        yield rest


class Events(Protocol):
    """Where a load test says what happens."""

    def write(self, event: str, **fields: Any) -> None: ...


class EventWriter:
    """Writes events to a pipe, one line each, in order, from a thread.

    A slow or missing reader delays no request.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._thread = ThreadPool(1)
        self._lines: SimpleQueue[bytes | None] = SimpleQueue()
        self._greenlet = gevent.spawn(self._write_all)

    def write(self, event: str, **fields: Any) -> None:
        line = json.dumps({"event": event, **fields}, allow_nan=False)
        self._lines.put(line.encode() + b"\n")

    def close(self, timeout: float) -> None:
        """Wait up to `timeout` seconds until everything is written."""
        self._lines.put(None)
        self._greenlet.join(timeout)

    def _write_all(self) -> None:
        while (line := self._lines.get()) is not None:
            if not self._thread.apply(_write, (self._descriptor, line)):
                return  # the reader is gone; the end of standard input will follow


def _write(descriptor: int, line: bytes) -> bool:
    """Whether all of `line` was written; an exception would be printed by the thread pool."""
    try:
        while line:
            line = line[os.write(descriptor, line) :]
    except OSError:
        return False
    return True


class Patience:
    """Over for good once nothing was heard for `limit` seconds, even if something is heard later.

    A process that was frozen finds old messages when it wakes up, and its share is others' by then.
    """

    def __init__(self, limit: float, monotonic: Callable[[], float]) -> None:
        self._limit = limit
        self._monotonic = monotonic
        self._heard_at = monotonic()
        self._is_over = False

    def heard(self) -> None:
        now = self._monotonic()
        if self.lasts(now):
            self._heard_at = now

    def restart(self) -> None:
        """Begin again, which only those may who have no share yet."""
        self._heard_at, self._is_over = self._monotonic(), False

    def lasts(self, now: float) -> bool:
        """Whether it is not over yet; `now` is by the same clock."""
        self._is_over = self._is_over or now - self._heard_at > self._limit
        return not self._is_over
