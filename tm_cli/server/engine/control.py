"""From the lines on standard input to the job and to commands."""

import json
import logging
from collections.abc import Iterator
from typing import Annotated, Protocol, Self

from pydantic import AllowInfNan, BaseModel, Field, ValidationError, model_validator

from tm_cli.server.engine.job import EngineJob, JobError
from tm_cli.server.engine.plan import Share

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


class Controllable(Protocol):
    """What can be commanded."""

    def go(self) -> None: ...
    def share(self, share: Share, second: float) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def stop(self) -> None: ...
    def abort(self) -> None: ...


def read_job(lines: Iterator[bytes]) -> EngineJob:
    """The job of the first line; JobError if there is none or it is invalid."""
    line = next(lines, None)
    if line is None:
        raise JobError("standard input ended before the job came")
    return EngineJob.from_line(line)


def execute_commands(lines: Iterator[bytes], load_test: Controllable) -> None:
    """Execute commands until the input ends or breaks; then the server is gone, so abort."""
    try:
        for line in lines:
            if not _carry_out(_object(line) or {}, load_test):
                _LOG.warning("ignored a line that is no known command")
    finally:
        load_test.abort()


def _carry_out(message: dict[str, object], load_test: Controllable) -> bool:
    """Whether the message was a command."""
    simple = {
        "go": load_test.go,
        "pause": load_test.pause,
        "resume": load_test.resume,
        "stop": load_test.stop,
        "alive": _nothing,
    }
    name = message.get("command")
    if name == "share":
        try:
            change = ShareChange.model_validate(message)
        except ValidationError:
            return False
        load_test.share(change.share, change.second)
        return True
    if not isinstance(name, str) or name not in simple:
        return False
    simple[name]()
    return True


def _nothing() -> None:
    """`alive` only resets the watchdog."""


def _object(line: bytes) -> dict[str, object] | None:
    try:
        document = json.loads(line)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
