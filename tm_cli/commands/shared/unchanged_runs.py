"""Runs of an unchanged target, one after the other: what they differ by is noise (A/A runs)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tm_cli.cli.options import GateOptions, StartOptions
from tm_cli.cli.session import CommandContext
from tm_cli.commands.runs.gate import RunGate
from tm_cli.commands.runs.request import StartRequest, read_request
from tm_cli.commands.shared.follow import FollowedRun, WaitBehavior, follow_to_the_end
from tm_cli.errors import TmError
from tm_cli.exit_codes import ExitCode
from tm_cli.gate.events import Decided

TAG = "unchanged"


@dataclass(frozen=True, slots=True)
class UnchangedRuns:
    """The runs to play of a profile, which `text` names, or `document` where it is in no file."""

    text: str
    document: Mapping[str, Any] | None = None
    region: str | None = None

    def play(self, session: CommandContext, count: int, *, ending: str) -> list[int]:
        """Play `count` runs and return their history ids; Ctrl-C stops the run that is under way.

        A run that was limited by the load generator's machine is repeated, three times in all.
        `ending` is said of a run that did not end with a result.
        """
        options = StartOptions(region=self.region, tag=[TAG], stop_early=False)
        request = read_request(session, [self.text], options, document=self.document)
        found: list[int] = []
        repeated = 0
        while len(found) < count:
            name = f"run {len(found) + 1} of {count}"
            session.note(f"tm: {name} of the unchanged target; Ctrl-C stops it")
            facts = _played(session, request, name, ending)
            if facts.get("generatorSaturated") is True and repeated < _MOST_REPEATED:
                repeated += 1
                session.note(f"tm: {name} was limited by the load generator's machine: once more")
                continue
            found.append(int(facts["id"]))
        return found


_MOST_REPEATED = 3


def _played(
    session: CommandContext, request: StartRequest, name: str, ending: str
) -> Mapping[str, Any]:
    """Play one run and return its row of the history."""
    gate = replace(GateOptions().read(session), fail_on=frozenset(), warn_on=frozenset())
    runs = RunGate(session)
    runs.limit_pauses(gate)
    planned: list[FollowedRun[Any]] = [*runs.plan(request, gate)]
    wait = WaitBehavior(stop_on_interrupt=True)
    [record] = follow_to_the_end(
        session, planned, gate, wait, system=runs.system, limits=runs.limits()
    )
    result = record.end.result
    is_complete = record.end.decision.exit_code is ExitCode.OK and result and result.verdict
    if not is_complete or result is None or type(result.facts.get("id")) is not int:
        raise _failure(record.end, name, ending)
    return result.facts


def _failure(end: Decided, name: str, ending: str) -> TmError:
    decision = end.decision
    note = end.result.note if end.result and end.result.verdict is None else None
    error = TmError(
        f"{name}: {note or decision.message}{ending}", hint=decision.hint, code=decision.code
    )
    error.exit_code = decision.exit_code or ExitCode.UNDECIDED
    return error
