"""What was started last in a project, so that `tm runs wait --last` finds it after a crash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tm_cli.commands.session import Session
from tm_cli.errors import ConfigurationError
from tm_cli.settings import project_root
from tm_cli.text import clean
from tm_cli.whole_files import write_whole


@dataclass(frozen=True, slots=True)
class StartedRun:
    """A run that this project started, and the server it runs on: an address or `local`.

    `details` is what the system needs beside it to judge the run later.
    """

    system: str
    server: str
    subject_id: int | str
    run_id: str
    subject: str
    details: dict[str, Any] = field(default_factory=dict)


def remember(session: Session, runs: Sequence[StartedRun]) -> None:
    """Write down what has been started; a failure is told and changes nothing."""
    path = _path(session)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, json.dumps([asdict(run) for run in runs]))
    except OSError as problem:
        session.note(f"tm: this run is not remembered for --last ({problem.strerror}: {path})")


def recall(session: Session) -> list[StartedRun]:
    """Return what was started last; raises ConfigurationError when nothing usable is there."""
    path = _path(session)
    try:
        found = _read_all(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ConfigurationError(
            "nothing has been started in this project yet", hint="start a run first, or name one"
        ) from None
    except (OSError, RecursionError, ValueError) as problem:
        raise ConfigurationError(f"cannot read {path}: {clean(problem)}") from None
    return found


def _read_all(document: Any) -> list[StartedRun]:
    """Return what was remembered of one start; raises ValueError for anything else."""
    try:
        found = [_read(entry) for entry in document]
    except TypeError:
        raise ValueError("it is not what tm writes there") from None
    if len({entry.system for entry in found}) != 1:
        raise ValueError("it is not of one start")
    return found


def _read(entry: Mapping[str, Any]) -> StartedRun:
    """Return what was remembered of one run; raises TypeError or ValueError for anything else."""
    found = StartedRun(**entry)
    texts = (found.system, found.server, found.run_id, found.subject)
    if not all(isinstance(text, str) and text for text in texts):
        raise ValueError("a text is missing")
    if type(found.subject_id) not in (int, str) or not isinstance(found.details, dict):
        raise ValueError("what it was started from is missing")
    return found


def _path(session: Session) -> Path:
    project = str(project_root(session.context.cwd)).encode("utf-8", "surrogateescape")
    name = hashlib.sha256(project).hexdigest()[:16]
    return session.context.find_state_dir() / "last" / f"{name}.json"
