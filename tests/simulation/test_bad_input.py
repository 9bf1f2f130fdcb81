"""Wrong command lines, variables and files: told in one line, before anything is sent."""

from __future__ import annotations

import io
import tempfile
from contextlib import redirect_stdout
from pathlib import Path
from typing import NoReturn

import pytest

from tests.simulation.clock import VirtualClock
from tests.simulation.mistakes import Mistake, make
from tests.simulation.report import say
from tests.simulation.scale import seeds
from tests.simulation.volume import in_pieces
from tm_cli.main import main
from tm_cli.runtime.environment import Environment
from tm_cli.runtime.terminal import Terminal

pytestmark = pytest.mark.volume

MISTAKES = 2_000
PIECE = 125
USAGE_OR_CONFIGURATION = {64, 78}


def commit(mistake: Mistake, directory: Path) -> tuple[int, str, str]:
    """Run tm with the mistake in an empty directory."""
    work, home = directory / "work", directory / "home"
    work.mkdir()
    home.mkdir()
    if mistake.project is not None:
        (work / "tm.toml").write_bytes(mistake.project)
    if mistake.user is not None:
        (home / "config.toml").write_bytes(mistake.user)
    for name, content in mistake.files.items():
        (work / name).write_bytes(content)
    out, err = io.StringIO(), io.StringIO()
    environ = dict(mistake.environ)
    if environ.get("TM_API_KEY_FILE") in mistake.files:
        environ["TM_API_KEY_FILE"] = str(work / environ["TM_API_KEY_FILE"])
    context = Environment(
        environ=environ,
        terminal=Terminal(out, err, width=100),
        clock=VirtualClock(),
        cwd=work,
        find_user_dir=lambda: home,
        find_state_dir=lambda: directory / "state",
        launch=_no_launch,
    )
    with redirect_stdout(io.StringIO()):  # where the help of a bare `tm` goes
        code = main(list(mistake.argv), context)
    return code, out.getvalue(), err.getvalue()


def _no_launch(_data_dir: Path) -> NoReturn:
    raise AssertionError("a mistake must not start a server")


def wrongs(seed: int) -> list[str]:
    """What tm does wrong with the mistake of a seed."""
    return [f"TM_FAULT_SEED={seed}: {wrong}" for wrong in wrongs_with(make(seed))]


def wrongs_with(mistake: Mistake) -> list[str]:
    with tempfile.TemporaryDirectory() as directory:
        code, out, err = commit(mistake, Path(directory))
    lines = err.splitlines()
    said = [line for line in lines if line.startswith("tm: ")]
    hints = [line for line in lines if line.startswith("hint: ")]
    wrong = []
    if code not in USAGE_OR_CONFIGURATION:
        wrong.append(f"exit {code}")
    if len(said) != 1 or len(hints) > 1 or len(said) + len(hints) != len(lines):
        wrong.append(f"{len(lines)} lines")
    if said and len(said[0]) < len("tm: what is wrong"):
        wrong.append("says nothing")
    if out:
        wrong.append("prints a result")
    if "Traceback" in err or (mistake.environ.get("TM_API_KEY", "").strip() or "\0\0") in err:
        wrong.append("shows what it should not")
    return [f"{what}: {repr(mistake)[:600]}\n{err[-400:]}" for what in wrong]


def judge(chosen: range) -> list[str]:
    return [wrong for seed in chosen for wrong in wrongs(seed)]


def test_every_mistake_is_told_in_one_line_and_sends_nothing():
    chosen = seeds(MISTAKES)
    pieces = [chosen[at : at + PIECE] for at in range(0, len(chosen), PIECE)]
    wrong = [text for part in in_pieces(judge, pieces) for text in part]
    say(f"{len(chosen)} mistakes, {len(wrong)} violations")
    assert wrong == [], "\n\n".join(wrong[:12])
