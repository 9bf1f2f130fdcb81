"""`docs/migration.md` says what is true; its scripts of the Go `tm` are in test_go_scripts.py."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from tests.services.trafficmorph import KEY, PROFILE, RUN
from tm_cli.exit_codes import ExitCode

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "migration.md").read_text(encoding="utf-8")
ASSISTANTS = PAGE.partition("## From the official MCP server")[2].partition("## From k6")[0]
REQUEST = "tm-0123456789abcdef"
"""The tag by which a start finds its run again."""
STARTED = {"runId": RUN, "status": "RUNNING", "profileId": PROFILE}


def test_as_many_tools_prompts_and_resources_as_the_official_server_publishes():
    golden = ROOT / "tests" / "process" / "mcp" / "official" / "published.json"
    published = json.loads(golden.read_text(encoding="utf-8"))
    told = re.search(r"(\d+) tools, (\d+) prompts and (\d+) resources", ASSISTANTS)
    expected = [len(published[kind]) for kind in ("tools", "prompts", "resources")]
    assert [int(number) for number in told.groups()] == expected


def test_only_the_command_of_the_entry_changes():
    entries = re.findall(r"```json\n(.*?)```", ASSISTANTS, re.DOTALL)
    before, after = (json.loads(entry)["mcpServers"]["trafficmorph"] for entry in entries)
    assert (before.pop("command"), before.pop("args")) == ("uvx", ["tm-mcp"])
    assert (after.pop("command"), after.pop("args")) == ("tm", ["mcp"])
    assert before == after


def test_python_is_the_one_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    told = re.search(r"Python ([\d.]+) or newer", ASSISTANTS)
    assert project["requires-python"] == f">={told.group(1)}"


def test_links_lead_to_headings_of_the_page_on_assistants():
    page = (ROOT / "docs" / "mcp.md").read_text(encoding="utf-8")
    assert "### What differs from `tm-mcp`" in page
    for name in ("TM_BASE_URL", "TM_API_KEY", "TM_MCP_CAPTURE_ROOT"):
        assert f"`{name}`" in ASSISTANTS
        assert f"`{name}`" in page


@pytest.mark.parametrize("tags", [["--tag", "a,b"], ["--tag", "a", "--tag", "b"]])
def test_tags_are_separated_by_commas_or_given_one_by_one(gate, server, tags):
    server.profile()
    server.answer("POST", f"/profiles/{PROFILE}/runs", STARTED, body={"tags": ["a", "b", REQUEST]})
    assert gate("runs", "start", "42", *tags).exit_code == ExitCode.OK


@pytest.mark.parametrize(
    "words", [("--timeout", "5s", "profiles", "list"), ("profiles", "list", "--timeout=5s")]
)
def test_global_flags_stand_before_and_after_the_command(gate, server, words):
    server.answer("GET", "/profiles", [])
    key = ("--api-key", KEY)
    found = gate(*key, *words)
    assert found.exit_code == ExitCode.OK
    assert "--api-key shows the key in process lists" in found.stderr
    assert key[1] not in found.stderr


@pytest.mark.parametrize("words", [("version",), ("help",), ("completion", "bash")])
def test_some_commands_need_no_server(gate, server, words):
    assert gate(*words).exit_code == ExitCode.OK
    assert not server.requests
