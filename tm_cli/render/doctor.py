"""What `tm doctor` has found: a line per check, and what to do about it below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tm_cli.doctor.finding import Finding, Status, worst
from tm_cli.render.tables import columns
from tm_cli.runtime.terminal import Terminal
from tm_cli.values.text import clean

if TYPE_CHECKING:
    from rich.text import Text

_STYLES = {
    Status.OK: "green",
    Status.WARN: "yellow",
    Status.FAIL: "bold red",
    Status.SKIPPED: "dim",
}


def show_diagnosis(terminal: Terminal, findings: Sequence[Finding]) -> str:
    """Return the table and a last line that says what a gate would meet."""
    rows = [(_status(item.status), _name(item, findings), _says(item)) for item in findings]
    table = columns(terminal, ("STATUS", "CHECK", "FOUND"), rows)
    return f"{table}\n\n{_conclusion(findings)}"


def diagnosis_data(systems: Sequence[str], findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the findings for `--json`."""
    return {
        "system": systems[0],
        "systems": list(systems),
        "checks": [_data(item) for item in findings],
    }


def diagnosis_error(decisive: Finding | None) -> dict[str, Any] | None:
    """Return the error of the document: the failed check that decides the exit code."""
    if decisive is None:
        return None
    code = decisive.code.name.lower()
    return {"code": code, "message": decisive.text, "hint": decisive.fix}


def _data(item: Finding) -> dict[str, Any]:
    return {
        "check": item.check,
        "system": item.system,
        "status": item.status.value,
        "text": item.text,
        "fix": item.fix,
        "exit_code": int(item.code),
        "facts": dict(item.facts),
    }


def _conclusion(findings: Sequence[Finding]) -> str:
    decisive = worst(findings)
    if decisive is None:
        odd = sum(item.status is Status.WARN for item in findings)
        warnings = {0: "", 1: "; one warning"}.get(odd, f"; {odd} warnings")
        return f"Nothing stands in the way of a gate{warnings}."
    return (
        f"A gate would end with {int(decisive.code)} ({decisive.code.name}), "
        f"because of this check: {_name(decisive, findings)}."
    )


def _name(item: Finding, findings: Sequence[Finding]) -> str:
    """The check, and whose server it is about where there are several."""
    systems = {finding.system for finding in findings if finding.system}
    return f"{item.system}: {item.check}" if item.system and len(systems) > 1 else item.check


def _status(status: Status) -> Text:
    from rich.text import Text

    return Text(status.value, style=_STYLES[status])


def _says(item: Finding) -> Text:
    from rich.text import Text

    said = Text(clean(item.text))
    return said.append(f"\nfix: {clean(item.fix)}", style="bold") if item.fix else said
