"""With the embedded server, the history goes from job to job, also when the gate is red."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from tests.process.action.composite_runner import Runner
from tests.process.action.programs import make_recorder

pytestmark = pytest.mark.process

FETCH, KEEP = "Fetch the history", "Keep the history"


def keys(result):
    return result.steps[KEEP].given["key"], result.steps[FETCH].given


@pytest.mark.parametrize("code", [0, 2, 143])
def test_the_history_is_fetched_and_kept_whatever_the_outcome(code, make_runner, tmp_path):
    result = make_runner(make_recorder(tmp_path, code=code).path).run(profile="p", base_url="local")
    kept, fetched = keys(result)
    assert kept == fetched["key"]
    assert re.match(r"tm-2-Linux-X64-\d+-\d+-refs/heads/main~4711-1-", kept)
    names = list(result.steps)
    assert names.index(FETCH) < names.index("Load test") < names.index(KEEP)


def test_only_the_database_is_kept_and_not_the_key_beside_it(make_runner, tmp_path):
    result = make_runner(make_recorder(tmp_path).path).run(profile="p", base_url="local")
    for step in (FETCH, KEEP):
        assert result.steps[step].given["path"] == ".tm/tm.db"


def test_a_pull_request_meets_the_history_of_its_base_before_its_own(make_runner, tmp_path):
    env = {"GITHUB_REF": "refs/pull/7/merge", "GITHUB_BASE_REF": "release,1"}
    runner = make_runner(make_recorder(tmp_path).path, env=env)
    _, fetched = keys(runner.run(profile="p", base_url="local"))
    refs = ("refs/heads/release_1~", "refs/heads/main~", "refs/pull/7/merge~")
    assert "-refs/pull/7/merge~" in fetched["key"]
    new, old = history_name(fetched["key"]), "tm-1-Linux-X64"
    assert fetched["restore-keys"].split() == [f"{at}-{ref}" for at in (new, old) for ref in refs]


def history_name(key):
    """What a key says before the branch."""
    return key.partition("-refs/")[0]


BASE = {"profile": "p", "working_directory": ".", "history": ""}


@pytest.mark.parametrize(
    ("given", "env"),
    [
        ({"profile": "q"}, {}),
        ({"profile": "p\nq"}, {}),
        ({"working_directory": "sub"}, {}),
        ({"history": "arm"}, {}),
        ({}, {"GITHUB_JOB": "other"}),
    ],
    ids=str,
)
def test_jobs_that_test_different_things_have_histories_of_their_own(
    given, env, make_runner, tmp_path
):
    tm = make_recorder(tmp_path)
    (tmp_path / "workspace" / "sub").mkdir()

    def name(env, **given):
        result = make_runner(tm.path, env=env).run(base_url="local", **{**BASE, **given})
        return history_name(keys(result)[0])

    usual = name({"GITHUB_JOB": "gate"})
    assert name({"GITHUB_JOB": "gate"}) == usual
    assert name({"GITHUB_JOB": "gate", **env}, **given) != usual


def test_jobs_of_a_matrix_have_histories_of_their_own(make_runner, tmp_path):
    """Two versions of a service, tested with one profile, are no baselines of each other."""
    tm = make_recorder(tmp_path)

    def name(matrix):
        result = make_runner(tm.path, matrix=matrix).run(base_url="local", **BASE)
        return history_name(keys(result)[0])

    names = [name(matrix) for matrix in (None, {"service": "1"}, {"service": "2\n$(id)"})]
    assert len(set(names)) == 3
    assert name({"service": "1"}) == names[1]


def test_a_pull_request_with_the_rights_of_its_base_does_not_write_the_history_of_the_base(
    make_runner, tmp_path
):
    """`pull_request_target` runs with the name of the branch that it would change."""
    env = {"GITHUB_REF": "refs/heads/main", "GITHUB_BASE_REF": "main"}
    result = make_runner(make_recorder(tmp_path).path, env=env).run(profile="p", base_url="local")
    assert result.conclusion == "success"
    assert result.steps[FETCH].outcome == "success"
    assert result.steps[KEEP].outcome == "skipped"


def test_history_of_an_earlier_release_is_read_until_there_is_a_new_one(make_runner, tmp_path):
    fetched = keys(make_runner(make_recorder(tmp_path).path).run(profile="p", base_url="local"))[1]
    wanted = fetched["restore-keys"].split()

    def restored(cache):
        return next((key for want in wanted for key in cache if key.startswith(want)), None)

    old, new = "tm-1-Linux-X64-refs/heads/main~1-1-a", fetched["key"]
    assert restored([old]) == old
    assert restored([old, new]) == new


def test_two_gates_of_one_job_keep_their_histories_under_two_keys(make_runner, tmp_path):
    runner = make_runner(make_recorder(tmp_path).path)
    first, second = (runner.run(profile="p", base_url="local") for _ in range(2))
    assert keys(first)[0] != keys(second)[0]


def test_what_an_earlier_step_has_left_is_not_replaced(make_runner, tmp_path):
    runner = make_runner(make_recorder(tmp_path).path)
    (runner.workspace / ".tm").mkdir()
    (runner.workspace / ".tm" / "tm.db").touch()
    result = runner.run(profile="p", base_url="local")
    assert result.steps[FETCH].outcome == "skipped"
    assert result.steps[KEEP].outcome == "success"


@pytest.mark.parametrize("left", ["tm.db-journal", "server.json"])
def test_a_database_that_is_not_whole_is_not_kept(left, make_runner, tmp_path):
    tm = make_recorder(tmp_path)
    runner = make_runner(tm.path)
    (runner.workspace / ".tm").mkdir()
    for name in ("tm.db", left):
        (runner.workspace / ".tm" / name).touch()
    faster(runner)
    result = runner.run(profile="p", base_url="local")
    assert result.steps[KEEP].outcome == "skipped"
    assert "::warning title=tm::" in result.steps["Let the embedded server end"].log
    assert result.conclusion == "success"


def faster(runner):
    """A `sleep` that takes no time, first in the search path of the steps."""
    place = runner.workspace.parent / "faster"
    place.mkdir()
    (place / "sleep").write_text("#!/bin/sh\n", encoding="utf-8")
    (place / "sleep").chmod(0o755)
    runner.env["PATH"] = f"{place}:{runner.env.get('PATH', os.environ['PATH'])}"


def test_history_of_another_checkout_is_not_kept_for_later_jobs(make_runner, tmp_path):
    """The workspace is no repository where `actions/checkout` was given a path."""
    env = {"TM_DATA_DIR": "sub/.tm"}
    runner = make_runner(make_recorder(tmp_path, code=78).path, env=env)
    (runner.workspace / "sub" / ".tm").mkdir(parents=True)
    (runner.workspace / "sub" / ".tm" / "tm.db").touch()
    for words in (["init", "--quiet"], ["add", "--force", ".tm/tm.db"]):
        subprocess.run(["git", *words], cwd=runner.workspace / "sub", check=True)
    result = runner.run(profile="p", base_url="local", working_directory="sub")
    assert not {FETCH, KEEP} & set(result.ran())


@pytest.mark.parametrize("path", [".tm/tm.db", ".tm"])
def test_what_a_repository_brings_is_neither_replaced_nor_kept_for_later_jobs(
    path, make_runner, tmp_path
):
    runner = make_runner(make_recorder(tmp_path, code=78).path)
    (tmp_path / "elsewhere").mkdir()
    if path == ".tm":
        (runner.workspace / ".tm").symlink_to(tmp_path / "elsewhere")
    else:
        (runner.workspace / ".tm").mkdir()
        (runner.workspace / path).touch()
    for words in (["init", "--quiet"], ["add", "--force", path]):
        subprocess.run(["git", *words], cwd=runner.workspace, check=True)
    result = runner.run(profile="p", base_url="local")
    assert not {FETCH, KEEP} & set(result.ran())
    assert result.steps["Load test"].code == 78
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize(
    "given", [{}, {"base_url": "https://load.example"}, {"base_url": "local", "cache": "false"}]
)
def test_nothing_is_kept_for_other_servers_or_when_it_is_turned_off(given, make_runner, tmp_path):
    result = make_runner(make_recorder(tmp_path).path).run(profile="p", **given)
    assert not {FETCH, KEEP, "Let the embedded server end"} & set(result.ran())


@pytest.mark.parametrize("step", [FETCH, KEEP])
def test_a_cache_that_is_down_leaves_the_outcome_alone(step, make_runner, tmp_path):
    def lose(_given):
        raise OSError("no cache")

    runner = make_runner(make_recorder(tmp_path).path, stand_ins={step: lose})
    result = runner.run(profile="p", base_url="local")
    assert result.conclusion == "success"
    assert result.steps["Load test"].outcome == "success"


def test_the_server_keeps_its_data_where_the_cache_looks(make_runner, tmp_path):
    tm = make_recorder(tmp_path)
    runner = make_runner(tm.path)
    (runner.workspace / "sub").mkdir()
    runner.run(profile="p", base_url="local", working_directory="sub")
    data = runner.workspace / ".tm"
    assert tm.call("runs")["env"]["TM_DATA_DIR"] == str(data)
    assert data.stat().st_mode & 0o777 == 0o700
    assert (data / ".gitignore").read_text(encoding="utf-8") == "*\n"


def test_a_directory_of_the_job_is_used_and_kept(make_runner, tmp_path):
    tm = make_recorder(tmp_path)
    env = {"TM_DATA_DIR": str(tmp_path / "a b"), "TM_BASE_URL": "local"}
    result = make_runner(tm.path, env=env).run(profile="p")
    assert tm.call("runs")["env"]["TM_DATA_DIR"] == env["TM_DATA_DIR"]
    assert result.steps[KEEP].given["path"] == f"{env['TM_DATA_DIR']}/tm.db"


def test_the_history_is_kept_once_the_server_has_left(make_runner, tmp_path):
    runner: Runner = make_runner(make_recorder(tmp_path).path)
    announced = runner.workspace / ".tm" / "server.json"
    announced.parent.mkdir()
    announced.touch()
    seen = []

    def leave(name: str, process: subprocess.Popen[str]) -> None:
        if name == "Let the embedded server end":
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(timeout=0.5)
            announced.unlink()
            seen.append(name)

    runner.watch = leave
    assert runner.run(profile="p", base_url="local").steps[KEEP].outcome == "success"
    assert seen
