"""Text from servers never becomes a command of the CI runner or of the terminal."""

from __future__ import annotations

import csv
import io
import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from xml.etree import ElementTree as ET

import pytest
from markdown_it import MarkdownIt

from tests.simulation.github_runner import commands, other_systems, steering
from tests.simulation.report import say
from tests.simulation.scale import seeds
from tests.simulation.sinks import STRINGS_PER_CASE, Case, outputs
from tests.simulation.volume import in_pieces

pytestmark = pytest.mark.volume

STRINGS = 10_000
OURS = re.compile(r"^::(?:error|warning|notice) title=[^:,\n]*::", re.MULTILINE)
"""How an annotation of ours begins; nothing in its text may be a command as well."""

OUTPUTS = ["verdict", "outcome", "exit-code", "baseline-run-id", "metrics", "reasons"]
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
            meant = OURS.sub("", output) if sink == "annotations" else output
            for command in (*commands(meant), *other_systems(meant)):
                yield sink, f"TM_FAULT_SEED={seed}: {command[:80]!r}"


def _unreadable(sink: str, output: str) -> str | None:
    """Why a program could not read what is meant for programs."""
    try:
        if sink == "junit":
            ET.fromstring(output)
        elif sink.startswith("json"):
            json.loads(output)
        elif sink in READERS:
            READERS[sink](output)
        output.encode()
    except (ValueError, ET.ParseError) as problem:
        return str(problem)
    return None


CSV_ROWS = 1 + 2 * 6
"""The head, and a row for each of the six numbers of two runs without series."""


def _read_csv(output: str) -> None:
    """No cell is a formula, and no text has made a row or a cell of its own."""
    rows = list(csv.reader(io.StringIO(output)))
    if any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row):
        raise ValueError("a cell is a formula")
    if any(len(row) != len(rows[0]) for row in rows) or len(rows) != CSV_ROWS:
        raise ValueError("a text has left its cell")


def _read_dotenv(output: str) -> None:
    if not re.fullmatch(r"(?:TM_[A-Z_]+=[A-Za-z0-9._:/,-]*\n){7}", output):
        raise ValueError("a value is not safe to source")


def _read_metrics(output: str) -> None:
    if not output.endswith("# EOF\n") or output.count("tm_exit_code{") > 2:
        raise ValueError("a label has left its quotes")
    for line in output.splitlines():
        if not line.startswith("# ") and not re.fullmatch(SAMPLE, line):
            raise ValueError(f"{line!r} is no sample")


SAMPLE = r'tm_[a-z_]+\{(?:[a-z]+="(?:[^"\\]|\\["\\])*",?)+\} [0-9.e+-]+'


def _read_outputs(output: str) -> None:
    if [line.partition("=")[0] for line in output.splitlines()] != OUTPUTS:
        raise ValueError("a value has set an output of its own")


def _read_annotations(output: str) -> None:
    if not all(OURS.match(line) for line in output.splitlines()):
        raise ValueError("a text has left its annotation")


def _read_markdown(output: str) -> None:
    """Rendered, it holds no element, link or picture that our page does not make."""
    tokens = MARKDOWN.parse(output)
    for token in tokens:
        if token.type == "html_block" and not set(re.findall(r"<[^>]*>", token.content)) <= FOLDS:
            raise ValueError(f"HTML: {token.content!r}")
        for inner in token.children or ():
            found = str(inner.attrs.get("href", ""))  # this parser alone links `//host`
            if inner.type == "image" or (inner.type == "link_open" and not found.startswith("//")):
                raise ValueError(f"a link: {inner.attrs}")
            if inner.type == "html_inline" and inner.content != "<!-- -->":
                raise ValueError(f"HTML: {inner.content!r}")


MARKDOWN = MarkdownIt("gfm-like", {"html": True})
FOLDS = {"<details>", "</details>", "<summary>", "</summary>", "<!-- -->"}
READERS = {
    "csv": _read_csv,
    "dotenv": _read_dotenv,
    "metrics": _read_metrics,
    "outputs": _read_outputs,
    "annotations": _read_annotations,
    "markdown report": _read_markdown,
}


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
