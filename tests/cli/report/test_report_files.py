"""Reports: undecided first, then the outcome; they never say more than the exit code."""

from __future__ import annotations

import json
import os
from xml.etree import ElementTree as ET

import pytest

from tests.services.trafficmorph import RUN, comparison, row, verdict_snapshot
from tm_cli.exit_codes import ExitCode
from tm_cli.runtime.signals import SignalReceived

GATED = ("runs", "start", "42", "--wait", "--fail-on", "FAIL,WARN")
BOTH = ("--report", "json=out.json", "--report", "junit=out.xml")


def read(tm):
    document = json.loads((tm.cwd / "out.json").read_text(encoding="utf-8"))
    return document, ET.parse(tm.cwd / "out.xml").getroot()


def kinds(root):
    return [child.tag for case in root.iter("testcase") for child in case]


@pytest.mark.parametrize(
    ("verdict", "code", "kind"),
    [
        ("PASS", ExitCode.OK, []),
        ("WARN", ExitCode.WARN, ["failure"]),
        ("FAIL", ExitCode.FAIL, ["failure"]),
        ("ODD", ExitCode.UNDECIDED, ["error"]),
    ],
)
def test_reports_say_what_the_exit_code_says(gate, tm, server, verdict, code, kind):
    server.until_ended().scan(row(autoVerdict=verdict)).detail(autoVerdict=verdict).detail(5)
    assert gate(*GATED, *BOTH).exit_code == code
    document, root = read(tm)
    assert document["exit_code"] == code
    assert document["data"]["verdict"] == verdict
    assert kinds(root) == kind


def test_each_check_is_a_case_and_a_good_verdict_stays_good(gate, tm, server):
    server.until_ended().scan(row()).detail().detail(5)
    checks = ("--assert", "p95<20ms", "--assert", "errors<1%", "--assert", "p99.9<1s")
    assert gate(*GATED, *checks, *BOTH).exit_code == ExitCode.FAIL
    _, root = read(tm)
    cases = {case.get("name"): [child.tag for child in case] for case in root.iter("testcase")}
    assert cases == {
        "verdict": [],
        "p95<20ms": ["failure"],
        "errors<1%": [],
        "p99.9<1s": ["error"],
    }
    suite = root.find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("4", "1", "1")


def test_reports_tell_what_the_verdict_rests_on_and_its_comparisons_are_no_cases(gate, tm, server):
    found = verdict_snapshot(comparison(), comparison("p50", verdict="WARN"))
    server.until_ended().scan(row())
    server.detail(autoCompareSnapshot=found, notes=["a worker was lost"]).detail(5)
    assert gate(*GATED, *BOTH).exit_code == ExitCode.OK
    document, root = read(tm)
    assert document["data"]["baseline_choice"] == "pinned"
    assert len(document["data"]["comparisons"]) == 2
    facts = {item.get("name"): item.get("value") for item in root.iter("property")}
    assert facts == {
        "run_id": RUN,
        "history_id": "7",
        "baseline_run_id": "5",
        "baseline_choice": "pinned",
        "baseline_age_seconds": "7200.0",
        "reference_run_id": "2",
    }
    said = root.findtext(".//system-out").splitlines()
    assert said[0] == "note: a worker was lost"
    assert said[1].startswith("FAIL p95 26 ms, baseline 20 ms")
    assert kinds(root) == []


def test_report_of_an_earlier_pass_is_gone_before_the_first_request(gate, tm, server):
    (tm.cwd / "out.json").write_text('{"exit_code": 0}', encoding="utf-8")
    (tm.cwd / "out.xml").write_text("<testsuites/>", encoding="utf-8")
    server.error("GET", "/profiles/42", 401, "Authentication required")
    assert gate(*GATED, *BOTH).exit_code == ExitCode.AUTHENTICATION
    document, root = read(tm)
    assert document["exit_name"] == "AUTHENTICATION"
    assert kinds(root) == ["error"]


def test_killed_gate_leaves_undecided_reports(gate, tm, server, clock):
    def killed(_seconds):
        raise SystemExit(137)

    clock.sleep = killed
    server.profile().snapshot().start()
    gate(*GATED, *BOTH)
    document, root = read(tm)
    assert document["exit_name"] == "UNDECIDED"
    assert kinds(root) == ["error"]


def test_interrupted_gate_says_so_in_its_reports(gate, tm, server, clock):
    def interrupted(_seconds):
        raise SignalReceived(15)

    clock.sleep = interrupted
    server.profile().snapshot().start()
    assert gate(*GATED, *BOTH).exit_code == ExitCode.TERMINATED
    document, root = read(tm)
    assert document["exit_name"] == "TERMINATED"
    assert kinds(root) == ["error"]


@pytest.mark.parametrize(
    "flag",
    ["json", "json=", "=x", "yaml=x", "json=no/such/dir/x.json", "json=.", "junit=../work"],
)
def test_report_that_cannot_be_written_is_noticed_before_anything_is_sent(gate, server, flag):
    assert gate(*GATED, "--report", flag).exit_code == ExitCode.USAGE
    assert not server.requests


@pytest.mark.parametrize("second", ["json=out.json", "junit=out.json", "junit=../work/./out.json"])
def test_two_reports_in_one_file_are_a_mistake(gate, tm, server, second):
    result = gate(*GATED, "--report", "json=out.json", "--report", second)
    assert result.exit_code == ExitCode.USAGE
    assert "named twice" in result.stderr
    assert not server.requests
    assert not (tm.cwd / "out.json").exists()


@pytest.mark.parametrize(("verdict", "code"), [("PASS", ExitCode.OUTPUT), ("FAIL", ExitCode.FAIL)])
def test_report_lost_at_the_end_never_hides_the_verdict(gate, tm, server, clock, verdict, code):
    server.until_ended().scan(row(autoVerdict=verdict)).detail(autoVerdict=verdict).detail(5)
    (tm.cwd / "sub").mkdir()
    sleep = clock.sleep

    def removed(seconds):
        for file in (tm.cwd / "sub").glob("*"):
            file.unlink()
        if (tm.cwd / "sub").exists():
            (tm.cwd / "sub").rmdir()
        sleep(seconds)

    clock.sleep = removed
    result = gate(*GATED, "--report", "json=sub/out.json", "--json")
    assert result.exit_code == result.json["exit_code"] == code
    assert result.json["data"]["verdict"] == verdict
    assert "cannot write" in result.stderr


def test_hostile_text_stays_inside_the_xml(gate, tm, server):
    reason = "]]></failure><x/> \x00\x1b[31m & \ud800"
    hostile = row(autoVerdict="FAIL", autoVerdictReasons=json.dumps([reason]))
    server.until_ended().scan(hostile)
    server.error("GET", "/history/7", 400, "Run history not found")
    assert gate(*GATED, *BOTH).exit_code == ExitCode.FAIL
    _, root = read(tm)
    assert root.find(".//x") is None
    assert "]]></failure><x/>" in root.find(".//failure").get("message")


def test_report_of_an_earlier_pass_is_gone_when_the_profile_is_missing(gate, tm):
    (tm.cwd / "out.json").write_text('{"exit_code": 0}')
    argv = ("runs", "start", "nowhere.yaml", "--wait", "--fail-on", "FAIL")
    result = gate(*argv, "--report", "json=out.json")
    assert result.exit_code == ExitCode.CONFIGURATION
    assert json.loads((tm.cwd / "out.json").read_text())["exit_code"] == ExitCode.CONFIGURATION


@pytest.mark.parametrize(
    "mistake",
    [("--fail-on", "WRAN"), ("--assert", "p95<<4"), ("--wait-timeout", "5x"), ("--tag", "a b")],
    ids=" ".join,
)
def test_report_of_an_earlier_pass_is_gone_after_a_mistake(gate, tm, mistake):
    (tm.cwd / "out.json").write_text('{"exit_code": 0}')
    argv = ("runs", "start", "42", "--wait", "--report", "json=out.json", *mistake)
    assert gate(*argv).exit_code == ExitCode.USAGE
    assert json.loads((tm.cwd / "out.json").read_text())["exit_code"] == ExitCode.USAGE


@pytest.mark.skipif(os.name != "posix", reason="needs named pipes")
def test_report_into_a_pipe_is_one_document(gate, tm, server):
    os.mkfifo(tm.cwd / "out.json")
    reader = os.open(tm.cwd / "out.json", os.O_RDONLY | os.O_NONBLOCK)
    server.until_ended().scan(row(autoVerdict="FAIL")).detail(autoVerdict="FAIL").detail(5)
    try:
        assert gate(*GATED, "--report", "json=out.json").exit_code == ExitCode.FAIL
        assert json.loads(os.read(reader, 1_000_000))["exit_code"] == ExitCode.FAIL
    finally:
        os.close(reader)


@pytest.mark.skipif(os.name != "posix", reason="needs symbolic links")
def test_report_replaces_a_link_and_not_what_it_points_to(gate, tm, server):
    target = tm.cwd / "precious"
    target.write_text("kept", encoding="utf-8")
    (tm.cwd / "out.json").symlink_to(target)
    server.until_ended().scan(row()).detail().detail(5)
    assert gate(*GATED, "--report", "json=out.json").exit_code == ExitCode.OK
    assert target.read_text(encoding="utf-8") == "kept"
