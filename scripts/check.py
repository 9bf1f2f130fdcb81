"""Static checks of pages, help texts and imports: `python scripts/check.py [NAME ...]`.

Prints one line for each violation and exits with 1 when there is one. Names choose checks.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from itertools import chain

from checks import (
    architecture,
    command_lines,
    generated,
    help_texts,
    links,
    named_files,
    named_tests,
)

Check = Callable[[], Iterable[str]]
CHECKS: dict[str, Check] = {
    "architecture": architecture.findings,
    "links": links.findings,
    "command-lines": lambda: chain(command_lines.findings(), command_lines.nothing_to_check()),
    "help-texts": help_texts.findings,
    "named-files": named_files.findings,
    "named-tests": named_tests.findings,
    "generated": generated.findings,
}


def main(names: list[str]) -> int:
    """Run the named checks, or all of them, and return the exit code."""
    if unknown := [name for name in names if name not in CHECKS]:
        print(f"no check {', '.join(unknown)}; there are: {', '.join(CHECKS)}", file=sys.stderr)
        return 64
    chosen = names or list(CHECKS)
    found = [f"{name}: {text}" for name in chosen for text in CHECKS[name]()]
    for line in found:
        print(line)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
