"""Results as lines for people and as data for machines. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tm_cli.errors import TmError
from tm_cli.selftest.scenarios import Result, Scenario
from tm_cli.values.text import clean

_MOST_NAMES = 5


def line(result: Result, width: int) -> str:
    """Name, what must come, what came, how long it took; names take `width` columns.

    What tm said stands below a result that is wrong.
    """
    name = result.scenario.name.ljust(width)
    if result.skipped:
        return f"skipped  {name}  {result.skipped}"
    mark = "right" if result.is_right else "WRONG"
    head = (
        f"{mark:<7}  {name}  expected {_codes(result.scenario):<6}  got {_got(result.code):<4}"
        f"  {result.seconds:4.1f} s  {result.scenario.claim}"
    )
    if result.is_right:
        return head
    return "\n".join([head, *(f"         {detail}" for detail in _details(result))])


def _details(result: Result) -> list[str]:
    details = [f"| {clean(said)}" for said in result.said]
    if result.runs != result.scenario.runs:
        details.append(f"runs started: {result.runs}, expected {result.scenario.runs}")
    return details


def listing(scenarios: Sequence[Scenario]) -> str:
    """Name, expected exit code and claim of each scenario, aligned."""
    width = max(len(scenario.name) for scenario in scenarios)
    return "\n".join(
        f"{scenario.name.ljust(width)}  {_codes(scenario):<6}  {scenario.claim}"
        for scenario in scenarios
    )


def summary(results: Sequence[Result], seconds: float) -> str:
    """The last line of a selftest in which everything came as it must."""
    played = sum(not result.skipped for result in results)
    skipped = len(results) - played
    more = f"; {skipped} skipped" if skipped else ""
    return f"{played} of {played} scenarios ended as they must, in {seconds:.0f} s{more}"


def failure(results: Sequence[Result]) -> TmError | None:
    """What makes a selftest red: a wrong result, or none at all."""
    played = [result for result in results if not result.skipped]
    wrong = [result.scenario.name for result in played if not result.is_right]
    if not played:
        return TmError("nothing was proved: every scenario was skipped")
    if not wrong:
        return None
    return TmError(
        f"{len(wrong)} of {len(played)} scenarios ended otherwise than they must: "
        + ", ".join([*wrong[:_MOST_NAMES], *(["..."] if wrong[_MOST_NAMES:] else [])]),
        hint="do not rely on the gate here before they are right; each of them can be played "
        f"alone: tm selftest --only {wrong[0]}",
    )


def scenario_data(scenario: Scenario) -> dict[str, Any]:
    """A scenario as data."""
    return {
        "name": scenario.name,
        "claim": scenario.claim,
        "expected": [int(code) for code in scenario.expected],
        "expected_runs": scenario.runs,
    }


def result_data(result: Result) -> dict[str, Any]:
    """A scenario and what came of it as data."""
    return {
        **scenario_data(result.scenario),
        "exit_code": result.code,
        "runs": result.runs,
        "seconds": round(result.seconds, 3),
        "right": None if result.skipped else result.is_right,
        "skipped": result.skipped,
        "said": [] if result.is_right else list(result.said),
    }


def _codes(scenario: Scenario) -> str:
    return " or ".join(str(int(code)) for code in scenario.expected)


def _got(code: int | None) -> str:
    return "none" if code is None else str(code)
