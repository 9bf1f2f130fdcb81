"""How a benchmark gate is told again: as flags of a command line, and for `--last`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tm_cli.backends.runloop.judge import Expected
from tm_cli.backends.runloop.rules import Rules
from tm_cli.cli.session import Session
from tm_cli.commands.benchmarks.actions import SYSTEM
from tm_cli.commands.shared.last_start import server_flags
from tm_cli.errors import ConfigurationError
from tm_cli.gate.policy import Gate
from tm_cli.gate.verdict import GATED, Verdict

USUAL_FAIL_ON = frozenset({Verdict.FAIL, Verdict.NO_BASELINE})


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a later `--last` needs to judge a run exactly as this call would have.

    `baseline` is the id of what was pinned; None with a `choice` says that there was nothing.
    """

    kind: str
    rules: Rules
    expected: Expected
    baseline: str | None = None
    choice: str | None = None
    fail_on: str | None = None
    agents: int | None = None

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        ids = self.expected.ids
        return {
            "kind": self.kind,
            "rules": self.rules.document(),
            "scenario_ids": sorted(ids) if ids is not None else None,
            "scenario_count": self.expected.count,
            "baseline": self.baseline,
            "choice": self.choice,
            "fail_on": self.fail_on,
            "agents": self.agents,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Remembered:
        """Read it again; raises ConfigurationError for what this version did not write."""
        try:
            ids = document["scenario_ids"]
            return cls(
                kind=document["kind"],
                rules=Rules.from_document(document["rules"]),
                expected=Expected(
                    frozenset(ids) if ids is not None else None, document["scenario_count"]
                ),
                baseline=document["baseline"],
                choice=document["choice"],
                fail_on=document["fail_on"],
                agents=document["agents"],
            )
        except (KeyError, TypeError, ValueError) as problem:
            raise ConfigurationError(
                f"what was remembered of the last run cannot be used: {problem}",
                hint="name the run: `tm benchmarks wait RUN`",
            ) from None


def with_usual_verdicts(session: Session, gate: Gate) -> Gate:
    """Return the gate with verdicts to fail on: a gate with rules must be able to fail."""
    if gate.fail_on:
        return gate
    session.note(f"tm: this gate fails on {verdicts(USUAL_FAIL_ON)} (--fail-on)")
    return replace(gate, fail_on=USUAL_FAIL_ON)


def say_ungated(session: Session) -> None:
    """Say it to `--quiet` pipelines as well: they may take this start for their gate."""
    session.terminal.note(
        "tm: this start does not gate: what it is judged by counts in `tm benchmarks wait --last`"
    )


def verdicts(chosen: frozenset[Verdict]) -> str:
    """Return a set of verdicts as `--fail-on` writes it."""
    return ",".join(verdict for verdict in GATED if verdict in chosen)


def rule_flags(rules: Rules) -> list[str]:
    """Return the flags that write these rules."""
    values = {
        "--min-score": rules.min_score,
        "--warn-score": rules.warn_score,
        "--max-drop": rules.max_drop,
        "--warn-drop": rules.warn_drop,
        "--max-failed-scenarios": rules.max_failed or None,
        "--coverage": None if rules.coverage >= 1 else rules.coverage,
        "--expect": rules.expected,
    }
    flags = [
        word
        for flag, value in values.items()
        if value is not None
        for word in (flag, f"{value:.9g}" if isinstance(value, float) else str(value))
    ]
    return [*flags, *(["--common-only"] if rules.common_only else [])]


def resume_flags(
    session: Session, gate: Gate | None, rules: Rules, baseline: str | None
) -> list[str]:
    """Return what a wait must be told again: the gate, and a server that flags have named."""
    flags = rule_flags(rules)
    if baseline is not None:
        flags += ["--baseline", baseline]
    if gate is not None and gate.fail_on not in (frozenset(), USUAL_FAIL_ON):
        flags += ["--fail-on", verdicts(gate.fail_on)]
    return [*flags, *server_flags(session, SYSTEM)]
