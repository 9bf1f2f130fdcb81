"""`tm help verdicts`."""

from __future__ import annotations

from tm_cli.gate.verdict import GATED, Verdict
from tm_cli.render.tables import columns
from tm_cli.runtime.terminal import Terminal

MEANINGS = {
    Verdict.PASS: "The run is no worse than what it was compared with.",
    Verdict.WARN: "Something is worse, or too little was measured to be sure.",
    Verdict.FAIL: "Something is worse by more than its limit and by more than noise.",
    Verdict.NO_BASELINE: "There is no earlier run that it could be compared with.",
    Verdict.UNKNOWN: "A word that this version does not know; never a pass (5).",
}

_BEFORE = """\
The verdict is the server's, about one run that has ended:
"""

_AFTER = """\
A rise counts when it is larger than its limit and larger than the noise of both
runs. The limits stand in the profile document or in the table [gate] of tm.toml.

The first run of a profile is a NO_BASELINE, and so is one whose curve, target or
duration has changed. Where there is a history, use --fail-on FAIL,WARN,NO_BASELINE,
so that a changed curve cannot switch the gate off.

`tm history show ID` prints what a verdict rests on, `tm history compare A B` sets two
runs side by side, `tm baseline pin ID` chooses the measure."""


def verdicts(terminal: Terminal) -> str:
    """Return the page, with a row per verdict."""
    rows = [
        (verdict.value, f"--fail-on {verdict.value}" if verdict in GATED else "-", meaning)
        for verdict, meaning in MEANINGS.items()
    ]
    return f"{_BEFORE}\n{columns(terminal, ('VERDICT', 'FAILS WITH', 'MEANING'), rows)}\n\n{_AFTER}"
