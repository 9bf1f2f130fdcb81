"""Text from servers never becomes a command of the CI runner or of the terminal."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from xml.etree import ElementTree as ET

import pytest

from faults.github_runner import commands, other_systems, steering
from faults.report import say
from faults.schedules import seeds
from faults.sinks import STRINGS_PER_CASE, Case, outputs
from faults.volume import in_pieces

STRINGS = 10_000
PIECE = 125


def escapes(seed: int) -> Iterator[tuple[str, str]]:
    """Where a case gets through, and as what."""
    try:
        shown = list(outputs(Case(random.Random(f"hostile {seed}"))))
    except Exception as problem:
        yield "crash", f"TM_FAULT_SEED={seed}: {problem!r}"
        return
    for sink, output, live in shown:
        if problem := _unreadable(sink, output):
            yield sink, f"TM_FAULT_SEED={seed}: {problem}"
        for character in steering(output, live=live):
            yield sink, character
        if not live:  # a runner gives no terminal
            for command in (*commands(output), *other_systems(output)):
                yield sink, f"TM_FAULT_SEED={seed}: {command[:80]!r}"


def _unreadable(sink: str, output: str) -> str | None:
    """Why a program could not read what is meant for programs."""
    try:
        if sink == "junit":
            ET.fromstring(output)
        elif sink.startswith("json"):
            json.loads(output)
        output.encode()
    except (ValueError, ET.ParseError) as problem:
        return str(problem)
    return None


def judge(chosen: range) -> list[tuple[str, str]]:
    return [found for seed in chosen for found in escapes(seed)]


def test_nothing_escapes():
    chosen = seeds(STRINGS // STRINGS_PER_CASE)
    pieces = [chosen[at : at + PIECE] for at in range(0, len(chosen), PIECE)]
    found = [escape for part in in_pieces(judge, pieces) for escape in part]
    say(f"{len(chosen) * STRINGS_PER_CASE} strings, {len(found)} escapes")
    assert found == [], f"{Counter(sink for sink, _ in found)} {found[:8]}"


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ("::error::x", 1),
        ("  ::error::x", 1),
        ("::Set-Output name=a::b", 1),
        ("text ::error::x", 0),
        ("::unknown::x", 0),
        ("::error:x", 0),
        ("text ##[error]x", 1),
        ("##[add-mask]x", 1),
        ("##[unknown]x", 0),
        ("# #[error]x", 0),
        ("PASS\r::error::x", 1),
    ],
)
def test_the_model_of_the_runner(line, count):
    assert len(list(commands(line))) == count
