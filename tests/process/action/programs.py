"""What the action calls in tests: a recorder in place of tm, or tm itself."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]

RECORDER = """#!{python} -IS
import json, os, sys
words = sys.argv[1:]
with open({record!r}, "a") as file:
    call = dict(words=words, env=dict(os.environ), cwd=os.getcwd())
    file.write(json.dumps(call) + "\\n")
if words[:2] == ["config", "show"]:
    print(json.dumps({{"data": {{"fail_on": {{"value": {fail_on!r}}}}}}}, indent=2))
elif words[0] == "report":
    sys.exit({comment_code})
else:
    for word in words:
        if word.startswith("--report=json="):
            open(word.split("=", 2)[2], "w").write("{{}}")
    sys.exit({code})
"""

REAL = """#!/bin/sh
PYTHONPATH={root} exec {python} -m tm_cli "$@"
"""


@dataclass(frozen=True)
class Recorder:
    """A program that writes down how it was called and exits as it was told."""

    path: Path
    record: Path

    def calls(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.record.read_text(encoding="utf-8").splitlines()]

    def call(self, *first: str) -> dict[str, Any]:
        """The only call that begins with these words."""
        (found,) = [call for call in self.calls() if call["words"][: len(first)] == [*first]]
        return found


def make_recorder(
    directory: Path, *, code: int = 0, comment_code: int = 0, fail_on: str | None = None
) -> Recorder:
    record = directory / "calls.jsonl"
    text = RECORDER.format(
        python=sys.executable,
        record=str(record),
        code=code,
        comment_code=comment_code,
        fail_on=fail_on,
    )
    return Recorder(_program(directory / "recorder", text), record)


def make_real(directory: Path) -> Path:
    """A program that is tm from this checkout."""
    return _program(directory / "real-tm", REAL.format(root=ROOT, python=sys.executable))


def _program(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path
