"""Exit codes in a report."""

from __future__ import annotations

from tm_cli.evidence.fields import Fields, NotEvidence
from tm_cli.exit_codes import ExitCode


def read_code(fields: Fields) -> ExitCode:
    """Return `exit_code`, which `exit_name` must name."""
    try:
        code = ExitCode(fields.integer("exit_code"))
    except ValueError:
        raise NotEvidence(f"{fields.where} has an exit_code that is none") from None
    if fields.text("exit_name") != code.name:
        raise NotEvidence(f"{fields.where}: exit_code {int(code)} is not called {code.name}")
    return code
