"""The action with the embedded server: a history that survives the job, also a red one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.process.action.programs import make_real
from tests.simulation.scale import whole
from tm_cli.demo.demo import DemoService
from tm_cli.exit_codes import ExitCode

pytestmark = [pytest.mark.process, whole]

PROFILE = """
name: local
endpointUrl: {url}/
httpMethod: GET
duration: 10s
points: [[0, 10], [10, 10]]
"""


class Cache:
    """Stands in for the actions that fetch and keep the history: one directory per job."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self.workspace = place
        self.kept: list[str] = []

    def fetch(self, given):
        for name in self._files(given):
            if (self._place / name).exists():
                (self.workspace / ".tm").mkdir(exist_ok=True)
                shutil.copy(self._place / name, self.workspace / ".tm")
        return {}

    def keep(self, given):
        self.kept = [path.name for path in (self.workspace / ".tm").iterdir()]
        for name in self._files(given):
            if (self.workspace / ".tm" / name).exists():
                shutil.copy(self.workspace / ".tm" / name, self._place)
        return {}

    def _files(self, given):
        return [Path(line).name for line in given["path"].splitlines()]


def test_a_later_job_knows_the_history_of_a_red_one(make_runner, tmp_path):
    place = tmp_path / "cache"
    place.mkdir()
    cache = Cache(place)
    runner = make_runner(
        make_real(tmp_path),
        stand_ins={"Fetch the history": cache.fetch, "Keep the history": cache.keep},
    )
    with DemoService(delay=0.02) as target:
        red = job(runner, cache, tmp_path / "first", target.url)
        assert red.steps["Load test"].code == ExitCode.NO_BASELINE, red.log
        assert "server.json" not in cache.kept, "the server was still there"
        assert [path.name for path in place.iterdir()] == ["tm.db"]
        # Only the history knows this name, and that it has one run.
        later = job(runner, cache, tmp_path / "second", None, profile="local", baseline="999")
    assert later.steps["Load test"].code == ExitCode.REFUSED, later.log
    assert "999" in later.steps["Load test"].log, later.log


def job(runner, cache, workspace, url, **given):
    runner.workspace = cache.workspace = workspace
    workspace.mkdir()
    if url is not None:
        (workspace / "local.yaml").write_text(PROFILE.format(url=url), encoding="utf-8")
    return runner.run(
        **{"profile": "local.yaml", "base_url": "local", "fail_on": "NO_BASELINE", **given}
    )
