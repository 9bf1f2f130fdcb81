"""All formats tell one story: verdict and exit code of the same evidence are the same in each."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace

import pytest
from junitparser import Error, Failure, JUnitXml

from tests.unit.report.made_evidence import ALL
from tm_cli.commands.report.replay import load
from tm_cli.commands.shared.report_sinks import Format, rendered
from tm_cli.render.formats.ci_log import annotated, outputs
from tm_cli.render.formats.csv import harmless
from tm_cli.render.summary import explanation

GOOD = [name for name, evidence in ALL.items() if evidence.exit_code == 0]


def test_there_are_good_and_bad_ones():
    accepted = ["duet", "not-confirmed", "pass", "returned", "ungated", "warn-accepted"]
    assert sorted(GOOD) == accepted


def from_json(evidence):
    document = json.loads(rendered(Format.JSON, evidence))
    return document["exit_code"], document["exit_name"]


def from_dotenv(evidence):
    lines = rendered(Format.DOTENV, evidence).splitlines()
    values = dict(line.split("=", 1) for line in lines)
    return int(values["TM_EXIT_CODE"]), values["TM_OUTCOME"]


def from_outputs(evidence):
    values = dict(outputs(evidence))
    return int(values["exit-code"]), values["outcome"]


def from_markdown(evidence):
    text = rendered(Format.MARKDOWN, evidence)
    if found := re.search(r"^## \d+ runs: (\w+)\n\nExit code (\d+)", text):
        return int(found[2]), found[1]
    found = re.search(r"^Exit code (\d+) \(`(\w+)`\)", text, re.MULTILINE)
    return int(found[1]), found[2]


@pytest.mark.parametrize("read", [from_json, from_dotenv, from_outputs, from_markdown])
@pytest.mark.parametrize("name", ALL)
def test_exit_code_is_the_same_everywhere(name, read):
    evidence = ALL[name]
    assert read(evidence) == (evidence.exit_code, evidence.exit_code.name)


def test_explanation_says_the_exit_code():
    for evidence in ALL.values():
        sentence, _ = explanation(evidence)
        assert f"(exit {int(evidence.exit_code)}" in sentence
        assert ("passed" in sentence) == (evidence.exit_code == 0)


@pytest.mark.parametrize("name", ALL)
def test_junit_read_by_another_library_is_red_exactly_when_the_exit_code_is(name):
    suites = JUnitXml.fromstring(rendered(Format.JUNIT, ALL[name]).encode())
    bad = [
        item for suite in suites for case in suite for item in case.result
        if isinstance(item, Failure | Error)
    ]  # fmt: skip
    assert bool(bad) == (ALL[name].exit_code != 0)
    assert [suite.tests for suite in suites] == [len(list(suite)) for suite in suites]
    assert all(item.type and item.message for item in bad)
    assert all(suite.timestamp == "2026-03-01T12:05:00" for suite in suites)
    assert all(suite.time == sum(case.time for case in suite) for suite in suites)


def test_no_platform_takes_two_cases_for_one():
    run = ALL["failed-check"].records[0]
    check = replace(run.end.decision, checks=run.end.decision.checks * 2)
    twice = replace(run, ending=replace(run.end, decision=check))
    outcome = replace(ALL["several"], records=(*ALL["several"].records, run, twice, twice))
    suites = JUnitXml.fromstring(rendered(Format.JUNIT, outcome).encode())
    cases = [(case.classname, case.name) for suite in suites for case in suite]
    assert len(set(cases)) == len(cases)
    assert {("trafficmorph.search", "verdict"), ("trafficmorph.checkout (3)", "verdict")} < set(
        cases
    )
    assert len({suite.name for suite in suites}) == len(list(suites))


@pytest.mark.parametrize("name", ALL)
def test_csv_and_metrics_tell_each_run_and_its_outcome(name):
    told = ALL[name].reported
    expected = [(record.subject, record.end.decision.exit_code.name) for record in told]
    rows = csv.DictReader(io.StringIO(rendered(Format.CSV, ALL[name])))
    assert list(dict.fromkeys((row["subject"], row["outcome"]) for row in rows)) == expected
    codes = re.findall(
        r'^tm_exit_code\{subject="(\w+)"\} (\d+)$',
        rendered(Format.METRICS, ALL[name]),
        re.MULTILINE,
    )
    assert codes == [(r.subject, str(int(r.end.decision.exit_code))) for r in told]


@pytest.mark.parametrize("name", ALL)
def test_annotations_are_errors_exactly_when_the_exit_code_is_not_0(name):
    lines = annotated(ALL[name])
    assert any(line.startswith("::error ") for line in lines) == (ALL[name].exit_code != 0)
    assert not lines or name not in ("pass", "duet")


@pytest.mark.parametrize("name", ALL)
def test_html_report_is_read_back_as_the_same_evidence(name, tmp_path):
    path = tmp_path / "gate.html"
    path.write_text(rendered(Format.HTML, ALL[name]), encoding="utf-8")
    again = load(path)
    assert rendered(Format.JSON, again) == rendered(Format.JSON, ALL[name])


@pytest.mark.parametrize("name", ALL)
def test_json_report_makes_every_other_format_again(name, tmp_path):
    path = tmp_path / "gate.json"
    path.write_text(rendered(Format.JSON, ALL[name]), encoding="utf-8")
    again = load(path)
    for form in Format:
        assert rendered(form, again) == rendered(form, ALL[name])


@pytest.mark.parametrize("sign", "=+-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b")
def test_no_cell_is_a_formula_in_any_width_of_its_sign(sign):
    assert harmless(f"{sign}1+1") == f"'{sign}1+1"
    assert harmless(f"a{sign}1") == f"a{sign}1"
