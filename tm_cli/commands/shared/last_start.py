"""What was started last in a project, and its gate, for `wait --last`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from tm_cli.cli.session import CommandContext
from tm_cli.errors import ConfigurationError, StartUnknown, UsageError
from tm_cli.gate.checks import Condition
from tm_cli.gate.policy import Gate
from tm_cli.runtime.files import write_atomic
from tm_cli.settings import DEFINITIONS, project_root
from tm_cli.values.text import sanitize
from tm_cli.values.verdict import format_fail_on, parse_fail_on

KEY = "idempotency_key"
"""In the details of a run: what its trigger went out under."""


@dataclass(frozen=True, slots=True)
class RememberedRun:
    """A run that this project started, and the server it runs on: an address or `local`.

    `run_id` is empty while it is not known whether and as what the run was started. `details` is
    what the backend needs in addition to judge the run later; with a KEY, to find it.
    """

    system: str
    server: str
    subject_id: int | str
    run_id: str
    subject: str
    details: dict[str, Any] = field(default_factory=dict)


class LastStart:
    """The file that `--last` reads, kept up to date while a call starts its runs.

    It is written before the first start is sent: after a crash, a refusal or a lost answer, the
    runs of an earlier call must not pass for those of this one.
    """

    def __init__(self, session: CommandContext, entries: Sequence[RememberedRun]) -> None:
        self._session = session
        self._entries = list(entries)
        self._told = ""
        try:
            self._path: Path | None = _path(session)
        except ConfigurationError as problem:
            self._path = None
            session.note(f"tm: this run is not remembered for --last: {problem.message}")
        self._write()

    def begin(self, position: int, details: Mapping[str, Any]) -> None:
        """Remember what finds the run of a start that is about to be sent."""
        entry = self._entries[position]
        self._entries[position] = replace(entry, run_id="", details={**entry.details, **details})
        self._write()

    def note(self, position: int, run_id: str | None) -> None:
        """Remember the id of a run that has been started."""
        self._entries[position] = replace(self._entries[position], run_id=run_id or "")
        self._write()

    def _write(self) -> None:
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomic(self._path, json.dumps([asdict(entry) for entry in self._entries]))
        except OSError as problem:
            with suppress(OSError):
                self._path.unlink()
            text = f"tm: this run is not remembered for --last ({problem.strerror}: {self._path})"
            if text != self._told:
                self._session.note(text)
            self._told = text


def read_last_start(session: CommandContext) -> list[RememberedRun]:
    """Return what was started last; all of it is on one backend.

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
        raise ConfigurationError(f"cannot read {path}: {sanitize(problem)}") from None
    lost = [entry for entry in found if not entry.run_id and not entry.details.get(KEY)]
    if lost:
        raise unknown_start(lost, found)
    return found


def unknown_start(
    lost: Sequence[RememberedRun], found: Sequence[RememberedRun], *hints: str
) -> StartUnknown:
    """Return the error for starts whose runs are not known; `hints` say what else to try."""
    names = ", ".join(sanitize(entry.subject) for entry in lost)
    known = [f"{sanitize(run.subject)} {sanitize(run.run_id)}" for run in found if run.run_id]
    if known:
        hints = (f"known are: {', '.join(known)}", *hints)
    return StartUnknown(
        f"the last start of {names} has no run that is known here",
        hint="; ".join(["look at the server, and wait for a run by its id", *hints]),
    )


def _read_all(document: Any) -> list[RememberedRun]:
    try:
        found = [_read(entry) for entry in document]
    except TypeError:
        raise ValueError("it is not what tm writes there") from None
    if len({entry.system for entry in found}) != 1:
        raise ValueError("it is not of one start")
    return found


def _read(entry: Mapping[str, Any]) -> RememberedRun:
    """Return what was remembered of one run; raises TypeError or ValueError for anything else."""
    found = RememberedRun(**entry)
    texts = (found.system, found.server, found.subject)
    if not all(isinstance(text, str) and text for text in texts):
        raise ValueError("a text is missing")
    if not isinstance(found.run_id, str):
        raise ValueError("the run is not named by a text")
    if type(found.subject_id) not in (int, str) or not isinstance(found.details, dict):
        raise ValueError("what it was started from is missing")
    return found


def _path(session: CommandContext) -> Path:
    project = str(project_root(session.context.cwd)).encode("utf-8", "surrogateescape")
    name = hashlib.sha256(project).hexdigest()[:16]
    return session.context.find_state_dir() / "last" / f"{name}.json"


def gate_document(gate: Gate) -> dict[str, Any]:
    """Return what is remembered of a gate."""
    return {
        "fail_on": format_fail_on(gate.fail_on) or None,
        "checks": [check.text for check in gate.checks],
        "abort_if": [limit.written for limit in gate.abort_if],
    }


def complete_gate(
    session: CommandContext,
    gate: Gate,
    details: Mapping[str, Any],
    read_checks: Callable[[Mapping[str, Any]], Sequence[Condition]],
    set_now: Sequence[Condition] = (),
) -> Gate:
    """Complete a gate by that of the start: what flags name now holds, the rest is as it was then.

    `read_checks` returns the checks that `details` hold, to which those of settings are added that
    were not set then. Raises ConfigurationError when they are
    unusable.
    """
    gate = _with_remembered_verdicts(session, gate, details.get("fail_on"))
    if gate.checks:
        return gate
    try:
        checks = tuple(read_checks(details))
    except (AttributeError, TypeError, UsageError, ValueError) as problem:
        raise unusable(problem) from None
    for check in checks:
        session.note(f"tm: as at the start, this must hold: {sanitize(check.text)}")
    added = tuple(check for check in set_now if check not in checks)
    for check in added:
        session.note(f"tm: by the settings, this must hold, too: {sanitize(check.text)}")
    return replace(gate, checks=checks + added)


def _with_remembered_verdicts(session: CommandContext, gate: Gate, remembered: str | None) -> Gate:
    if gate.fail_on or not remembered:
        return gate
    try:
        chosen = parse_fail_on(remembered)
    except (AttributeError, ValueError) as problem:
        raise unusable(problem) from None
    session.note(f"tm: as at the start, the gate fails on {format_fail_on(chosen)}")
    return replace(gate, fail_on=chosen)


def unusable(problem: Exception | str, hint: str | None = None) -> ConfigurationError:
    """Return the error for a memory that cannot be used."""
    return ConfigurationError(
        f"what was remembered of the last run cannot be used: {sanitize(problem)}",
        hint=hint or "name the run instead of --last",
    )


def server_flags(session: CommandContext, system: str) -> list[str]:
    """Return the flags of this call that named the context, and the server of this backend."""
    names = ("context", *(("base_url", "api_key_file") if session.system == system else ()))
    return [
        word
        for name in names
        if (value := session.flags.get(name)) is not None
        for word in (DEFINITIONS[name].flag, str(value))
    ]
