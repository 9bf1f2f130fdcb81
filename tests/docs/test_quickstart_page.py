"""The quickstart shows what `tm init` really prints and writes."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

PAGE = (Path(__file__).parents[2] / "docs" / "quickstart.md").read_text(encoding="utf-8")
SHOWN = [
    (block.partition("\n")[0].removeprefix("$ "), block.partition("\n")[2])
    for block in re.findall(r"^```console\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
]
SET_UP, CHECK = (
    next(item for item in SHOWN if start in item[0]) for start in (" --url", " --check")
)


def words(line):
    return shlex.split(line)[1:]


def test_set_up_prints_what_the_page_shows(tm):
    assert tm(*words(SET_UP[0])).stdout == SET_UP[1]


def test_check_prints_what_the_page_shows(tm):
    tm(*words(SET_UP[0]))
    assert tm(*words(CHECK[0])).stdout == CHECK[1]


def test_page_tells_of_every_written_file(tm):
    tm(*words(SET_UP[0]))
    listed = {row[0] for row in re.findall(r"^\| `([^`]+)` \|(.*)$", PAGE, re.MULTILINE)}
    written = {path.relative_to(tm.cwd).as_posix() for path in tm.cwd.rglob("*") if path.is_file()}
    assert written <= listed


def test_commands_that_come_next_are_the_ones_of_the_page(tm):
    started = [line for line, _ in SHOWN if line.startswith("tm runs start")]
    assert started
    assert all(line in tm(*words(SET_UP[0])).stdout for line in started)


@pytest.mark.parametrize("line", re.findall(r"^tm init .*$", PAGE, re.MULTILINE))
def test_other_ways_to_set_up_work(tm, line):
    assert tm(*words(line)).exit_code == 0


def test_colors_on_the_page_are_those_of_the_jobs(tm):
    tm(*words(SET_UP[0]))
    tm(*words(SET_UP[0].replace("github", "gitlab")))
    job = yaml.safe_load((tm.cwd / ".gitlab-ci.yml").read_text(encoding="utf-8"))["load-test"]
    rows = re.findall(r"^\| `\w+` \((\d)\)[^|]*\|([^|]*)\|([^|]*)\|", PAGE, re.MULTILINE)
    soft = {int(code) for code, github, gitlab in rows if "green" in github and "orange" in gitlab}
    assert soft == set(job["allow_failure"]["exit_codes"])
    [workflow] = (tm.cwd / ".github" / "workflows").iterdir()
    [_, gate] = yaml.safe_load(workflow.read_text("utf-8"))["jobs"]["load-test"]["steps"]
    assert (gate["with"]["fail-on"], gate["with"]["warn-on"]) == ("FAIL", "WARN")
