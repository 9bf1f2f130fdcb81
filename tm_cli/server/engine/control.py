"""From the lines on standard input to the job and to commands."""

import json
import logging
from collections.abc import Iterator
from typing import Protocol

from tm_cli.server.engine.job import Job, JobError

_LOG = logging.getLogger(__name__)


class Steered(Protocol):
    """What can be commanded."""

    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def stop(self) -> None: ...
    def abort(self) -> None: ...


def read_job(lines: Iterator[bytes]) -> Job:
    """The job of the first line; JobError if there is none or it is invalid."""
    line = next(lines, None)
    if line is None:
        raise JobError("standard input ended before the job came")
    document = _object(line)
    if document is None or "job" not in document:
        raise JobError("the first line is not a JSON object with a job")
    return Job.parse(document["job"])


def obey(lines: Iterator[bytes], load_test: Steered) -> None:
    """Carry out commands until the input ends or breaks: then nobody is in charge, so abort."""
    commands = {
        "pause": load_test.pause,
        "resume": load_test.resume,
        "stop": load_test.stop,
    }
    try:
        for line in lines:
            name = (_object(line) or {}).get("command")
            command = commands.get(name) if isinstance(name, str) else None
            if command is None:
                _LOG.warning("ignored a line that is no known command")
            else:
                command()
    finally:
        load_test.abort()


def _object(line: bytes) -> dict[str, object] | None:
    try:
        document = json.loads(line)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
