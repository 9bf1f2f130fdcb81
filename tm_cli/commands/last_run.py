"""What was started last in a project, so that `tm runs wait --last` finds it after a crash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tm_cli.commands.session import Session
from tm_cli.errors import ConfigurationError, StartUnknown
from tm_cli.settings import project_root
from tm_cli.text import clean
from tm_cli.whole_files import write_whole


@dataclass(frozen=True, slots=True)
class StartedRun:
    """A run that this project started, and the server it runs on: an address or `local`.

    `run_id` is empty while it is not known whether and as what the run was started. `details` is
    what the system needs beside it to judge the run later.
    """

    system: str
    server: str
    subject_id: int | str
    run_id: str
    subject: str
    details: dict[str, Any] = field(default_factory=dict)


class LastStart:
    """What `--last` finds, kept up to date while a call starts its runs.

    It is written before the first start is sent: after a crash, a refusal or an answer that was
    lost, the runs of an earlier call must not pass for those of this one.
    """

    def __init__(self, session: Session, entries: Sequence[StartedRun]) -> None:
        self._session = session
        self._entries = list(entries)
        self._path = _path(session)
        self._write()

    def note(self, position: int, entry: StartedRun) -> None:
        """Remember a run that has been started."""
        self._entries[position] = entry
        self._write()

    def _write(self) -> None:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(self._path, json.dumps([asdict(entry) for entry in self._entries]))
        except OSError as problem:
            with suppress(OSError):
                self._path.unlink()
            self._session.note(
                f"tm: this run is not remembered for --last ({problem.strerror}: {self._path})"
            )


def recall(session: Session) -> list[StartedRun]:
    """Return what was started last.

    Raises ConfigurationError when nothing usable is there, and StartUnknown when it is not known
    which runs the last start has made.
    """
    path = _path(session)
    try:
        found = _read_all(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ConfigurationError(
            "nothing has been started in this project yet", hint="start a run first, or name one"
        ) from None
    except (OSError, RecursionError, ValueError) as problem:
        raise ConfigurationError(f"cannot read {path}: {clean(problem)}") from None
    if unknown := [clean(entry.subject) for entry in found if not entry.run_id]:
        known = [f"{clean(run.subject)} {clean(run.run_id)}" for run in found if run.run_id]
        raise StartUnknown(
            f"the last start of {', '.join(unknown)} has no run that is known here",
            hint="look at the server, and wait for a run by its id"
            + (f"; known are: {', '.join(known)}" if known else ""),
        )
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
    texts = (found.system, found.server, found.subject)
    if not all(isinstance(text, str) and text for text in texts):
        raise ValueError("a text is missing")
    if not isinstance(found.run_id, str):
        raise ValueError("the run is not named by a text")
    if type(found.subject_id) not in (int, str) or not isinstance(found.details, dict):
        raise ValueError("what it was started from is missing")
    return found


def _path(session: Session) -> Path:
    project = str(project_root(session.context.cwd)).encode("utf-8", "surrogateescape")
    name = hashlib.sha256(project).hexdigest()[:16]
    return session.context.find_state_dir() / "last" / f"{name}.json"
