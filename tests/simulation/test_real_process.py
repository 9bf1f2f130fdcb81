"""The program itself over real sockets that break, hang and lie."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.simulation import process
from tests.simulation.checkers import violations
from tests.simulation.report import say
from tests.simulation.scale import seeds

pytestmark = pytest.mark.volume

PROCESSES = 100
AT_ONCE = 4


def test_no_schedule_breaks_an_invariant(tmp_path):
    def judge(seed: int) -> tuple[int | None, list[str]]:
        schedule = process.generate(seed)
        home = Path(tmp_path, str(seed))
        home.mkdir()
        recording = process.run(schedule, home)
        wrong = violations(schedule, recording)
        told = [f"{text}\n  {schedule}\n  {recording.texts}" for text in wrong]
        return recording.exit_code, told

    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = list(pool.map(judge, seeds(PROCESSES)))
    codes = sorted({code for code, _ in results if code is not None})
    wrong = [text for _, told in results for text in told]
    say(f"{len(results)} processes, exits {codes}, {len(wrong)} violations")
    assert wrong == []
