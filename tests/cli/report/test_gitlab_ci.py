"""A gate in GitLab CI: its progress is folded away, later jobs read its outcome."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

import pytest

from tests.services.trafficmorph import KEY, row
from tests.unit.report.made_evidence import ALL, ended, evidence, result
from tm_cli.exit_codes import ExitCode
from tm_cli.render.formats.ci_log import dotenv
from tm_cli.render.formats.openmetrics import openmetrics
from tm_cli.settings import DEFINITIONS

GATED = ("runs", "start", "42", "--wait", "--fail-on", "FAIL")
LABEL = r'[a-z]+="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"[a-z_]+\{{{LABEL}(?:,{LABEL}){{0,2}}\}} [0-9.e+-]+")


@pytest.mark.parametrize("flag", [(), ("--no-gitlab",)])
def test_progress_is_a_section_and_the_result_stands_below_it(tm, server, flag):
    server.until_ended().scan(row()).detail()
    environ = {"TM_BASE_URL": server.url, "TM_API_KEY": KEY, "GITLAB_CI": "true"}
    said = tm(*GATED, *flag, environ=environ)
    assert said.exit_code == ExitCode.OK
    lines = said.stderr.splitlines()
    if flag:
        assert "section_" not in said.stderr
        return
    starts = [n for n, line in enumerate(lines) if "section_start:" in line]
    ends = [n for n, line in enumerate(lines) if "section_end:" in line]
    assert len(starts) == len(ends) == 1
    assert "[collapsed=true]\r\x1b[0K" in said.stderr
    inside = [line for line in said.stderr.split("section_end:")[0].splitlines() if "tm:" in line]
    assert any("waiting for run" in line for line in inside)
    assert "which does not fail on" in said.stderr.split("section_end:")[1]
    assert "section" not in said.stdout


def test_section_ends_where_the_gate_cannot_begin(tm, server):
    server.error("GET", "/profiles/42", 401, "Authentication required")
    environ = {"TM_BASE_URL": server.url, "TM_API_KEY": KEY}
    said = tm(*GATED, "--gitlab", environ=environ)
    assert said.exit_code == ExitCode.AUTHENTICATION
    assert said.stderr.count("section_start:") == said.stderr.count("section_end:") == 1


@pytest.mark.parametrize("name", ALL)
def test_variables_are_safe_and_take_the_place_of_no_setting(name):
    values = dict(line.split("=", 1) for line in dotenv(ALL[name]).splitlines())
    assert not {definition.variable for definition in DEFINITIONS.values()} & set(values)
    for value in values.values():
        assert shlex.split(value) == ([value] if value else [])


@pytest.mark.process
@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
def test_variables_can_be_sourced(tmp_path):
    hostile = evidence(ended(result("FAIL")), names=("$(touch pwned) `id`; 'x' \"y\"\n&",))
    (tmp_path / "gate.env").write_text(dotenv(hostile), encoding="utf-8")
    script = '. ./gate.env; printf %s "$TM_SUBJECT:$TM_EXIT_CODE"'
    ran = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert ran.stdout == "_touch_pwned_id_x_y_:2"
    assert ran.stderr == ""
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("name", ALL)
def test_metrics_are_open_metrics(name):
    lines = openmetrics(ALL[name]).split("\n")
    assert lines[-2:] == ["# EOF", ""]
    families: list[str] = []
    for line in lines[:-2]:
        if line.startswith("# TYPE "):
            families.append(line.split()[2])
        elif not line.startswith("# HELP "):
            assert SAMPLE.fullmatch(line), line
            assert line.partition("{")[0] == families[-1]
    assert len(families) == len(set(families))


def test_label_cannot_end_its_quotes():
    hostile = evidence(ended(result("FAIL")), names=('a"} 1\ntm_exit_code{subject="b\\',))
    lines = openmetrics(hostile).splitlines()
    assert sum(line.startswith("tm_exit_code{") for line in lines) == 1
