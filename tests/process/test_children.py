"""Programs that tm starts: what they import, and which variables they get. Real processes."""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import time
import zipapp
from pathlib import Path

import psutil
import pytest
from pytest_httpserver import HTTPServer

from tm_cli.demo import demo
from tm_cli.exit_codes import ExitCode
from tm_cli.runtime import child_environment
from tm_cli.runtime.local_server import launch
from tm_cli.selftest.runner import run_scenarios
from tm_cli.selftest.scenarios import SCENARIOS
from tm_cli.server.engine.job import EngineJob
from tm_cli.server.workers.local_worker import EngineProcess

pytestmark = pytest.mark.process

PATIENCE = 30
TM = [sys.executable, "-P", "-m", "tm_cli"]
OWN_NAMES = ("tm_cli", "sitecustomize", "usercustomize")
SECRETS = {
    "TM_API_KEY": "tm_secret_1",
    "RUNLOOP_API_KEY": "secret_2",
    "STRAIT_API_KEY": "secret_3",
    "GITHUB_TOKEN": "secret_4",
    "AWS_SECRET_ACCESS_KEY": "secret_5",
    "CI_JOB_TOKEN": "secret_6",
    "DATABASE_URL": "secret_7",
    "SSLKEYLOGFILE": "secret_8",
    "HTTPS_PROXY": "http://secret_9.invalid",
    "LOCUST_PLAYWRIGHT": "secret_10",
    "PYTHON_KEYRING_BACKEND": "secret_11",
    "PYTHONSTARTUP": "secret_12",
    "FORWARDED_ALLOW_IPS": "*",
}
posix = pytest.mark.skipif(os.name != "posix", reason="a shell script stands in")


def module_names() -> set[str]:
    installed = importlib.metadata.packages_distributions()
    names = {*sys.stdlib_module_names, *installed, *OWN_NAMES}
    return {name for name in names if name.isidentifier()}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> Path:
    """A directory with a file for every module that tm could import; each tells of its import."""
    directory = tmp_path_factory.mktemp("hostile")
    (directory / "tm.toml").touch()
    told = directory.with_name("imported")
    text = f"with open({str(told)!r}, 'a') as file: file.write(__name__ + '\\n')\n"
    for name in module_names():
        (directory / f"{name}.py").write_text(text, encoding="utf-8")
    for name in ("tm_cli", "locust", "gevent", "uvicorn"):
        (directory / name).mkdir()
        for file in ("__init__.py", "__main__.py"):
            (directory / name / file).write_text(text, encoding="utf-8")
    return directory


@pytest.fixture(autouse=True)
def forget_imports(request):
    if "hostile" in request.fixturenames:
        imported(request.getfixturevalue("hostile"))


def imported(directory: Path) -> list[str]:
    told = directory.with_name("imported")
    names = told.read_text(encoding="utf-8").split() if told.exists() else []
    told.unlink(missing_ok=True)
    return names


def variables(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TM_")}
    return {**kept, "TM_BASE_URL": "local", **more}


def call(directory: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*TM, *words],
        cwd=directory,
        env=variables(**more),
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )


def document(directory: Path, target: HTTPServer) -> str:
    target.expect_request("/").respond_with_data("")
    fields = {
        "name": "p",
        "duration": 10,
        "endpointUrl": target.url_for("/"),
        "points": [[0, 20], [10, 20]],
    }
    (directory / "p.json").write_text(json.dumps(fields), encoding="utf-8")
    return "p.json"


def until(condition):
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


# What is imported


def test_the_names_are_really_hostile(hostile):
    asked = [sys.executable, "-c", "import queue, sqlite3, locust, tm_cli"]
    subprocess.run(asked, cwd=hostile, check=False, capture_output=True, timeout=PATIENCE)
    assert {"queue", "sqlite3", "locust", "tm_cli"} <= {*imported(hostile)}


def test_local_server_and_its_engine_import_nothing_from_the_working_directory(hostile, httpserver):
    result = call(hostile, "runs", "start", document(hostile, httpserver))
    assert result.returncode == ExitCode.OK, result.stderr
    until(lambda: httpserver.log)
    assert call(hostile, "runs", "stop", "1").returncode == ExitCode.OK
    assert imported(hostile) == []
    until(lambda: not (hostile / ".tm" / "server.json").exists())


@pytest.mark.parametrize("search", [".", f"{os.pathsep}relative"])
def test_relative_import_path_does_not_reach_the_local_server(tmp_path, search):
    """Python itself reads `sitecustomize` and `encodings` before tm is asked."""
    (tmp_path / "tm.toml").touch()
    (tmp_path / "relative").mkdir()
    for name in ("secrets", "sqlite3", "uvicorn"):
        for directory in (tmp_path, tmp_path / "relative"):
            (directory / f"{name}.py").write_text("raise SystemExit(99)", encoding="utf-8")
    result = call(tmp_path, "profiles", "list", PYTHONPATH=search)
    assert result.returncode == ExitCode.OK, result.stderr


def test_absolute_import_path_is_kept_for_children(tmp_path):
    search = os.pathsep.join(["", str(tmp_path), "relative", "."])
    given = child_environment.environment({"PYTHONPATH": search})["PYTHONPATH"].split(os.pathsep)
    assert given[0] == str(tmp_path)
    assert all(Path(entry).is_absolute() for entry in given)


def test_tm_run_as_a_module_imports_nothing_from_the_working_directory(tmp_path):
    probe = [sys.executable, "-P", "-c", "import runpy, sys; print(*sys.modules)"]
    by_python_itself = {*subprocess.check_output(probe, encoding="utf-8").split()}
    for name in module_names() - by_python_itself - {"tm_cli"}:
        (tmp_path / f"{name}.py").write_text("raise SystemExit(99)", encoding="utf-8")
    result = subprocess.run(
        [sys.executable, "-m", "tm_cli", "config", "show"],
        cwd=tmp_path,
        env=variables(),
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )
    assert result.returncode == ExitCode.OK, result.stderr


WHERE = """
import os, subprocess
from tm_cli.runtime import child_environment
child_environment.clean_import_path()
words = [*child_environment.command("x")[:-2], "-c", "import tm_cli; print(tm_cli.__file__)"]
subprocess.run(words, env=child_environment.environment(os.environ), check=True)
"""


@pytest.mark.parametrize("kind", ["relative", "absolute", "archive"])
def test_tm_that_is_not_installed_is_found_by_its_children(tmp_path, kind):
    """After `pip install --target vendor`, or packed into one file."""
    vendor = tmp_path / "vendor"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(child_environment.__file__).parents[1], vendor / "tm_cli", ignore=ignored)
    (vendor / "__main__.py").write_text(WHERE, encoding="utf-8")
    if kind == "archive":
        zipapp.create_archive(vendor, tmp_path / "vendor.pyz")
        words, place, more = ["vendor.pyz"], tmp_path / "vendor.pyz", {}
    else:
        words, place = ["-c", WHERE], vendor
        more = {"PYTHONPATH": "vendor" if kind == "relative" else str(vendor)}
    done = subprocess.run(
        [sys.executable, *words],
        cwd=tmp_path,
        env=variables(**more),
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )
    assert done.stdout.strip() == str(place / "tm_cli" / "__init__.py"), done.stderr


def test_agent_and_its_engine_import_nothing_from_the_working_directory(
    hostile, httpserver, tmp_path
):
    serving = subprocess.Popen(
        [*TM, "serve", "--port", "0", "--data-dir", str(tmp_path / "data"), "--json"],
        cwd=hostile,
        env=variables(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with serving, (tmp_path / "agent.log").open("wb") as log:
        info = json.loads(serving.stdout.readline())
        key = Path(info["api_key_file"]).read_text(encoding="utf-8").strip()
        server = {"TM_BASE_URL": info["base_url"], "TM_API_KEY": key}
        words = [*TM, "agent", "--region", "here"]
        agent = subprocess.Popen(words, cwd=hostile, env=variables(**server), stderr=log)
        try:
            until(lambda: b"connected" in Path(log.name).read_bytes())
            name = document(tmp_path, httpserver)
            result = call(tmp_path, "runs", "start", name, "--region", "here", **server)
            assert result.returncode == ExitCode.OK, result.stderr
            until(lambda: httpserver.log)
        finally:
            for process in (agent, serving):
                process.terminate()
                process.wait(PATIENCE)
    assert imported(hostile) == []


def test_selftest_children_import_nothing_from_the_working_directory(hostile):
    result = call(hostile, "selftest", "--only", "pass")
    assert (result.returncode, imported(hostile)) == (ExitCode.OK, []), result.stdout


def test_demo_children_import_nothing_from_their_directory(hostile):
    step = demo.DemoStep("", 0.0, "tm config show", ExitCode.OK)
    assert demo._exit_code(step, hostile, os.environ, lambda text: None) == ExitCode.OK
    assert imported(hostile) == []


# Which variables are passed on


def leaked(environ: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name in SECRETS}


@pytest.fixture
def surroundings(monkeypatch, tmp_path):
    """Our own environment, with secrets in it and settings of the user."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TM_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    monkeypatch.setenv("TM_CA_FILE", str(tmp_path / "own.pem"))
    monkeypatch.setenv("LC_MESSAGES", "C")


def test_local_server_gets_its_settings_and_no_secret(surroundings, tmp_path):
    server = launch(tmp_path / ".tm")
    try:
        found = psutil.Process(server.pid).environ()
    finally:
        server.close()
    assert leaked(found) == {}
    assert found["TM_CONFIG_DIR"] == str(tmp_path / "config")
    assert found["SSL_CERT_FILE"] == str(tmp_path / "ca.pem")
    assert found["TM_CA_FILE"] == str(tmp_path / "own.pem")
    assert found["PYTHONSAFEPATH"] == "1"
    assert found["PATH"]
    until(lambda: not (tmp_path / ".tm" / "server.json").exists())


JOB = EngineJob(run_id="r", target_url="http://127.0.0.1:9/", points=[(0, 1)], duration=1)


def test_engine_gets_no_secret_and_no_setting(surroundings, tmp_path):
    async def environment_of_an_engine() -> dict[str, str]:
        show = "import json, os; print(json.dumps(dict(os.environ)))"
        engine = await EngineProcess.start([sys.executable, "-c", show], JOB.to_line())
        found = [line async for line in engine.lines(patience=PATIENCE)]
        await engine.close()
        return json.loads(found[0])

    found = asyncio.run(environment_of_an_engine())
    assert leaked(found) == {}
    assert [name for name in found if name.startswith("TM_")] == []
    assert found["SSL_CERT_FILE"] == str(tmp_path / "ca.pem")
    assert found["LC_MESSAGES"] == "C"


@posix
def test_selftest_children_get_no_secret_but_what_a_pipeline_sets(surroundings, tmp_path):
    shell = tmp_path / "bin" / "sh"
    shell.parent.mkdir()
    seen = tmp_path / "seen"
    shell.write_text(f'#!/bin/sh\nenv > {seen}\nexec /bin/sh "$@"\n', encoding="utf-8")
    shell.chmod(0o755)
    environ = dict(os.environ) | {
        "PATH": f"{shell.parent}{os.pathsep}{os.environ['PATH']}",
        "CI": "true",
        "MAKEFLAGS": "-s",
    }
    through_a_shell = [item for item in SCENARIOS if item.name == "shell"]
    results = list(run_scenarios(through_a_shell, environ))
    found = dict(line.split("=", 1) for line in seen.read_text().splitlines() if "=" in line)
    assert [result.passed for result in results] == [True]
    assert leaked(found) == {
        "TM_API_KEY": found["TM_API_KEY"],
        "HTTPS_PROXY": SECRETS["HTTPS_PROXY"],
    }
    assert found["TM_API_KEY"] != SECRETS["TM_API_KEY"]
    assert (found["CI"], found["MAKEFLAGS"]) == ("true", "-s")


def test_demo_children_get_no_secret(surroundings, tmp_path):
    """`config show` fails on a variable that is not usable, and prints where settings are from."""
    environ = dict(os.environ) | {"TM_FAIL_ON": "nonsense", "STRAIT_BASE_URL": "nonsense"}
    step = demo.DemoStep("", 0.0, "tm config show", ExitCode.OK)
    assert demo._exit_code(step, tmp_path, environ, lambda text: None) == ExitCode.OK


def test_what_is_relative_is_not_passed_on(tmp_path):
    absolute = str(tmp_path)
    given = {
        "PATH": os.pathsep.join(["", absolute, "bin"]),
        "LD_LIBRARY_PATH": os.pathsep,
        "PYTHONPYCACHEPREFIX": "cache",
        "OPENSSL_MODULES": "modules",
        "PYTHONUSERBASE": absolute,
    }
    found = child_environment.environment(given)
    assert found["PATH"] == absolute
    assert found["PYTHONUSERBASE"] == absolute
    assert "LD_LIBRARY_PATH" not in found
    assert "PYTHONPYCACHEPREFIX" not in found
    assert "OPENSSL_MODULES" not in found
