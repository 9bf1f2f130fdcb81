"""A model of how GitHub's runner finds workflow commands in the output of a step.

The present form, `::name key=value::data`, must begin the line, white space aside. The legacy form,
`##[name key=value]data`, is found anywhere in it. Both count for a known name only, in any case.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

COMMANDS = frozenset(
    {
        "internal-set-repo-path", "set-env", "set-output", "save-state", "add-path", "add-mask",
        "add-matcher", "remove-matcher", "warning", "error", "notice", "debug", "group",
        "endgroup", "echo", "stop-commands",
    }
)  # fmt: skip
LINE_ENDS = re.compile(r"\r\n|\r|\n")
REDRAWING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
"""What a live view writes itself: cursor movements and colours."""


def commands(output: str) -> Iterator[str]:
    """The commands that a runner would obey."""
    for line in LINE_ENDS.split(output):
        found = _present(line) or _legacy(line)
        if found and found.lower() in COMMANDS:
            yield line.strip()


def _present(line: str) -> str | None:
    text = line.lstrip()
    end = text.find("::", 2)
    return text[2:end].split(" ", 1)[0] if text.startswith("::") and end > 0 else None


def _legacy(line: str) -> str | None:
    at = line.find("##[")
    end = line.find("]", at)
    return line[at + 3 : end].split(" ", 1)[0] if at >= 0 and end > 0 else None


def other_systems(output: str) -> Iterator[str]:
    """Commands of Azure Pipelines and TeamCity, which are found anywhere in a line."""
    yield from re.findall(r"##vso\[\S*|##teamcity\[\S*", output)


def steering(output: str, *, live: bool = False) -> Iterator[str]:
    """Characters that move a cursor, change the terminal or the direction of text."""
    text = REDRAWING.sub("", output) if live else output
    for character in set(text) - ({"\n", "\r"} if live else {"\n"}):
        if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"}:
            yield f"U+{ord(character):04X}"
