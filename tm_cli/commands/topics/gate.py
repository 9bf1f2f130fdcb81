"""`tm help gate`."""

from __future__ import annotations

from tm_cli.runtime.terminal import Terminal

_TEXT = """\
A gate starts a run, waits for it, finds the verdict of exactly that run and turns it
into an exit code:

  tm runs start checkout --wait --fail-on FAIL,WARN

Exit code 0 needs all of this: the run that this very command started has ended, its
own history entry was found, its verdict is known and not in --fail-on, and every
--assert was measured and holds. Everything else has a code of its own; see
`tm help exit-codes`.

Which verdicts fail it
  --fail-on FAIL,WARN,NO_BASELINE    without it, the verdict informs and decides nothing
  --assert "p95<400ms"               a condition of your own, beside the verdict
  --assert "p99<+10%"                the same, compared with the baseline
  --confirm 2                        repeat a run that would fail; red only if all do

What it is compared with
  (nothing)                          the server chooses an earlier run
  --baseline 42                      this run of the history; `tm baseline pin 42` for good
  --against URL                      the other target, in one run: needs no history

How long it waits
  --wait-timeout 30m                 for the end of the run; then 6, and the run goes on
  --verdict-timeout 60s              for the verdict after the end; then 5

A start is sent once. When its answer is lost, the command ends with 7 and says how to
look. An interrupted wait prints the command that picks the run up again; where CI is
set, or with --on-interrupt stop, it stops the run.

  tm runs wait --last

`tm doctor` looks whether all this can work here."""


def gate(_terminal: Terminal) -> str:
    """Return the page."""
    return _TEXT
