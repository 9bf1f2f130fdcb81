"""The jobs that `tm init` writes, run as the platforms run them."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
import yaml

from tests.process.pipeline_runners import Platform, gitlab_color, run_github, run_gitlab
from tests.simulation.scale import whole
from tm_cli import __version__
from tm_cli.demo.demo import DemoService
from tm_cli.exit_codes import ExitCode

GITHUB, GITLAB = ".github/workflows/load.yml", ".gitlab-ci.yml"
FLAGS = ("--url", "http://10.0.0.4/shop", "--rate", "50", "--duration", "10s")
PINNED = re.compile(r"[\w-]+/[\w/-]+@[0-9a-f]{40}")

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(
        os.name == "nt" or shutil.which("bash") is None, reason="needs a POSIX system with bash"
    ),
]


@pytest.fixture
def init(tm):
    """Write a set-up and return its directory."""

    def run(platform, *flags):
        result = tm("init", *FLAGS, "--ci", platform, *flags)
        assert result.exit_code == 0, result.stderr
        return tm.cwd

    return run


def answering(code, *, says=""):
    """A `tm` that exits with `code`."""
    return f"mkdir -p .tm; echo run >> .tm/tm.db; echo '{says}'\nexit {int(code)}\n"


def job_of(path):
    [job] = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values()
    return job


@pytest.mark.parametrize("code", list(ExitCode), ids=lambda code: code.name)
def test_github_job_is_red_for_every_code_but_the_soft_ones(init, tmp_path, code):
    platform = Platform(tmp_path / "runner", tm=answering(code))
    job = run_github(init("github") / GITHUB, platform, event="push", ref="main")
    soft = {ExitCode.OK, ExitCode.WARN, ExitCode.NO_BASELINE}
    assert job.code == (0 if code in soft else code)
    warned = [line for line in job.output.splitlines() if line.startswith("::warning ")]
    assert len(warned) == (code in {ExitCode.WARN, ExitCode.NO_BASELINE})


@pytest.mark.parametrize("code", list(ExitCode), ids=lambda code: code.name)
def test_gitlab_job_is_red_for_every_code_but_the_soft_ones(init, tmp_path, code):
    directory = init("gitlab")
    platform = Platform(tmp_path / "runner", tm=answering(code))
    job = run_gitlab(directory / GITLAB, directory, platform, {"TM_CACHE_POLICY": "pull"})
    assert job.code == code
    soft = {ExitCode.WARN: "orange", ExitCode.NO_BASELINE: "orange", ExitCode.OK: "green"}
    assert gitlab_color(directory / GITLAB, job.code) == soft.get(code, "red")


@pytest.mark.parametrize(
    ("fail_on", "code", "color"),
    [
        ("FAIL", ExitCode.NO_BASELINE, "orange"),
        ("FAIL,WARN", ExitCode.WARN, "orange"),
        ("FAIL,NO_BASELINE", ExitCode.NO_BASELINE, "red"),
        ("FAIL,WARN,NO_BASELINE", ExitCode.WARN, "orange"),
        ("FAIL,WARN,NO_BASELINE", ExitCode.NO_BASELINE, "red"),
    ],
)
def test_baseline_that_was_asked_for_is_no_soft_failure(init, tmp_path, fail_on, code, color):
    directory = init("gitlab", "--fail-on", fail_on)
    assert gitlab_color(directory / GITLAB, code) == color
    init("github", "--fail-on", fail_on)
    platform = Platform(tmp_path / "runner", tm=answering(code))
    job = run_github(directory / GITHUB, platform, event="push", ref="main")
    assert (job.code != 0) == (color == "red")


@pytest.mark.parametrize("platform_name", ["github", "gitlab"])
def test_failing_installation_is_red_whatever_pip_returns(init, tmp_path, platform_name):
    directory = init(platform_name)
    platform = Platform(tmp_path / "runner", tm=answering(0))
    platform.environ({})
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "python").write_text("#!/bin/sh\nexit 3\n", encoding="utf-8")
    (broken / "python").chmod(0o755)
    text = (directory / (GITHUB if platform_name == "github" else GITLAB)).read_text("utf-8")
    document = yaml.safe_load(text)
    if platform_name == "github":
        scripts = [
            s["run"] for s in document["jobs"]["load-test"]["steps"] if "pip" in s.get("run", "")
        ]
    else:
        scripts = ["\n".join(document["load-test"]["script"])]
    [script] = scripts
    path = os.pathsep.join([str(broken), str(tmp_path / "runner" / "tools"), os.environ["PATH"]])
    ended = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script],
        cwd=directory, env={"PATH": path, "TM_PACKAGE": "x"}, check=False, capture_output=True,
    )  # fmt: skip
    assert ended.returncode != 0
    if platform_name == "gitlab":
        assert gitlab_color(directory / GITLAB, ended.returncode) == "red"


def test_jobs_install_the_version_that_wrote_them(init, tmp_path):
    directory = init("github")
    platform = Platform(tmp_path / "runner", tm=answering(0))
    run_github(directory / GITHUB, platform, event="push", ref="main")
    init("gitlab")
    run_gitlab(directory / GITLAB, directory, platform, {})
    run_gitlab(directory / GITLAB, directory, platform, {"TM_PACKAGE": "./tm cli.whl[local]"})
    pinned = f"-m pip install tm-cli[local]=={__version__}"
    assert platform.installed == [pinned, pinned, "-m pip install ./tm cli.whl[local]"]


def test_pull_requests_meet_the_history_of_their_base_and_do_not_add_to_it(init, tmp_path):
    directory = init("github")
    platform = Platform(tmp_path / "runner", tm=answering(0))

    def run(event, ref, run_id, base=""):
        shutil.rmtree(directory / ".tm", ignore_errors=True)
        run_github(directory / GITHUB, platform, event=event, ref=ref, base=base, run_id=run_id)
        return (directory / ".tm" / "tm.db").read_text(encoding="utf-8").count("run")

    assert run("push", "main", "1") == 1
    assert run("push", "main", "2") == 2
    assert run("push", "main-2", "3") == 1, "another branch, though its name begins alike"
    assert run("pull_request", "5/merge", "4", base="main") == 3
    assert run("pull_request", "6/merge", "5", base="main") == 3
    assert len(platform.cache) == 3


def test_merge_requests_read_the_history_that_the_default_branch_writes(init, tmp_path):
    directory = init("gitlab")
    job = yaml.safe_load((directory / GITLAB).read_text(encoding="utf-8"))["load-test"]
    policies = {rule["if"]: rule["variables"]["TM_CACHE_POLICY"] for rule in job["rules"]}
    assert list(policies.values()) == ["pull", "pull-push"]
    platform = Platform(tmp_path / "runner", tm=answering(ExitCode.NO_BASELINE))
    for policy, kept in (("pull", 0), ("pull-push", 1)):
        run_gitlab(directory / GITLAB, directory, platform, {"TM_CACHE_POLICY": policy})
        assert len(platform.cache) == kept
    assert job["cache"]["unprotect"] is True


@pytest.mark.parametrize("platform", ["github", "gitlab"])
def test_key_of_the_embedded_server_is_in_no_cache(init, platform):
    directory = init(platform)
    (directory / ".tm").mkdir()
    for name in ("api-key", "server.json", "tm.db", "tm.db-journal", "tm.db-wal"):
        (directory / ".tm" / name).write_text("x", encoding="utf-8")
    for path in kept_paths(directory, platform):
        assert {found.name for found in directory.glob(path)} == {"tm.db"}


def kept_paths(directory, platform):
    """What the caches of a written job name."""
    if platform == "gitlab":
        return yaml.safe_load((directory / GITLAB).read_text("utf-8"))["load-test"]["cache"][
            "paths"
        ]
    steps = job_of(directory / GITHUB)["steps"]
    return [step["with"]["path"] for step in steps if "actions/cache" in step.get("uses", "")]


@pytest.mark.parametrize("left", ["tm.db-journal", "server.json"])
def test_database_that_is_not_whole_is_not_kept_on_github(init, tmp_path, left):
    directory = init("github")
    tm = f"{answering(0)}".replace("exit 0", f"touch .tm/{left}\nexit 0")
    platform = Platform(tmp_path / "runner", tm=tm, waits=False)
    job = run_github(directory / GITHUB, platform, event="push", ref="main")
    assert job.code == 0
    assert platform.cache == {}
    assert "::warning title=Load test::no history is kept" in job.output


def test_database_with_a_journal_is_not_kept_on_gitlab(init, tmp_path):
    directory = init("gitlab")
    tm = answering(0).replace("exit 0", "touch .tm/tm.db-journal\nexit 0")
    platform = Platform(tmp_path / "runner", tm=tm)
    assert run_gitlab(directory / GITLAB, directory, platform, PUSHED).code == 0
    assert platform.cache == {}


def test_database_of_a_server_that_was_killed_idle_is_kept_on_gitlab(init, tmp_path):
    directory = init("gitlab")
    tm = answering(0).replace("exit 0", "touch .tm/server.json\nexit 0")
    platform = Platform(tmp_path / "runner", tm=tm, waits=False)
    assert run_gitlab(directory / GITLAB, directory, platform, PUSHED).code == 0
    assert len(platform.cache) == 1


PUSHED = {"TM_CACHE_POLICY": "pull-push"}


def test_workflow_may_only_read_and_pins_what_it_uses(init):
    path = init("github") / GITHUB
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    uses = [step["uses"] for step in job_of(path)["steps"] if "uses" in step]
    assert len(uses) == 4
    assert all(PINNED.fullmatch(name) for name in uses)


@pytest.mark.parametrize("server", ["local", "https://load.example"])
@pytest.mark.parametrize("tool", ["actionlint", "zizmor"])
def test_linters_of_workflows_find_nothing(init, tool, server):
    beside = os.path.join(os.path.dirname(sys.executable), tool)  # noqa: PTH118, PTH120
    found = shutil.which(beside) or shutil.which(tool)
    if found is None:
        pytest.skip(f"{tool} is not installed")
    path = init("github", "--server", server) / GITHUB
    flags = ["--offline", "--no-progress"] if tool == "zizmor" else ["-no-color"]
    ended = subprocess.run(
        [found, *flags, str(path)], capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_cancelled_github_job_ends_tm_and_is_red(init, tmp_path, number):
    directory = init("github")
    tm = 'trap "echo told > told; exit 143" TERM\ntouch going\nwhile :; do sleep 0.05; done\n'
    platform = Platform(tmp_path / "runner", tm=tm)
    [script] = [
        s["run"] for s in job_of(directory / GITHUB)["steps"] if "tm runs" in s.get("run", "")
    ]
    process = subprocess.Popen(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=directory, env=platform.environ({}), stdout=subprocess.DEVNULL, process_group=0,
    )  # fmt: skip
    try:
        _await(lambda: (directory / "going").exists())
        process.send_signal(number)
        assert process.wait(timeout=10) != 0
        _await(lambda: (directory / "told").exists())
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def _await(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize("code", [ExitCode.OK, ExitCode.WARN, ExitCode.UNDECIDED])
def test_make_target_fails_when_the_gate_does(init, tmp_path, code):
    directory = init("make")
    platform = Platform(tmp_path / "runner", tm='echo "$TM_BASE_URL $@"\n' + answering(code))
    ended = subprocess.run(
        ["make", "load-test"], cwd=directory, env=platform.environ({}),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ended.returncode == 0) == (code == ExitCode.OK)
    assert "local runs start shop.yaml --wait --fail-on FAIL,WARN\n" in ended.stdout


@whole
def test_written_jobs_run_green_on_real_load(init, tmp_path):
    """A push on GitHub makes the baseline; the same history lets a GitLab job compare."""
    platform = Platform(tmp_path / "runner")
    with DemoService(delay=0.05) as target:
        url = ("--url", f"{target.url}/shop")
        directory = init("github", *url)
        first = run_github(directory / GITHUB, platform, event="push", ref="main")
        assert first.code == 0, first.output
        assert "::warning title=Load test::NO_BASELINE" in first.output
        [history] = platform.cache.values()
        platform.cache = {"tm-shop": history}
        shutil.rmtree(directory / ".tm")
        init("gitlab", *url)
        second = run_gitlab(directory / GITLAB, directory, platform, {"TM_CACHE_POLICY": "pull"})
    assert gitlab_color(directory / GITLAB, second.code) in {"green", "orange"}, second.output
    assert second.code != ExitCode.NO_BASELINE, second.output
    assert "500 requests, 0 errors" in second.output
    assert (directory / "load-test.xml").exists()
