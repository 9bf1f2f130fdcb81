"""The page about the action and the action say the same, and every example on it works."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.process.action.composite_runner import action
from tests.process.action.programs import ROOT, make_recorder
from tm_cli import __version__
from tm_cli.setup.check.pipelines import INPUTS

pytestmark = pytest.mark.process

PAGES = ("README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))))
NAME = "OWNER/tm"
FENCE = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\| `([\w-]+)` \| (.*) \|$", re.MULTILINE)


def read(page):
    return (ROOT / page).read_text(encoding="utf-8")


def _uses():
    """Every use of the action on the pages: where, and the step."""
    for page in PAGES:
        for number, block in enumerate(FENCE.findall(read(page)), start=1):
            if NAME in block:
                for job in yaml.safe_load(block)["jobs"].values():
                    for step in job["steps"]:
                        if step.get("uses", "").startswith(NAME):
                            yield pytest.param(step, id=f"{page}-{number}")


USES = list(_uses())


def rows(heading):
    text = read("docs/github-actions.md").partition(f"| {heading} |")[2]
    return dict(ROW.findall(text.partition("\n\n")[0]))


def test_the_page_lists_every_input_with_its_default():
    listed = {name: row.split(" | ")[0].strip("`") for name, row in rows("Input").items()}
    defaults = {
        name: "required" if entry.get("required") else entry["default"]
        for name, entry in action()["inputs"].items()
    }
    assert listed == {name: value or "none" for name, value in defaults.items()}


def test_the_check_of_a_set_up_knows_every_input():
    assert set(action()["inputs"]) == INPUTS


def test_the_page_lists_every_output():
    assert set(rows("Output")) == set(action()["outputs"])


def test_there_are_examples_to_check():
    assert len(USES) >= 6


@pytest.mark.parametrize("step", USES)
def test_example_names_this_release(step):
    assert step["uses"] == f"{NAME}@v{__version__}"


@pytest.mark.parametrize("step", USES)
def test_example_becomes_a_command_line_that_tm_takes(step, make_runner, tmp_path):
    tm = make_recorder(tmp_path)
    given = {
        name.replace("-", "_"): str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in step["with"].items()
    }
    result = make_runner(tm.path).run(**given)
    assert result.conclusion == "success", result.log
    for call in tm.calls():
        parse(call["words"])


def parse(words):
    """Parse a command line as the program would; raises its usage error."""
    from tm_cli.cli.root import root_command

    node, path = root_command(), ["tm"]
    while hasattr(node, "commands"):
        path.append(words[0])
        node, words = node.commands[words[0]], words[1:]
    node.make_context(" ".join(path), list(words))
