"""`tm profiles apply`: makes the profiles of a server what the documents in a directory say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from tm_cli.api.errors import ConnectionFailed, HttpError, InvalidResponse
from tm_cli.api.trafficmorph import ProfileSummary
from tm_cli.backends.trafficmorph.document_files import uploaded
from tm_cli.backends.trafficmorph.profile_fields import Difference, differences
from tm_cli.cli.options import confirm_deletion
from tm_cli.cli.session import CommandContext
from tm_cli.commands.profiles.check import Examined, error_of, examine, problem_data
from tm_cli.commands.profiles.differences import differences_data
from tm_cli.commands.profiles.save import refusal
from tm_cli.commands.runs.features import require_support
from tm_cli.commands.runs.request import ComparisonOptions
from tm_cli.errors import Refused, TmError, UsageError
from tm_cli.exit_codes import ExitCode
from tm_cli.runtime.signals import SignalReceived
from tm_cli.values.durations import format_duration
from tm_cli.values.text import count_of, folded_name, sanitize

ACTIVE = ("RUNNING", "PAUSED")
TOO_MANY = 429
MOST_PAUSES = 10
"""Pauses that a server may ask for before one write."""
MOST_SHOWN = 20
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Result:
    """What happened to a profile, or would happen; `file` is None for one that no file names."""

    action: str
    name: str
    file: str | None = None
    profile_id: int | None = None
    changed: Sequence[Difference] = ()
    warnings: Sequence[str] = ()
    problem: str | None = None

    def data(self) -> dict[str, Any]:
        return {
            "action": self.action,
            "file": self.file,
            "name": self.name,
            "profile_id": self.profile_id,
            "changes": differences_data(self.changed, "before", "after"),
            "warnings": list(self.warnings),
            "error": self.problem,
        }

    def line(self) -> str:
        number = "" if self.profile_id is None else f" ({self.profile_id})"
        source = "" if self.file is None else f"{sanitize(self.file)}: "
        keys = ", ".join(dict.fromkeys(sanitize(each.top) for each in self.changed))
        reason = self.problem or keys
        text = f"{self.action:<10} {source}{sanitize(self.name)}{number}"
        return text + (f": {reason}" if reason else "")


@dataclass(frozen=True, slots=True)
class Choice:
    """How the documents are applied."""

    recursive: bool = False
    prune: bool = False
    dry_run: bool = False
    yes: bool = False


def apply(session: CommandContext, paths: Sequence[str], choice: Choice) -> int:
    """Apply the documents; each has a result, as has each deletion, and one failure makes 1.

    Nothing is written unless all documents are right.
    """
    cwd = session.context.cwd
    if choice.prune and not any((cwd / path).is_dir() for path in paths):
        raise UsageError("--prune needs a directory: it deletes what no file in it names")
    examined = examine(cwd, paths, recursive=choice.recursive)
    if wrong := error_of(examined, "; nothing was changed"):
        problems = "\n".join(line for each in examined for line in each.lines())
        return session.emit(_data([], examined), lambda: problems, error=wrong)
    documents = [each.document for each in examined]
    require_support(
        session, ComparisonOptions(), {}, documents=documents, ending="; nothing was changed"
    )
    stored: dict[str, list[ProfileSummary]] = {}
    for profile in session.client.list_profiles():
        stored.setdefault(folded_name(profile.name), []).append(profile)
    surplus: list[ProfileSummary] = []
    if choice.prune:  # a document that is not applied names a profile as well
        known = examined if choice.recursive else examine(cwd, paths, recursive=True)
        surplus = _unnamed(stored, {folded_name(each.name) for each in known if each.name})
    if surplus and not choice.dry_run:
        confirm_deletion(session, _list(surplus), yes=choice.yes)
    results: list[Result] = []
    writes = [partial(_apply, session, each, stored, choice) for each in examined]
    deletions = [partial(_delete, session, each, results, choice) for each in surplus]
    error = _work(session, [*writes, *deletions], results)
    left = len(examined) + len(surplus) - len(results)
    summary = _summary(results, left, dry_run=choice.dry_run)
    failed = sum(1 for each in results if each.problem is not None)
    if error is None and failed:
        error = TmError(f"{failed} of {len(results)} failed: {summary}", code="incomplete")
    return session.emit(_data(results, examined), lambda: summary, error=error)


def _work(
    session: CommandContext, tasks: Sequence[Callable[[], Result]], results: list[Result]
) -> TmError | None:
    """Do one after the other; return the error that the rest would have as well."""
    for task in tasks:
        try:
            result = task()
        except SignalReceived as signal:
            return signal.as_error(f"interrupted; {_AGAIN}")
        except ConnectionFailed as error:
            if error.maybe_sent:
                error.message += f"; {_AGAIN}"
            return error
        except TmError as error:
            if not isinstance(error, _Failed):
                return error
            result = error.result
        results.append(result)
        for warning in result.warnings:
            session.terminal.write_line(f"tm: {result.file}: the server warns: {sanitize(warning)}")
        if not session.wants_json:
            session.terminal.write_part(result.line() + "\n")
    return None


_AGAIN = "the last write may have happened, and to apply all again is safe"


class _Failed(TmError):
    """One write that failed; the others go on."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.problem or "")
        self.result = result


def _apply(
    session: CommandContext,
    each: Examined,
    stored: Mapping[str, Sequence[ProfileSummary]],
    choice: Choice,
) -> Result:
    document, name = each.document, str(each.name)
    same = stored.get(folded_name(name), [])
    result = Result("failed", name, each.file, same[0].id if same else None)
    if len(same) > 1:
        ids = ", ".join(str(profile.id) for profile in same)
        raise _Failed(replace(result, problem=f"{len(same)} profiles have this name: {ids}"))
    with _noted(result):
        changed: Sequence[Difference] = ()
        if same:
            changed = differences(session.client.export_profile(same[0].id), document)
            if not changed:
                return replace(result, action="unchanged")
        if choice.dry_run:
            return replace(result, action="update" if same else "create", changed=changed)
        with refusal("it"):
            imported = patiently(session, lambda: session.client.import_profile(uploaded(document)))
    return replace(
        result,
        action="updated" if same else "created",
        profile_id=imported.id,
        changed=changed,
        warnings=imported.warnings,
    )


def _delete(
    session: CommandContext, profile: ProfileSummary, results: Sequence[Result], choice: Choice
) -> Result:
    """Delete a profile that no file names, unless a run is in progress or a write has failed."""
    result = Result("kept", profile.name, profile_id=profile.id)
    if any(each.action == "failed" for each in results):
        raise _Failed(replace(result, problem="not deleted, because another one failed"))
    with _noted(result):
        if _is_active(session, profile.id):
            raise _Failed(replace(result, problem="not deleted, because it is running"))
        if choice.dry_run:
            return replace(result, action="delete")
        patiently(session, lambda: session.client.delete_profile(profile.id))
    return replace(result, action="deleted")


def _is_active(session: CommandContext, profile_id: int) -> bool:
    try:
        return session.client.get_run_status(profile_id).status in ACTIVE
    except HttpError as error:
        if error.status != 404:  # an early server, which has the state in the profile alone
            raise
        return session.client.get_profile(profile_id).status in ACTIVE


@contextmanager
def _noted(result: Result) -> Iterator[None]:
    """Make the failure of one profile a result; what all others would meet goes on."""
    try:
        yield
    except (Refused, InvalidResponse, HttpError) as error:
        if error.exit_code == ExitCode.AUTHENTICATION:
            raise
        raise _Failed(replace(result, problem=error.message)) from None


def patiently(session: CommandContext, send: Callable[[], T]) -> T:
    """Send a write again that the server has not looked at, because there were too many."""
    for _ in range(MOST_PAUSES):
        try:
            return send()
        except HttpError as error:
            pause = error.retry_after or 0.0
            if error.status != TOO_MANY or not 0 < pause <= session.longest_pause:
                raise
            session.note(f"tm: the server asks for a pause of {format_duration(pause)}")
            session.context.clock.sleep(pause)
    return send()


def _unnamed(
    stored: Mapping[str, Sequence[ProfileSummary]], named: Container[str]
) -> list[ProfileSummary]:
    return [each for name, same in stored.items() if name not in named for each in same]


def _list(profiles: Sequence[ProfileSummary]) -> str:
    names = [f"{each.id} ({sanitize(each.name, longest=60)})" for each in profiles[:MOST_SHOWN]]
    more = len(profiles) - len(names)
    shown = ", ".join(names) + (f" and {more} more, which --dry-run names" if more else "")
    return f"{count_of(len(profiles), 'profile')} that no file names: {shown}"


def _summary(results: Sequence[Result], left: int, *, dry_run: bool) -> str:
    counts = Counter(each.action for each in results)
    verbs = ("create", "update", "delete")
    parts = [f"{count} {'to ' * (word in verbs)}{word}" for word, count in counts.items()]
    parts += [f"{left} not tried"] * bool(left)
    return ", ".join(parts) + "; nothing was changed" * dry_run


def _data(results: Sequence[Result], examined: Sequence[Examined]) -> dict[str, Any]:
    tried = {each.file for each in results}
    return {
        "results": [each.data() for each in results],
        "not_tried": [each.file for each in examined if each.file not in tried],
        "problems": [
            {"file": each.file, **problem_data(problem)}
            for each in examined
            for problem in each.problems
        ],
    }
