"""The gate of a start, so that `--last` judges a run by what it was started with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tm_cli.commands.options import read_fail_on
from tm_cli.commands.session import Session
from tm_cli.errors import ConfigurationError, UsageError
from tm_cli.gate.checks import Condition
from tm_cli.gate.policy import Gate
from tm_cli.gate.verdict import parse_fail_on
from tm_cli.text import clean


def gate_document(gate: Gate) -> dict[str, Any]:
    """Return what is remembered of a gate."""
    return {
        "fail_on": ",".join(sorted(gate.fail_on)),
        "checks": [check.text for check in gate.checks],
    }


def as_started(
    session: Session,
    gate: Gate,
    details: Mapping[str, Any],
    read: Callable[[Mapping[str, Any]], Sequence[Condition]],
) -> Gate:
    """Complete a gate by that of the start: what flags name now holds, the rest is as it was then.

    `read` returns the checks that `details` hold. Raises ConfigurationError when they are unusable.
    """
    gate = with_verdicts(session, gate, details.get("fail_on"))
    if gate.checks:
        return gate
    try:
        checks = tuple(read(details))
    except (AttributeError, TypeError, UsageError, ValueError) as problem:
        raise unusable(problem) from None
    for check in checks:
        session.note(f"tm: as at the start, this must hold: {clean(check.text)}")
    return replace(gate, checks=checks)


def with_verdicts(session: Session, gate: Gate, remembered: str | None) -> Gate:
    """Complete a gate whose flags name no verdicts: by those of the start, else of the settings.

    Raises ConfigurationError for verdicts that no start can have had.
    """
    if gate.fail_on:
        return gate
    if not remembered:
        return replace(gate, fail_on=read_fail_on(session, None))
    try:
        chosen = parse_fail_on(remembered)
    except (AttributeError, ValueError) as problem:
        raise unusable(problem) from None
    session.note(f"tm: as at the start, the gate fails on {','.join(sorted(chosen))}")
    return replace(gate, fail_on=chosen)


def unusable(problem: Exception) -> ConfigurationError:
    """Return the error that says why what was remembered is of no use."""
    return ConfigurationError(
        f"what was remembered of the last run cannot be used: {clean(problem)}",
        hint="name the run instead of --last",
    )
