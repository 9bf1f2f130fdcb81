"""The results of checks: a line per check, and what to do about it below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tm_cli.render.tables import columns
from tm_cli.runtime.terminal import Terminal
from tm_cli.values.check_result import CheckResult, Status, worst
from tm_cli.values.text import clean

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
        return f"Nothing stands in the way of a gate{warnings}."
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

    text = Text(clean(item.text))
    return text.append(f"\nfix: {clean(item.fix)}", style="bold") if item.fix else text
