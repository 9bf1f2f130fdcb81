"""Versions in what `tm init` writes stand in one place, in a form that Dependabot updates."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

import pins as script
from tm_cli import __version__
from tm_cli.setup import pins

ROOT = Path(__file__).resolve().parents[3]
PLACE = ROOT / "tm_cli" / "setup" / "pins"
PIN = re.compile(
    r"@[0-9a-f]{40}\b"  # an action by its commit
    r"|\buses: [\w.-]+/[\w./-]+@(?!v?\{)"
    r"|\b(?:image: |FROM |docker://)[\w./-]+:[\w.-]+"
    r"|\bpython:3\.|python-version: .?3\."
    r"|\b[A-Za-z][\w.-]*(?:\[[\w,]+\])?==\d"  # a package of a requirement
)


def text_files(directory):
    for path in sorted(directory.rglob("*")):
        if path.is_file() and path.suffix not in (".pyc", ".js", ".css"):
            yield path


def test_no_other_file_of_the_package_pins_a_version():
    found = [
        f"{path.relative_to(ROOT)}: {hit[0]}"
        for path in text_files(ROOT / "tm_cli")
        if not path.is_relative_to(PLACE)
        for hit in PIN.finditer(path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        'CHECKOUT = "actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8"',
        "  - uses: actions/checkout@v5",
        "  image: python:3.13-slim",
        "  image: registry.example/load/tm:1.2",
        'python-version: "3.13"',
        "pip install tm-cli[local]==0.1.0",
    ],
)
def test_a_pin_elsewhere_would_be_noticed(line):
    assert PIN.search(line)


def test_dependabot_reads_the_place():
    config = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text(encoding="utf-8"))
    read = {
        (update["package-ecosystem"], directory)
        for update in config["updates"]
        for directory in update.get("directories", [update.get("directory")])
    }
    place = f"/{PLACE.relative_to(ROOT).as_posix()}"
    assert {("github-actions", place), ("docker", place)} <= read


def test_every_pinned_action_has_its_commit_and_version():
    document = yaml.safe_load((PLACE / "action.yml").read_text(encoding="utf-8"))
    named = [step["uses"].partition("@")[0] for step in document["runs"]["steps"]]
    assert list(pins.actions()) == named


def test_what_users_copy_follows_the_pins():
    assert [path for path, _ in script.stale()] == [], "run `make docs`"


def test_another_version_of_a_pin_would_be_replaced():
    old = (
        "- uses: actions/checkout@v1\n"
        f"- uses: actions/setup-python@{'0' * 40} # v1.2.3\n"
        "- uses: OWNER/tm@v0.0.1\n"
        '    python-version: "3.1"\n'
        "image: python:3.1-alpine\n"
        "image: cimg/python:3.1\n"
        "FROM python:3.1\n"
    )
    assert script.with_pins(old, is_page=True) == (
        f"- uses: actions/checkout@{script.major(pins.actions()['actions/checkout'])}\n"
        f"- uses: {pins.actions()['actions/setup-python']}\n"
        f"- uses: OWNER/tm@v{__version__}\n"
        f'    python-version: "{pins.python_version()}"\n'
        f"image: {pins.image()}\n"
        f"image: cimg/python:{pins.python_version()}\n"
        f"FROM {pins.image()}\n"
    )


def test_an_action_without_a_pin_is_no_part_of_a_page():
    with pytest.raises(ValueError, match=r"other/action@v1 has no pin"):
        script.with_pins("- uses: other/action@v1\n", is_page=True)


def test_a_workflow_of_the_repository_keeps_its_own_pythons():
    text = 'python-version: "3.11"\n- uses: other/action@v1\n'
    assert script.with_pins(text, is_page=False) == text


COMMIT = "0123456789abcdef0123456789abcdef01234567"
TAG, INDEX = f"OWNER/tm@v{__version__}", f"tm-cli[local]=={__version__}"
ARCHIVE = f"tm-cli[local] @ https://github.com/acme/tm/archive/{COMMIT}.zip"


@pytest.mark.parametrize(
    ("url", "vcs", "action", "package"),
    [
        ("https://github.com/acme/tm", COMMIT, f"acme/tm@{COMMIT}", ARCHIVE),
        ("https://github.com/acme/tm.git", COMMIT, f"acme/tm@{COMMIT}", ARCHIVE),
        ("ssh://git@github.com/acme/tm.git", COMMIT, f"acme/tm@{COMMIT}", ARCHIVE),
        ("https://github.com/acme/tm", "main", TAG, INDEX),
        ("https://github.com/acme/tm", None, TAG, INDEX),
        ("https://github.com/acme/other", COMMIT, TAG, INDEX),
        ("https://github.com.evil.example/acme/tm", COMMIT, TAG, INDEX),
        ("https://me:secret@github.com/acme/tm", COMMIT, TAG, INDEX),
        ("https://github.com/acme/tm\nx", COMMIT, TAG, INDEX),
        ("https://gitlab.com/acme/tm", COMMIT, TAG, INDEX),
        ("file:///home/me/tm", COMMIT, TAG, INDEX),
        (None, COMMIT, TAG, INDEX),
        (7, COMMIT, TAG, INDEX),
    ],
)
def test_a_set_up_uses_the_source_that_it_was_installed_from(
    tmp_path, monkeypatch, url, vcs, action, package
):
    written = tmp_path / f"tm_cli-{__version__}.dist-info"
    written.mkdir()
    info = {"url": url, "vcs_info": {"vcs": "git", "commit_id": vcs}}
    (written / "direct_url.json").write_text(json.dumps(info), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    assert (pins.action(), pins.package("[local]")) == (action, package)


@pytest.mark.parametrize("text", [None, "", "{", "[]", "{}", '{"url": "https://github.com/a/tm"}'])
def test_a_set_up_without_a_known_source_names_the_release(tmp_path, monkeypatch, text):
    written = tmp_path / f"tm_cli-{__version__}.dist-info"
    written.mkdir()
    if text is not None:
        (written / "direct_url.json").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    assert (pins.action(), pins.package("[local]")) == (TAG, INDEX)
