"""The script of the job for GitHub: it passes a cancelled job's signal on to `tm`. Pure.

`tm init --check` knows this text again. Whatever differs is judged as if written by hand.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain, combinations

from tm_cli.exit_codes import ExitCode
from tm_cli.scaffold.shell import read_script

SOFT_WORDS = {
    ExitCode.WARN: "WARN: accepted with a warning; the reasons stand above",
    ExitCode.NO_BASELINE: "NO_BASELINE: no earlier run to compare with, so nothing was compared",
}

_WARNING = re.compile(r"(::warning title=Load test::)[^\"$`\\]*(?=\")")


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


def is_waiting_block(script: str) -> bool:
    """Whether a script is the block around some gate, whatever it warns with."""
    lines = _plain(script)
    if len(lines) < 2 or not lines[1].endswith(" &"):
        return False
    command = lines[1].removesuffix(" &")
    if len(read_script(command).commands) != 1 or read_script(command).commands[0].after:
        return False
    choices = chain.from_iterable(
        combinations(SOFT_WORDS, count) for count in range(len(SOFT_WORDS) + 1)
    )
    return any(lines == _plain(waiting_block(command, soft)) for soft in choices)


def _plain(script: str) -> list[str]:
    """The lines without indentation, comments and the words of warnings."""
    bare = (re.sub(r"(?:^|\s)#.*", "", line).strip() for line in script.splitlines())
    return [_WARNING.sub(r"\1", line) for line in bare if line]
