"""The action installs tm into a place of its own, from its own release unless told otherwise."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import re
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.process.action.composite_runner import ACTION
from tests.process.action.programs import make_recorder
from tests.simulation.scale import whole

pytestmark = pytest.mark.process

PIP = """#!{python} -IS
import json, os, sys
words = sys.argv[1:]
with open({record!r}, "a") as file:
    file.write(json.dumps(dict(words=words, env=dict(os.environ), cwd=os.getcwd())) + "\\n")
if "venv" in words:
    os.makedirs(words[-1] + "/bin")
    os.symlink(sys.argv[0], words[-1] + "/bin/python")
"""


@pytest.fixture
def fake_python(tmp_path):
    """An interpreter that writes down what it should have installed."""
    recorder = make_recorder(tmp_path)
    recorder.path.write_text(
        PIP.format(python=sys.executable, record=str(recorder.record)), encoding="utf-8"
    )
    return recorder


def wanted(make_runner, python, **given):
    runner = make_runner(
        stand_ins={
            "Find Python": lambda _given: {"python-path": str(python.path)},
            "Load test": lambda _given: {},
        }
    )
    result = runner.run(profile="p", **given)
    assert result.conclusion == "success", result.log
    words = [call["words"] for call in python.calls()]
    assert words[0][:3] == ["-I", "-m", "venv"]
    assert all(words[:8] == [*PIP_INSTALL, *QUIET] for words in words[1:])
    return [words[8:] for words in words[1:]]


PIP_INSTALL = ["-I", "-m", "pip", "--disable-pip-version-check", "install"]
QUIET = ["--quiet", "--no-input", "--only-binary=:all:"]
ROOT = ACTION.parent
ALONE = ["--no-build-isolation", "--no-index", "--no-deps"]
CONSTRAINED = ["--no-build-isolation", "--constraint", str(ROOT / "constraints.txt")]


@pytest.mark.parametrize(
    ("given", "locked", "options", "package"),
    [
        ({}, "base", ALONE, f"{ROOT}"),
        ({"base_url": "local"}, "local", ALONE, f"{ROOT}[local]"),
        ({"extras": "local"}, "local", ALONE, f"{ROOT}[local]"),
        ({"extras": "keyring,local"}, "local", CONSTRAINED, f"{ROOT}[keyring,local]"),
        ({"extras": "keyring"}, "base", CONSTRAINED, f"{ROOT}[keyring]"),
        ({"extras": "localized"}, "base", CONSTRAINED, f"{ROOT}[localized]"),
    ],
)
def test_without_a_version_it_is_the_release_of_the_action(
    given, locked, options, package, make_runner, fake_python
):
    """Every file that comes from an index has a known hash, and nothing is built from one."""
    lock = str(ROOT / "requirements" / f"{locked}.txt")
    assert wanted(make_runner, fake_python, **given) == [
        ["--require-hashes", "--requirement", lock],
        [*options, "--", package],
    ]


def pins(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9.-]+)==([^\s;]+)", text, re.MULTILINE))


@pytest.mark.parametrize(("name", "extras"), [("base", ()), ("local", ("local",))])
def test_lock_holds_what_is_needed_in_the_versions_that_are_tested(name, extras):
    locked, tested = pins(f"requirements/{name}.txt"), pins("constraints.txt")
    assert locked.items() <= {**tested, "setuptools": locked.get("setuptools")}.items()
    assert needed("tm-cli", extras) | {"hatchling"} <= set(locked) | {"tm-cli"}


def test_every_line_of_a_lock_has_a_hash():
    for path in (ROOT / "requirements").iterdir():
        entries = re.split(r"\n(?=[a-z])", path.read_text(encoding="utf-8"))[1:]
        assert len(entries) > 20
        assert all(" \\\n    --hash=sha256:" in entry for entry in entries)


def needed(package, extras=(), seen=()):
    """The distributions that a package brings on this machine, itself included."""
    found = {package}
    for text in importlib.metadata.requires(package) or ():
        requirement = Requirement(text)
        environments = [{"extra": extra} for extra in (*extras, "")]
        marker, name = requirement.marker, canonicalize_name(requirement.name)
        if name in (*seen, package) or (marker and not any(map(marker.evaluate, environments))):
            continue
        found |= needed(name, tuple(requirement.extras), (*seen, package))
    return found


def test_no_key_is_there_while_packages_are_installed(make_runner, fake_python):
    keys = ("TM_API_KEY", "RUNLOOP_API_KEY", "STRAIT_API_KEY", "GITHUB_TOKEN")
    runner = make_runner(
        env=dict.fromkeys(keys, "a-key-of-the-job"),
        stand_ins={"Find Python": lambda _given: {"python-path": str(fake_python.path)}},
    )
    runner.stand_ins["Load test"] = lambda _given: {}
    runner.run(profile="p")
    assert not [call for call in fake_python.calls() if set(keys) & set(call["env"])]


@pytest.mark.parametrize(
    ("given", "package"),
    [
        ({"version": "0.2.0"}, "tm-cli==0.2.0"),
        ({"version": "v0.2.0", "extras": "keyring"}, "tm-cli[keyring]==0.2.0"),
        ({"version": "0.2.0", "base_url": "local"}, "tm-cli[local]==0.2.0"),
        ({"version": "./dist/tm_cli-1-py3-none-any.whl"}, "./dist/tm_cli-1-py3-none-any.whl"),
        ({"version": "a.whl", "base_url": "local", "extras": "x"}, "a.whl[local,x]"),
        ({"version": "D:\\dist\\tm"}, "D:\\dist\\tm"),
        ({"version": "git+https://git.example/tm@1"}, "tm-cli @ git+https://git.example/tm@1"),
        ({"version": "--index-url=https://x"}, "tm-cli @ --index-url=https://x"),
        ({"version": "1; touch pwned $(touch pwned)"}, "tm-cli==1; touch pwned $(touch pwned)"),
    ],
)
def test_version_and_extras_name_one_package(given, package, make_runner, fake_python):
    assert wanted(make_runner, fake_python, **given) == [["--", package]]


def test_a_local_server_named_by_a_variable_brings_its_extra(make_runner, fake_python):
    runner = make_runner(
        env={"TM_BASE_URL": "local"},
        stand_ins={
            "Find Python": lambda _given: {"python-path": str(fake_python.path)},
            "Load test": lambda _given: {},
        },
    )
    runner.run(profile="p", version="1")
    assert fake_python.calls()[1]["words"][-1] == "tm-cli[local]==1"


@whole
def test_a_wheel_is_installed_and_called(make_runner, tmp_path):
    wheel = build_wheel(tmp_path)
    runner = make_runner(
        env={"PIP_NO_INDEX": "1", "PIP_CACHE_DIR": str(tmp_path / "cache")},
        stand_ins={"Find Python": lambda _given: {"python-path": sys.executable}},
    )
    for name in ("venv.py", "pip.py"):
        (runner.workspace / name).write_text("raise SystemExit(99)", encoding="utf-8")
    result = runner.run(profile="a b", version=str(wheel), fail_on="FAIL")
    assert "called with ['runs', 'start', '--wait', '--fail-on=FAIL', '--', 'a b']" in result.log
    assert result.steps["Load test"].code == 3


def test_an_installation_that_fails_fails_the_step(make_runner, tmp_path):
    runner = make_runner(
        env={"PIP_NO_INDEX": "1"},
        stand_ins={"Find Python": lambda _given: {"python-path": str(tmp_path / "missing")}},
    )
    result = runner.run(profile="p", version="0.0.0")
    assert result.conclusion == "failure"
    assert result.steps["Load test"].outcome == "skipped"


def build_wheel(directory: Path) -> Path:
    """A package with a command `tm` that says how it was called and exits with 3."""
    path = directory / "tm_cli-0.0.1-py3-none-any.whl"
    info = "tm_cli-0.0.1.dist-info"
    main = "import sys\ndef run():\n    print('called with', sys.argv[1:])\n    sys.exit(3)\n"
    files = {
        "tm_cli/__init__.py": main,
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: tm-cli\nVersion: 0.0.1\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\ntm = tm_cli:run\n",
    }
    record = "".join(
        f"{name},sha256={_digest(text)},{len(text.encode())}\n" for name, text in files.items()
    )
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            archive.writestr(name, text)
    return path


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
