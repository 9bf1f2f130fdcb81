"""The script of the job for GitHub: it passes a cancelled job's signal on to `tm`.

`tm init --check` knows this text again. Whatever differs is judged as if written by hand.
"""

from __future__ import annotations

from collections.abc import Sequence

from tm_cli.exit_codes import ExitCode

SOFT_WORDS = {
    ExitCode.WARN: "WARN: accepted with a warning; the reasons stand above",
    ExitCode.NO_BASELINE: "NO_BASELINE: no earlier run to compare with, so nothing was compared",
}


def waiting_block(command: str, soft: Sequence[ExitCode]) -> str:
    """Return the lines that run a gate and end with its code; the `soft` ones only warn."""
    head = f"""\
trap 'kill "$!"; wait "$!"' INT TERM # a cancelled job ends its run, too
{command} &
code=0
wait "$!" || code=$?
"""
    if not soft:
        return head + 'exit "$code"\n'
    cases = "".join(
        f'  {int(code)}) echo "::warning title=Load test::{SOFT_WORDS[code]}" ;;\n' for code in soft
    )
    return f"""\
{head}case $code in
{cases}  *) exit "$code" ;;
esac
"""
