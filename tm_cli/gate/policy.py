"""The rule of the gate: a result in, a decision out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tm_cli.errors import TmError
from tm_cli.exit_codes import ExitCode
from tm_cli.gate.checks import Condition, ConditionResult
from tm_cli.gate.live_limits import Breach, LiveLimit
from tm_cli.gate.model import Result
from tm_cli.gate.polling import PollingPolicy
from tm_cli.values.verdict import KNOWN, Verdict

_GATE_CODES = {
    Verdict.FAIL: ExitCode.FAIL,
    Verdict.WARN: ExitCode.WARN,
    Verdict.NO_BASELINE: ExitCode.NO_BASELINE,
}
GATED_CODES = frozenset(_GATE_CODES.values())

WORST_FIRST = (
    ExitCode.FAIL,
    ExitCode.START_UNKNOWN,
    ExitCode.UNDECIDED,
    ExitCode.WAIT_TIMEOUT,
    ExitCode.REFUSED,
    ExitCode.AUTHENTICATION,
    ExitCode.UNAVAILABLE,
    ExitCode.ERROR,
    ExitCode.WARN,
    ExitCode.NO_BASELINE,
    ExitCode.OK,
)
"""Which outcome wins when several runs end in one call; signals and bugs beat them all."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What this invocation accepts and how long it waits; limits in seconds.

    `abort_if` are limits that end a run which breaks one while it goes on.
    `confirm` is how often a run that would fail the gate is repeated before it does. `warn_on`
    are verdicts that pass and have to be seen; they make no gate.
    """

    fail_on: frozenset[Verdict] = frozenset()
    checks: tuple[Condition, ...] = ()
    abort_if: tuple[LiveLimit, ...] = ()
    confirm: int = 0
    wait_timeout: float = 1800.0
    verdict_timeout: float = 60.0
    polling: PollingPolicy = field(default_factory=PollingPolicy)
    warn_on: frozenset[Verdict] = frozenset()

    @property
    def is_set(self) -> bool:
        """Whether a verdict, a check or a live limit can fail this gate."""
        return bool(self.fail_on or self.checks or self.abort_if)

    @property
    def requirements(self) -> tuple[str, ...]:
        """What must hold in addition to the verdict, as people write it."""
        return (*(check.text for check in self.checks), *(limit.text for limit in self.abort_if))

    @property
    def needs_baseline(self) -> bool:
        """Whether a check compares with the baseline run."""
        return any(check.relative for check in self.checks)


@dataclass(frozen=True, slots=True)
class Decision:
    """The exit code and the sentence that explains it.

    `matched` says whether the gate matched: None without a gate, and true whenever it cannot be
    shown to be satisfied. `checks` holds the outcome of each check, and `verdict_gated`
    whether the verdict alone says no. `judged`: the rule of the gate made it, and nothing that went
    wrong on the way, so that another gate may judge the same result again. `request_id` is the
    server's id of the request that went wrong. `breach` is the live limit that ended or failed the
    run; no other gate accepts it.
    """

    exit_code: ExitCode
    message: str
    hint: str | None = None
    code: str | None = None
    matched: bool | None = None
    checks: tuple[ConditionResult, ...] = ()
    verdict_gated: bool = False
    judged: bool = field(default=False, compare=False)
    request_id: str | None = None
    breach: Breach | None = None

    @property
    def is_gated(self) -> bool:
        """Whether a verdict, a check or a limit failed the gate; nothing else makes these codes."""
        return self.exit_code in GATED_CODES


def decide(result: Result, gate: Gate, *, baseline: Mapping[str, Any] | None = None) -> Decision:
    """Apply the gate to the record of our own run.

    With a gate, OK needs a known verdict outside it and every check passed. A failed check is
    FAIL; a missing or unknown verdict, or a check that could not be measured, is undecided.
    Without a gate the verdict only informs.
    """
    return replace(_by_rule(result, gate, baseline), judged=True)


def _by_rule(result: Result, gate: Gate, baseline: Mapping[str, Any] | None) -> Decision:
    if result.final or result.verdict not in KNOWN:
        return _without_verdict(result, gate)
    checks = tuple(check.judge(result, baseline) for check in gate.checks)
    decision = _by_verdict(result, gate)
    failed = [outcome for outcome in checks if outcome.passed is False]
    unmeasured = [outcome for outcome in checks if outcome.passed is None]
    if failed and decision.exit_code is not ExitCode.FAIL:
        message = f"{len(failed)} of {len(checks)} checks failed ({failed[0].reason})"
        return replace(
            decision, exit_code=ExitCode.FAIL, message=message, matched=True, checks=checks
        )
    if unmeasured and not decision.is_gated:
        return Decision(
            ExitCode.UNDECIDED, unmeasured[0].reason, code="undecided", matched=True, checks=checks
        )
    return replace(decision, checks=checks)


def _without_verdict(result: Result, gate: Gate) -> Decision:
    message = result.note or "the run has ended, but its verdict is not there yet"
    if result.verdict is Verdict.UNKNOWN:
        message = f"the verdict {result.verdict_text!r} is unknown to this version of tm"
    if gate.is_set:
        return Decision(ExitCode.UNDECIDED, message, code="undecided", matched=True)
    return Decision(ExitCode.OK, f"{message}; without --fail-on this is not a failure")


def _by_verdict(result: Result, gate: Gate) -> Decision:
    verdict = result.verdict
    if verdict in gate.fail_on:
        code = _GATE_CODES[Verdict(verdict)]
        return Decision(code, f"the verdict is {verdict}", matched=True, verdict_gated=True)
    if further := [other for other in _GATE_CODES if other in result.also & gate.fail_on]:
        message = f"the verdict is {verdict}, and in addition {further[0]}"
        return Decision(_GATE_CODES[further[0]], message, matched=True, verdict_gated=True)
    if not gate.is_set:
        message = f"the verdict is {verdict}; no --fail-on, so it only informs"
        return Decision(ExitCode.OK, message)
    if not gate.fail_on:
        return Decision(ExitCode.OK, f"the verdict is {verdict}, all checks passed", matched=False)
    message = f"the verdict is {verdict}, which does not fail on {','.join(sorted(gate.fail_on))}"
    return Decision(ExitCode.OK, message, matched=False)


def decide_broken(
    breach: Breach, message: str, checks: tuple[ConditionResult, ...], *, hint: str | None = None
) -> Decision:
    """Fail a run that broke a live limit, whatever its verdict."""
    return Decision(
        ExitCode.FAIL,
        message,
        hint=hint,
        code="aborted",
        matched=True,
        checks=checks,
        breach=breach,
    )


def from_error(error: TmError, gate: Gate) -> Decision:
    """Turn what went wrong into a decision; it is never OK."""
    exit_code = error.exit_code if error.exit_code is not ExitCode.OK else ExitCode.INTERNAL
    return Decision(
        exit_code,
        error.message,
        hint=error.hint,
        code=error.code,
        request_id=error.request_id,
        matched=True if gate.is_set else None,
    )


def worst(codes: Iterable[ExitCode]) -> ExitCode:
    """Return the code that wins; one that the order does not know beats them all."""
    found = set(codes)
    for code in found - set(WORST_FIRST):
        return code
    for code in WORST_FIRST:
        if code in found:
            return code
    return ExitCode.INTERNAL
