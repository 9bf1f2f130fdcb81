"""The table of Runloop endpoints: complete, and true of the program."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.services.runloop import outcome

PAGE = Path(__file__).parents[3] / "docs" / "systems.md"
ROW = re.compile(r"\| `(?P<method>[A-Z]+) (?P<path>/v1/[^`]+)` \| (?P<commands>.+) \|")
IN_THE_CONTRACT = 21


def rows():
    section = PAGE.read_text(encoding="utf-8").partition("\n## Runloop\n")[2].partition("\n## ")[0]
    return [
        (found["method"], found["path"], command)
        for found in map(ROW.fullmatch, section.splitlines())
        if found
        for command in re.findall(r"`tm ([^`]+)`", found["commands"])
    ]


@pytest.fixture
def ids(world):
    """Something of each kind, so that every command finds what it names."""
    world.benchmark(scenarios=2)
    run = world.finished_run((1.0, 1.0))
    job = world._create_job({"spec": {"agent_configs": [], "benchmark_id": "bmd_1"}})
    job.update(state="completed", benchmark_outcomes=[outcome({"scn_1": 1.0, "scn_2": 1.0})])
    going = world._new_run({"benchmark_id": "bmd_1"})
    return {
        "BENCHMARK": "bmd_1",
        "SCENARIO": "scn_1",
        "RUN": run["id"],
        "JOB": job["id"],
        "ATTEMPT": next(iter(world.scenario_runs)),
        "NAME": "a",
        "--run RUN": f"--run {going['id']}",
    }


def test_table_has_every_endpoint_of_the_contract():
    assert len({(method, path) for method, path, _ in rows()}) == IN_THE_CONTRACT


@pytest.mark.parametrize(("method", "path", "command"), rows())
def test_command_reaches_its_endpoint(bench, world, ids, method, path, command):
    words = command.replace("--run RUN", ids["--run RUN"]).split()[1:]
    result = bench(*[ids.get(word, word) for word in words])
    assert result.exit_code == 0, result.stderr
    pattern = re.compile(re.sub(r"\{\w+\}", "[^/]+", path))
    assert [item for item in world.requests(method) if pattern.fullmatch(item.path)]


def test_every_request_that_is_sent_is_in_the_table(bench, world, ids):
    known = {(method, re.sub(r"\{\w+\}", "[^/]+", path)) for method, path, _ in rows()}
    for _, _, line in rows():
        words = line.replace("--run RUN", ids["--run RUN"]).split()[1:]
        bench(*[ids.get(word, word) for word in words])
    for request in world.seen:
        assert any(
            request.method == method and re.fullmatch(path, request.path) for method, path in known
        ), f"{request.method} {request.path}"
