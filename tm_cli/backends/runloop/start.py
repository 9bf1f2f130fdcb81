"""Starts runs and jobs exactly once; run profiles and job specifications from files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

from tm_cli.api.errors import NO_ACCESS, ApiError, ConnectionFailed, HttpError, InvalidResponse
from tm_cli.api.retry import Attempts, retry_pause
from tm_cli.api.runloop import BenchmarkJob, BenchmarkRun, RunloopClient, can_be_asked_for
from tm_cli.backends.documents import read_document
from tm_cli.backends.runloop.baseline import NOT_THERE, not_served
from tm_cli.errors import Refused, StartUnknown, TmError
from tm_cli.runtime.clock import Clock
from tm_cli.values.documents import EACH, InvalidDocument, KeyPath, format_path
from tm_cli.values.text import did_you_mean, sanitize

PROFILE_KEYS = frozenset({"purpose", "envVars", "secrets", "launchParameters", "mounts"})
"""What a run profile may hold; the API ignores other keys."""

VARIABLES = ("envVars", "secrets")
AGENT_VARIABLES = ("environment_variables", "secrets")
"""Mappings of names to text: `0123` is what the file has, not a number."""

_OF_AGENTS = ("agent_configs", EACH, "agent_environment")

SPEC_TYPES = {"benchmark": "agent_configs", "scenarios": "agent_configs", "harbor": "inline_yaml"}
"""The types of a job, and the key that each of them needs."""


def read_run_profile(path: Path) -> dict[str, Any]:
    """Return the run profile in `path`; raises ConfigurationError for what the API would ignore."""
    as_text = [(key, EACH) for key in VARIABLES]
    return read_document(path, "run profile", _check_run_profile, as_text=as_text)


def read_job_spec(path: Path) -> dict[str, Any]:
    """Return the specification of a job; raises ConfigurationError when it cannot be one."""
    as_text = [(*_OF_AGENTS, key, EACH) for key in AGENT_VARIABLES]
    return read_document(path, "job specification", _check_job_spec, as_text=as_text)


def _check_run_profile(document: Any) -> dict[str, Any]:
    found, keys = _mapping(document), f"the keys are {', '.join(sorted(PROFILE_KEYS))}"
    for key in found:
        if key not in PROFILE_KEYS:
            problem = f"unknown key {key!r}; " + did_you_mean(key, PROFILE_KEYS, keys)
            raise InvalidDocument(problem, (key,))
    _check_variables(found, VARIABLES, ())
    return found


def _check_job_spec(document: Any) -> dict[str, Any]:
    found = _mapping(document)
    kind = found.get("type")
    needed = SPEC_TYPES.get(kind) if isinstance(kind, str) else None
    if needed is None:
        raise InvalidDocument(f"type must be one of {', '.join(SPEC_TYPES)}", ("type",))
    if found.get(needed) is None:
        raise InvalidDocument(f"{needed} is missing")
    agents = found.get("agent_configs")
    for index, agent in enumerate(agents if isinstance(agents, list) else ()):
        path = ("agent_configs", index, "agent_environment")
        environment = agent.get("agent_environment") if isinstance(agent, Mapping) else None
        if environment is not None:
            _check_variables(_mapping(environment, path), AGENT_VARIABLES, path)
    return found


def _check_variables(table: Mapping[str, Any], names: Sequence[str], path: KeyPath) -> None:
    for name in names:
        if table.get(name) is not None:
            for variable, text in _mapping(table[name], (*path, name)).items():
                if not isinstance(text, str):
                    where = (*path, name, variable)
                    raise InvalidDocument(f"{format_path(where)} must be text", where)


def _mapping(document: Any, path: KeyPath = ()) -> dict[str, Any]:
    if not isinstance(document, Mapping):
        name = f"{format_path(path)}: " if path else ""
        raise InvalidDocument(f"{name}expected a mapping of keys to values", path)
    return dict(document)


REPLICA_LAG = 30.0
"""Seconds after a start in which a replica may not know the run yet."""


Started = TypeVar("Started", bound=BenchmarkRun | BenchmarkJob)
"""A run or a job."""

ATTEMPTS = 3
SEARCHES = (1.0, 2.0, 4.0)
"""Pauses in seconds before each search for a start whose answer was lost."""

LONGEST_SHOWN = 60
"""Characters of an id that cannot be one."""

TOO_MANY = 429
REFUSALS = frozenset({400, 402, 404, 405, 410, 411, 413, 414, 415, 422})
"""Statuses of a server that did not act; after all others a run may exist."""


class BenchmarkStarter(Generic[Started]):
    """Sends one start; `find` searches for what it made, by a mark that no other start has."""

    def __init__(
        self,
        clock: Clock,
        *,
        send: Callable[[], Started],
        find: Callable[[], Started | None],
        hint: str,
    ) -> None:
        self._clock = clock
        self._send = send
        self._find = find
        self._hint = hint

    def start(self) -> tuple[Started, datetime]:
        """Return what was started, and the wall clock just before.

        Only what cannot have reached the server is repeated, and what it put off with 429. Raises
        Refused, ConnectionFailed or HttpError when nothing was started, and StartUnknown when that
        is unknown.
        """
        attempts = Attempts(ATTEMPTS)
        while True:
            asked_at = self._clock.now()
            try:
                return _with_usable_id(self._send()), asked_at
            except ApiError as error:
                if not _did_nothing(error):
                    return self._recognise(error), asked_at
                if attempts.is_last:
                    raise _refused(error) from None
                self._clock.sleep(attempts.next_pause(error))

    def _recognise(self, error: ApiError) -> Started:
        """Find what was started all the same; a refusal counts only when nothing is found.

        A page of a proxy is no refusal: it may answer for a server that has acted.
        """
        is_answer = isinstance(error, HttpError) and (error.from_api or error.status in NO_ACCESS)
        status = error.status if isinstance(error, HttpError) and is_answer else None
        if status in NO_ACCESS:
            raise error
        pauses = SEARCHES[:1] if status in REFUSALS else SEARCHES
        for pause in pauses:
            self._clock.sleep(pause)
            try:
                found = self._find()
            except HttpError as problem:
                if status in NOT_THERE and problem.status in NOT_THERE:
                    break
            except ApiError:
                pass
            else:
                if found is not None:
                    return self._adopted(found)
                if status in REFUSALS:
                    break
        if status in REFUSALS:
            raise _refused(error)
        named = isinstance(error, InvalidResponse) and error.hint
        raise StartUnknown(
            f"the run may or may not have started: {error.message}; tm does not repeat a start",
            hint=f"{named}, or {self._hint}" if named else self._hint,
        )

    def _adopted(self, found: Started) -> Started:
        try:
            return _with_usable_id(found)
        except InvalidResponse as problem:
            raise StartUnknown(f"it was started, but {problem.message}", hint=self._hint) from None


def _did_nothing(error: ApiError) -> bool:
    """Whether the start certainly had no effect, so that it may be sent again."""
    if isinstance(error, ConnectionFailed):
        return not error.maybe_sent
    return isinstance(error, HttpError) and error.status == TOO_MANY


def _refused(error: ApiError) -> TmError:
    if not isinstance(error, HttpError):
        return error
    if error.status in NOT_THERE:
        return not_served(error)
    return Refused(f"not started: {error.message}", hint=error.hint, code=error.code)


def _with_usable_id(found: Started) -> Started:
    if not can_be_asked_for(found.id):
        name = sanitize(found.id, longest=LONGEST_SHOWN)
        raise InvalidResponse(f"the server names it {name!r}, which cannot be an id")
    return found


def check_started(run: BenchmarkRun, benchmark_id: str, known: frozenset[str]) -> BenchmarkRun:
    """Return the answer to a start; raises InvalidResponse when it cannot be of that start."""
    if run.benchmark_id is not None and run.benchmark_id != benchmark_id:
        raise not_started(run, f" of another benchmark ({sanitize(run.benchmark_id)})")
    if run.id in known:
        raise not_started(run, ", which was there before")
    return run


def not_started(found: BenchmarkRun | BenchmarkJob, why: str) -> InvalidResponse:
    """Return the error for an answer to a start that names another run or job."""
    is_run = isinstance(found, BenchmarkRun)
    kind, show = ("run", "show") if is_run else ("job", "job show")
    return InvalidResponse(
        f"the answer to the start names {kind} {sanitize(found.id)}{why}",
        hint=f"look at it with `tm benchmarks {show} {sanitize(found.id)}`",
    )


class NotFoundGrace:
    """Treats 404 as transient for REPLICA_LAG seconds after a start, until the run was seen."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: float | None = None

    def started(self) -> None:
        """Note that the run has been made just now."""
        self._until = self._clock.monotonic() + REPLICA_LAG

    def seen(self) -> None:
        """Note that the server knows the run: it must not forget it again."""
        self._until = None

    def excuses(self, error: TmError) -> bool:
        """Whether a run that was made just now may be unknown to the replica that answered."""
        return (
            isinstance(error, HttpError)
            and error.status in NOT_THERE
            and self._until is not None
            and self._clock.monotonic() < self._until
        )

    def retry_pause(self, error: TmError) -> float | None:
        """Return the least pause in seconds before the next read; None when that is useless."""
        if self.excuses(error):
            return 1.0
        return retry_pause(error, RunloopClient.may_read_again)
