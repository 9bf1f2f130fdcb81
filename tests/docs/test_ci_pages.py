"""The recipes for CI platforms are taken out of their pages and run, with a gate that fails."""

import re
import shlex

import pytest
import yaml

from checks.pages import Block, blocks, page
from tests.services.trafficmorph import KEY, row
from tm_cli.commands.shared.report_sinks import Format
from tm_cli.exit_codes import ExitCode

PAGES = ("ci.md", "gitlab-ci.md", "reports.md")
TM = re.compile(r"(?:^|[\s'\"])(tm (?:runs|gate|report) [^'\n|]*)")


def recipes() -> list[Block]:
    found = blocks("yaml", "groovy", "makefile", "sh")
    return [block for block in found if block.name.startswith(PAGES) and TM.search(block.text)]


def command_lines(block):
    """The words of each call of tm, up to where the shell goes on."""
    lines = [line.partition(" #")[0] for line in block.text.splitlines()]
    return [
        shlex.split(found[1].split("||")[0])[1:] for line in lines if (found := TM.search(line))
    ]


RECIPES = recipes()


def test_there_is_a_recipe_for_every_platform_that_is_named():
    headings = re.findall(r"^## (.+)$", page("docs/ci.md"), re.MULTILINE)
    assert len([block for block in RECIPES if block.name.startswith("ci.md")]) == len(headings)


@pytest.fixture
def failing(tm, server):
    """Run a call of tm where a load test fails; the files that it needs are there."""
    (tm.cwd / "checkout.yaml").write_text(
        "name: checkout\nendpointUrl: https://shop.example/\nhttpMethod: GET\n"
        "duration: 60s\npoints: [[0, 10], [60, 10]]\n",
        encoding="utf-8",
    )
    for name in ("results", "test-results"):
        (tm.cwd / name).mkdir()
    environ = {"TM_BASE_URL": server.url, "TM_API_KEY": KEY, "CI": "true"}

    def run(words):
        if words[:2] == ["runs", "start"]:
            imported = {"id": 42, "name": "checkout", "warnings": []}
            server.answer("POST", "/profiles/import", imported, code=201)
            server.until_ended().scan(row(autoVerdict="FAIL"))
            server.detail(autoVerdict="FAIL", autoCompareBaselineRunId=None)
        return tm(*words, environ=environ)

    return run


def write_report(tm, failing):
    words = ["runs", "start", "checkout.yaml", "--wait", "--fail-on", "FAIL"]
    failing([*words, "--report", "json=gate.json"])


@pytest.mark.parametrize("block", RECIPES, ids=lambda block: block.name)
def test_recipe_goes_red_and_writes_its_files(tm, failing, block):
    for words in command_lines(block):
        if words[0] == "report" and not (tm.cwd / "gate.json").exists():
            write_report(tm, failing)
        result = failing(words)
        match words[:2]:
            case ["runs", "start"] | ["report", "eval"]:
                assert result.exit_code == ExitCode.FAIL, result.stderr
            case ["report", "comment"]:
                assert result.exit_code == ExitCode.USAGE  # no forge is named here
            case _:
                assert result.exit_code == ExitCode.OK, result.stderr
        for report in (word for word in words if re.match(r"[a-z]+=\S+", word)):
            assert (tm.cwd / report.partition("=")[2]).is_file()


@pytest.mark.parametrize(
    "block", [block for block in RECIPES if block.language == "yaml"], ids=lambda block: block.name
)
def test_recipe_is_yaml_whose_files_are_those_that_tm_writes(block):
    assert yaml.safe_load(block.text)
    written = re.findall(r"--report [a-z]+=(\S+)", block.text)
    shown = re.findall(r"(?:junit|dotenv|metrics|testResultsFiles): (\S+)", block.text)
    assert set(shown) <= set(written)


def test_page_names_every_format():
    for form in Format:
        assert f"| `{form}` |" in page("docs/reports.md")
