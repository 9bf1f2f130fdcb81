"""A job in an empty workspace, with the installation of tm left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.process.action.composite_runner import Runner, has_bash

GITHUB = {"token": "ghs_0123456789", "event": {"repository": {"default_branch": "main"}}}


@pytest.fixture
def make_runner(tmp_path: Path) -> Callable[..., Runner]:
    """Return a runner whose action calls a given program as tm."""
    if not has_bash():
        pytest.skip("needs a POSIX system with bash")
    workspace, temp = tmp_path / "workspace", tmp_path / "temp"
    workspace.mkdir()
    temp.mkdir()

    def make(program: Path | None = None, env: Mapping[str, str] | None = None, **more: Any):
        stand_ins = more.pop("stand_ins", {})
        if program is not None:
            stand_ins = {"Install tm": lambda _given: {"tm": str(program)}, **stand_ins}
        return Runner(workspace, temp, env or {}, GITHUB, stand_ins, **more)

    return make
