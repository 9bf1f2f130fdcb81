"""The outcome of a call, from which all reports are made, and its re-evaluation by a gate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from tm_cli.errors import TmError
from tm_cli.exit_codes import ExitCode
from tm_cli.gate.checks import Condition, KeptCheck
from tm_cli.gate.events import Decided, RunAttempt
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
        """How the gate ended; raises AssertionError before."""
        if self.ending is None:
            raise AssertionError("a gate ends with a decision")
        return self.ending


@dataclass(frozen=True, slots=True)
class GateOutcome:
    """All subjects of one call, the gate that judged them and the exit code of the whole.

    `error` is what ended the call before its gates had ended. `made_at` is the wall clock.
    """

    records: tuple[Record, ...]
    gate: Gate
    exit_code: ExitCode
    made_at: datetime
    error: TmError | None = None

    @property
    def reported(self) -> tuple[Record, ...]:
        """The records; for a call that ended before its gates did, one made of its error."""
        if self.error is None:
            return self.records
        ending = Decided(from_error(self.error, self.gate), None, None)
        return (Record("tm", "tm", ending=ending),)


def warns(end: Decided, gate: Gate) -> bool:
    """Whether a run has passed with a verdict that has to be seen."""
    if end.result is None or end.decision.exit_code is not ExitCode.OK:
        return False
    return not gate.warn_on.isdisjoint({end.result.verdict, *end.result.also})


def exit_code_of(records: Sequence[Record]) -> ExitCode:
    """Return the exit code of the worst.

    Runs that were canceled because another one failed do not count next to that failure.
    """
    endings = [record.end for record in records]
    counted = [ending for ending in endings if not ending.abandoned]
    if not any(ending.decision.is_gated for ending in counted):
        counted = endings
    return worst(ending.decision.exit_code for ending in counted)


def replay(outcome: GateOutcome, gate: Gate) -> GateOutcome:
    """Return the outcome as `gate` decides it.

    What was decided without a verdict, by an error or a signal, stays as it was: there is nothing
    that another gate could accept.
    """
    if outcome.error is not None or not outcome.records:
        return outcome
    records = tuple(replace(record, ending=_end(record.end, gate)) for record in outcome.records)
    return replace(outcome, records=records, gate=gate, exit_code=exit_code_of(records))


def contradiction(outcome: GateOutcome) -> str | None:
    """Return what does not fit the outcome's own decisions; None when all of it does."""
    for record in outcome.records:
        end = record.end
        for attempt in (*end.earlier, _last(end)):
            if problem := _problem(attempt, outcome.gate):
                return f"{record.subject}: {problem}"
        if any(not attempt.decision.is_gated for attempt in end.earlier):
            return f"{record.subject}: a run was repeated that had not failed"
    return None


def _problem(attempt: RunAttempt, gate: Gate) -> str | None:
    saved = attempt.decision
    if not saved.judged:
        return "it passed without a judgement" if saved.exit_code == 0 else None
    if attempt.result is None:
        return "it was judged without a result"
    again = _judge(attempt, gate)
    if again.exit_code is not saved.exit_code or again.matched is not saved.matched:
        return f"its decision is {saved.exit_code.name}, its data give {again.exit_code.name}"
    if [item.passed for item in again.checks] != [item.passed for item in saved.checks]:
        return "its data do not give the outcomes of its checks"
    return None


def _end(end: Decided, gate: Gate) -> Decided:
    """Go through the runs of a subject as the gate would: the first that passes ends it."""
    if end.abandoned:
        return end
    attempts = (*end.earlier, _last(end))
    earlier: list[RunAttempt] = []
    for attempt in attempts:
        decided = replace(attempt, decision=_judge(attempt, gate))
        if not decided.decision.is_gated or attempt is attempts[-1]:
            break
        earlier.append(decided)
    return Decided(
        decided.decision, decided.run, decided.result, tuple(earlier), baseline=decided.baseline
    )


def _last(end: Decided) -> RunAttempt:
    return RunAttempt(end.decision, end.run, end.result, end.baseline)


def _judge(attempt: RunAttempt, gate: Gate) -> Decision:
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
