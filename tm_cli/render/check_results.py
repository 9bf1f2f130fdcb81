"""The results of checks: a line per check, and what to do about it below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tm_cli.errors import TmError
from tm_cli.render.tables import columns
from tm_cli.runtime.terminal import Terminal
from tm_cli.selftest.scenarios import ScenarioResult, SelftestScenario
from tm_cli.values.check_result import CheckResult, Status, worst
from tm_cli.values.text import sanitize

if TYPE_CHECKING:
    from rich.text import Text

_STYLES = {
    Status.OK: "green",
    Status.WARNING: "yellow",
    Status.PROBLEM: "bold red",
    Status.SKIPPED: "dim",
}


def results_table(terminal: Terminal, results: Sequence[CheckResult]) -> str:
    """Return the table of `tm doctor` and of `tm init --check`."""
    rows = [(_status(item.status), _name(item, results), _text(item)) for item in results]
    return columns(terminal, ("STATUS", "CHECK", "FOUND"), rows)


def result_data(result: CheckResult) -> dict[str, Any]:
    """Return one result for `--json`."""
    return {
        "check": result.check,
        "system": result.system,
        "status": result.status.value,
        "text": result.text,
        "fix": result.fix,
        "exit_code": int(result.code),
        "facts": dict(result.facts),
    }


def conclusion(results: Sequence[CheckResult]) -> str:
    """Say what a gate would meet."""
    decisive = worst(results)
    if decisive is None:
        count = sum(item.status is Status.WARNING for item in results)
        warnings = {0: "", 1: "; one warning"}.get(count, f"; {count} warnings")
        return f"A gate can run here{warnings}."
    return (
        f"A gate would end with {int(decisive.code)} ({decisive.code.name}), "
        f"because of this check: {_name(decisive, results)}."
    )


def _name(item: CheckResult, results: Sequence[CheckResult]) -> str:
    """The check, and whose server it is about where there are several."""
    systems = {result.system for result in results if result.system}
    return f"{item.system}: {item.check}" if item.system and len(systems) > 1 else item.check


def _status(status: Status) -> Text:
    from rich.text import Text

    return Text(status.value, style=_STYLES[status])


def _text(item: CheckResult) -> Text:
    from rich.text import Text

    text = Text(sanitize(item.text))
    return text.append(f"\nfix: {sanitize(item.fix)}", style="bold") if item.fix else text


_MAX_NAMES = 5


def line(result: ScenarioResult, width: int) -> str:
    """Name, expected and actual exit code, duration; names take `width` columns.

    The last lines of tm follow below a failed scenario.
    """
    name = result.scenario.name.ljust(width)
    if result.skipped:
        return f"skipped  {name}  {result.skipped}"
    mark = "PASS" if result.passed else "FAIL"
    head = (
        f"{mark:<7}  {name}  expected {_codes(result.scenario):<6}  got {_got(result.code):<4}"
        f"  {result.seconds:4.1f} s  {result.scenario.claim}"
    )
    if result.passed:
        return head
    return "\n".join([head, *(f"         {detail}" for detail in _details(result))])


def _details(result: ScenarioResult) -> list[str]:
    details = [f"| {sanitize(text)}" for text in result.last_lines]
    if result.runs != result.scenario.runs:
        details.append(f"runs started: {result.runs}, expected {result.scenario.runs}")
    return details


def listing(scenarios: Sequence[SelftestScenario]) -> str:
    width = max(len(scenario.name) for scenario in scenarios)
    return "\n".join(
        f"{scenario.name.ljust(width)}  {_codes(scenario):<6}  {scenario.claim}"
        for scenario in scenarios
    )


def summary(results: Sequence[ScenarioResult], seconds: float) -> str:
    """The last line of a selftest without a failure."""
    checked = sum(not result.skipped for result in results)
    skipped = len(results) - checked
    more = f"; {skipped} skipped" if skipped else ""
    return f"{checked} of {checked} scenarios passed in {seconds:.0f} s{more}"


def failure(results: Sequence[ScenarioResult]) -> TmError | None:
    """The error of a selftest that failed or in which every scenario was skipped."""
    checked = [result for result in results if not result.skipped]
    failed = [result.scenario.name for result in checked if not result.passed]
    if not checked:
        return TmError("nothing was checked: every scenario was skipped")
    if not failed:
        return None
    return TmError(
        f"{len(failed)} of {len(checked)} scenarios failed: "
        + ", ".join([*failed[:_MAX_NAMES], *(["..."] if failed[_MAX_NAMES:] else [])]),
        hint="do not rely on the gate in this environment until they pass; run one of them "
        f"with: tm selftest --only {failed[0]}",
    )


def scenario_data(scenario: SelftestScenario) -> dict[str, Any]:
    return {
        "name": scenario.name,
        "claim": scenario.claim,
        "expected": [int(code) for code in scenario.expected],
        "expected_runs": scenario.runs,
    }


def scenario_result_data(result: ScenarioResult) -> dict[str, Any]:
    return {
        **scenario_data(result.scenario),
        "exit_code": result.code,
        "runs": result.runs,
        "seconds": round(result.seconds, 3),
        "right": None if result.skipped else result.passed,
        "skipped": result.skipped,
        "said": [] if result.passed else list(result.last_lines),
    }


def _codes(scenario: SelftestScenario) -> str:
    return " or ".join(str(int(code)) for code in scenario.expected)


def _got(code: int | None) -> str:
    return "none" if code is None else str(code)
