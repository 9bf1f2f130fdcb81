"""The jobs that `tm init` writes, run as the platforms run them."""

import os
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from tests.process.pipeline_runners import Platform, gitlab_color, run_github, run_gitlab
from tests.simulation.scale import whole
from tests.simulation.schedules import Schedule
from tests.simulation.socket_server import SocketServer
from tests.simulation.trafficmorph.world import Truth
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
def test_github_job_is_red_for_every_code_but_ok(init, tmp_path, code):
    """WARN and a missing baseline do not come as codes there: `tm` lets them pass by itself."""
    platform = Platform(tmp_path / "runner", tm=answering(code))
    job = run_github(init("github") / GITHUB, platform, event="push", ref="main")
    assert job.code == code


@pytest.mark.parametrize(
    ("verdict", "code", "level"),
    [
        ("PASS", ExitCode.OK, None),
        ("WARN", ExitCode.OK, "warning"),
        ("NO_BASELINE", ExitCode.OK, "notice"),
        ("FAIL", ExitCode.FAIL, "error"),
        (None, ExitCode.UNDECIDED, "error"),
    ],
)
def test_github_job_shows_a_first_run_as_a_notice(init, tmp_path, verdict, code, level):
    """The written workflow with tm itself, against a simulated server."""
    truth = Truth(verdict, duration=0.2, verdict_delay=0.1, row_delay=0.1)
    directory = init("github", "--server", "https://load.example")
    with SocketServer(Schedule(1, truth)) as server:
        path = directory / GITHUB
        text = path.read_text(encoding="utf-8").replace("https://load.example/", server.url)
        quick = "poll-interval: 50ms\n          verdict-timeout: 1s\n          artifact:"
        text = text.replace("artifact:", quick).replace("profile: shop.yaml", "profile: 42")
        path.write_text(text, encoding="utf-8")
        (directory / "tm.toml").unlink()  # it names that server, too
        job = run_github(path, Platform(tmp_path / "runner"), event="push", ref="main")
    assert job.code == code, job.output
    found = re.findall("^::(error|warning|notice) ", job.output, re.MULTILINE)
    assert found == ([level] if level else [])


@pytest.mark.parametrize("code", list(ExitCode), ids=lambda code: code.name)
def test_gitlab_job_is_red_for_every_code_but_the_soft_ones(init, tmp_path, code):
    directory = init("gitlab")
    platform = Platform(tmp_path / "runner", tm=answering(code))
    job = run_gitlab(directory / GITLAB, directory, platform, {})
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
    [_, gate] = job_of(directory / GITHUB)["steps"]
    assert (code.name in gate["with"]["fail-on"].split(",")) == (color == "red")


def test_failing_installation_is_red_whatever_pip_returns(init, tmp_path):
    directory = init("gitlab")
    platform = Platform(tmp_path / "runner", tm=answering(0))
    platform.environ({})
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "python").write_text("#!/bin/sh\nexit 3\n", encoding="utf-8")
    (broken / "python").chmod(0o755)
    script = "\n".join(
        yaml.safe_load((directory / GITLAB).read_text("utf-8"))["load-test"]["script"]
    )
    path = os.pathsep.join([str(broken), str(tmp_path / "runner" / "tools"), os.environ["PATH"]])
    ended = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script],
        cwd=directory, env={"PATH": path, "TM_PACKAGE": "x"}, check=False, capture_output=True,
    )  # fmt: skip
    assert ended.returncode != 0
    assert gitlab_color(directory / GITLAB, ended.returncode) == "red"


def test_jobs_install_the_version_that_wrote_them(init, tmp_path):
    directory = init("github")
    [_, gate] = job_of(directory / GITHUB)["steps"]
    assert gate["uses"].endswith(f"/tm@v{__version__}")
    platform = Platform(tmp_path / "runner", tm=answering(0))
    init("gitlab")
    run_gitlab(directory / GITLAB, directory, platform, {"TM_API_KEY": "a-key"})
    run_gitlab(directory / GITLAB, directory, platform, {"TM_PACKAGE": "./tm cli.whl[local]"})
    assert platform.installed == [
        f"-m pip install tm-cli[local]=={__version__} key= wheels=:all:",
        "-m pip install ./tm cli.whl[local] key= wheels=:all:",
    ]


def test_pull_requests_meet_the_history_of_their_base_and_do_not_add_to_it(init, tmp_path):
    directory = init("github")
    platform = Platform(tmp_path / "runner", tm=answering(0))

    def run(event, ref, run_id, base=""):
        shutil.rmtree(directory / ".tm", ignore_errors=True)
        run_github(directory / GITHUB, platform, event=event, ref=ref, base=base, run_id=run_id)
        return (directory / ".tm" / "tm.db").read_text(encoding="utf-8").count("run")

    assert run("push", "main", "1") == 1
    assert run("push", "main", "2") == 2
    assert run("push", "main-2", "3") == 3, "a new branch begins with the default branch's"
    assert run("push", "main-2", "3") == 4, "and goes on with its own, though the name begins alike"
    assert run("pull_request", "5/merge", "4", base="main") == 3
    assert run("pull_request", "6/merge", "5", base="main") == 3
    assert run("pull_request", "5/merge", "6", base="main") == 3, "its own runs do not count"
    assert run("push", "main", "7") == 3


def test_merge_requests_have_histories_of_their_own(init, tmp_path):
    """Nobody who may only open a merge request writes what the default branch is compared with."""
    directory = init("gitlab")
    cache = yaml.safe_load((directory / GITLAB).read_text(encoding="utf-8"))["load-test"]["cache"]
    assert not {"unprotect", "fallback_keys"} & cache.keys()
    platform = Platform(tmp_path / "runner", tm=answering(ExitCode.NO_BASELINE))

    def run(**variables):
        shutil.rmtree(directory / ".tm", ignore_errors=True)
        run_gitlab(directory / GITLAB, directory, platform, variables)
        return (directory / ".tm" / "tm.db").read_text(encoding="utf-8").count("run")

    main, change = {"CI_COMMIT_REF_SLUG": "main"}, {"CI_COMMIT_REF_SLUG": "change"}
    assert [run(**main), run(**main)] == [1, 2]
    assert [run(**change, CI_MERGE_REQUEST_IID="7"), run(**change, CI_MERGE_REQUEST_IID="7")] == [
        1,
        2,
    ]
    assert run(**main, CI_MERGE_REQUEST_IID="8") == 1, "a fork may call its branch main, too"
    assert run(**main) == 3


def test_key_of_the_embedded_server_is_in_no_cache(init):
    directory = init("gitlab")
    (directory / ".tm").mkdir()
    for name in ("api-key", "server.json", "tm.db", "tm.db-journal", "tm.db-wal"):
        (directory / ".tm" / name).write_text("x", encoding="utf-8")
    job = yaml.safe_load((directory / GITLAB).read_text("utf-8"))["load-test"]
    for path in job["cache"]["paths"]:
        assert {found.name for found in directory.glob(path)} == {"tm.db"}


@pytest.mark.parametrize("left", ["tm.db-journal", "server.json"])
def test_database_that_is_not_whole_is_not_kept_on_github(init, tmp_path, left):
    directory = init("github")
    tm = f"{answering(0)}".replace("exit 0", f"touch .tm/{left}\nexit 0")
    platform = Platform(tmp_path / "runner", tm=tm, waits=False)
    job = run_github(directory / GITHUB, platform, event="push", ref="main")
    assert job.code == 0
    assert platform.cache == {}
    assert "::warning title=tm::the embedded server has not ended" in job.output


def test_database_with_a_journal_is_not_kept_on_gitlab(init, tmp_path):
    directory = init("gitlab")
    tm = answering(0).replace("exit 0", "touch .tm/tm.db-journal\nexit 0")
    platform = Platform(tmp_path / "runner", tm=tm)
    assert run_gitlab(directory / GITLAB, directory, platform, {}).code == 0
    assert platform.cache == {}


def test_database_of_a_server_that_was_killed_idle_is_kept_on_gitlab(init, tmp_path):
    directory = init("gitlab")
    tm = answering(0).replace("exit 0", "touch .tm/server.json\nexit 0")
    platform = Platform(tmp_path / "runner", tm=tm, waits=False)
    assert run_gitlab(directory / GITLAB, directory, platform, {}).code == 0
    assert len(platform.cache) == 1


def test_workflow_may_read_and_comment_and_pins_what_it_uses(init):
    path = init("github") / GITHUB
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    assert job_of(path)["permissions"] == {"contents": "read", "pull-requests": "write"}
    [checkout, gate] = [step["uses"] for step in job_of(path)["steps"]]
    assert PINNED.fullmatch(checkout)
    assert gate == f"OWNER/tm@v{__version__}"


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
        assert "::notice title=tm%3A NO_BASELINE" in first.output
        [history] = platform.cache.values()
        platform.cache = {"tm-shop-main-": history}
        shutil.rmtree(directory / ".tm")
        init("gitlab", *url)
        second = run_gitlab(directory / GITLAB, directory, platform, {"CI_COMMIT_REF_SLUG": "main"})
    assert gitlab_color(directory / GITLAB, second.code) in {"green", "orange"}, second.output
    assert second.code != ExitCode.NO_BASELINE, second.output
    assert "500 requests, 0 errors" in second.output
    assert (directory / "load-test.xml").exists()
