"""What a gate came to: the one thing that every report, document and replay is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from tm_cli.errors import TmError
from tm_cli.exit_codes import ExitCode
from tm_cli.gate.checks import CheckResult, Condition
from tm_cli.gate.events import Attempt, Decided
from tm_cli.gate.model import Result
from tm_cli.gate.policy import Decision, Gate, decide, from_error, worst


@dataclass(frozen=True, slots=True)
class Record:
    """One subject and how its gate ended; `ending` is None while that is not known.

    `system` names the API behind which the run lives, `subject_id` is what that API calls the
    subject, and `status` is the last one that was seen, as the server wrote it.
    """

    system: str
    subject: str
    subject_id: int | str | None = None
    status: str | None = None
    ending: Decided | None = None

    @property
    def end(self) -> Decided:
        """How the gate ended; only for records of gates that have."""
        if self.ending is None:
            raise AssertionError("a gate ends with a decision")
        return self.ending


@dataclass(frozen=True, slots=True)
class Evidence:
    """All subjects of one call, the gate they were held against and the exit code of the whole.

    `error` is what ended the call before its gates had ended. `made_at` is the wall clock.
    """

    records: tuple[Record, ...]
    gate: Gate
    exit_code: ExitCode
    made_at: datetime
    error: TmError | None = None

    @property
    def told(self) -> tuple[Record, ...]:
        """The records; of a call that ended before its gates did, the error as if it were one."""
        if self.error is None:
            return self.records
        ending = Decided(from_error(self.error, self.gate), None, None)
        return (Record("tm", "tm", ending=ending),)


def exit_code_of(records: Sequence[Record]) -> ExitCode:
    """Return the exit code of the worst.

    Runs that were given up do not count beside the failure for which they were, and only there.
    """
    endings = [record.end for record in records]
    counted = [ending for ending in endings if not ending.abandoned]
    if not any(ending.decision.is_gated for ending in counted):
        counted = endings
    return worst(ending.decision.exit_code for ending in counted)


@dataclass(frozen=True, slots=True)
class KeptCheck:
    """A check that only the system behind the run could measure; its outcome is kept.

    It can be left out or asked for again, but not with another limit.
    """

    text: str
    passed: bool | None = None
    reason: str = ""
    relative: bool = False

    def judge(self, result: Result, baseline: Mapping[str, Any] | None) -> CheckResult:
        """Return how it came out then."""
        reason = self.reason or f"{self.text}: it was not measured when the run was judged"
        return CheckResult(self, self.passed, reason)


def replay(evidence: Evidence, gate: Gate) -> Evidence:
    """Return the evidence as `gate` decides it.

    What was decided without a verdict, by an error or a signal, stays as it was: nothing is known
    that another gate could accept.
    """
    if evidence.error is not None or not evidence.records:
        return evidence
    records = tuple(replace(record, ending=_end(record.end, gate)) for record in evidence.records)
    return replace(evidence, records=records, gate=gate, exit_code=exit_code_of(records))


def contradiction(evidence: Evidence) -> str | None:
    """Say what in the evidence does not fit its own decisions; None when all of it does."""
    for record in evidence.records:
        end = record.end
        for attempt in (*end.earlier, _last(end)):
            if problem := _problem(attempt, evidence.gate):
                return f"{record.subject}: {problem}"
        if any(not attempt.decision.is_gated for attempt in end.earlier):
            return f"{record.subject}: a run was repeated that had not failed"
    return None


def _problem(attempt: Attempt, gate: Gate) -> str | None:
    saved = attempt.decision
    if not saved.judged:
        return "it passed without a judgement" if saved.exit_code == 0 else None
    if attempt.result is None:
        return "it was judged without a result"
    again = _judge(attempt, gate)
    if again.exit_code is not saved.exit_code or again.matched is not saved.matched:
        return f"its decision is {saved.exit_code.name}, its evidence says {again.exit_code.name}"
    if [item.passed for item in again.checks] != [item.passed for item in saved.checks]:
        return "its checks do not come out as they are said to"
    return None


def _end(end: Decided, gate: Gate) -> Decided:
    """Go through the runs of a subject as the gate would: the first that passes ends it."""
    if end.abandoned:
        return end
    attempts = (*end.earlier, _last(end))
    earlier: list[Attempt] = []
    for attempt in attempts:
        decided = replace(attempt, decision=_judge(attempt, gate))
        if not decided.decision.is_gated or attempt is attempts[-1]:
            break
        earlier.append(decided)
    return Decided(
        decided.decision, decided.run, decided.result, tuple(earlier), baseline=decided.baseline
    )


def _last(end: Decided) -> Attempt:
    return Attempt(end.decision, end.run, end.result, end.baseline)


def _judge(attempt: Attempt, gate: Gate) -> Decision:
    if attempt.result is None or not attempt.decision.judged:
        return attempt.decision
    checks = tuple(_as_kept(check, attempt.decision) for check in gate.checks)
    metrics = attempt.baseline.metrics if attempt.baseline else None
    return decide(attempt.result, replace(gate, checks=checks), baseline=metrics)


def _as_kept(check: Condition, decision: Decision) -> Condition:
    """Give a kept check the outcome that it had for this run."""
    if not isinstance(check, KeptCheck):
        return check
    for item in decision.checks:
        if item.check.text == check.text:
            return KeptCheck(check.text, item.passed, item.reason)
    return check
