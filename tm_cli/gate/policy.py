"""The rule of the gate: evidence and `--fail-on` in, a decision out. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from tm_cli.errors import TmError
from tm_cli.exit_codes import ExitCode
from tm_cli.gate.evidence import Result
from tm_cli.gate.verdict import KNOWN, Verdict

_GATE_CODES = {
    Verdict.FAIL: ExitCode.FAIL,
    Verdict.WARN: ExitCode.WARN,
    Verdict.NO_BASELINE: ExitCode.NO_BASELINE,
}


@dataclass(frozen=True, slots=True)
class Decision:
    """The exit code and the sentence that explains it.

    `matched` says whether the verdict is in the gate: None without a gate, and true whenever a
    gate cannot be shown to be satisfied.
    """

    exit_code: ExitCode
    message: str
    hint: str | None = None
    code: str | None = None
    matched: bool | None = None


def decide(result: Result, fail_on: frozenset[Verdict]) -> Decision:
    """Apply the gate to the record of our own run.

    With a gate, OK needs a verdict that is known and not gated; a missing or unknown one is
    undecided. Without a gate the verdict only informs.
    """
    verdict = result.verdict
    if verdict in KNOWN and verdict is not None:
        return _known(verdict, fail_on)
    if verdict is None:
        message = result.note or "the run has ended, but its verdict is not there yet"
    else:
        message = f"the verdict {result.verdict_text!r} is unknown to this version of tm"
    if fail_on:
        return Decision(ExitCode.UNDECIDED, message, code="undecided", matched=True)
    return Decision(ExitCode.OK, f"{message}; without --fail-on this is no failure")


def _known(verdict: Verdict, fail_on: frozenset[Verdict]) -> Decision:
    if verdict in fail_on:
        return Decision(_GATE_CODES[verdict], f"the verdict is {verdict}", matched=True)
    if fail_on:
        gate = ",".join(sorted(fail_on))
        message = f"the verdict is {verdict}, which does not fail on {gate}"
        return Decision(ExitCode.OK, message, matched=False)
    return Decision(ExitCode.OK, f"the verdict is {verdict}; no --fail-on, so it only informs")


def from_error(error: TmError, fail_on: frozenset[Verdict]) -> Decision:
    """Turn what went wrong into a decision; it is never OK."""
    exit_code = error.exit_code if error.exit_code is not ExitCode.OK else ExitCode.INTERNAL
    return Decision(
        exit_code,
        error.message,
        hint=error.hint,
        code=error.code,
        matched=True if fail_on else None,
    )
