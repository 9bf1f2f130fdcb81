"""`tm help exit-codes`."""

from __future__ import annotations

from tm_cli.exit_codes import ExitCode
from tm_cli.render.tables import columns
from tm_cli.runtime.terminal import Terminal

_BEFORE = """\
Every command ends with one of these codes. 2 to 4 come from a verdict or a check
and from nothing else, so a script can tell "the load test says no" from "there is
no answer".
"""

_AFTER = """\
Several runs in one call: the worst outcome decides, in the order 2, 7, 5, 6, 8,
77, 69, 1, 3, 4, 0.

  tm runs start checkout --wait --fail-on FAIL,WARN
  case $? in
    0) echo accepted ;;
    2|3|4) echo "the verdict says no"; exit 1 ;;
    5|6|7) echo "not decided; look before you start another run"; exit 1 ;;
    *) echo "the load test could not be run"; exit 1 ;;
  esac

A pipe ends with the code of its last program: write tm ... > log instead of
tm ... | tee log, or set -o pipefail first."""


def exit_codes(terminal: Terminal) -> str:
    """Return the page, with a row per code."""
    rows = [(int(code), code.name, code.meaning, code.advice) for code in ExitCode]
    table = columns(terminal, ("CODE", "NAME", "WHEN", "WHAT TO DO"), rows)
    return f"{_BEFORE}\n{table}\n\n{_AFTER}"
