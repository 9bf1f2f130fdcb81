"""The page as a parser reads it: complete without a script, and no text of a server is obeyed."""

from __future__ import annotations

import base64
import hashlib
import random
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from tests.simulation.hostile import text as hostile_text
from tests.unit.render.html.page_evidence import (
    MADE,
    Page,
    baseline,
    evidence,
    hostile,
    page_of,
    passed,
    record,
    result,
    series,
    undecided,
    unfinished,
)
from tm_cli.commands.report.replay import load
from tm_cli.exit_codes import ExitCode
from tm_cli.gate.events import Decided
from tm_cli.gate.model import Basis
from tm_cli.gate.outcome import GateOutcome, Record
from tm_cli.gate.policy import Gate, decide
from tm_cli.render.html.charts import chart_data
from tm_cli.report.reader import read_report
from tm_cli.report.writer import report_document
from tm_cli.values.verdict import Verdict

ASSETS = Path(__file__).parents[4] / "tm_cli" / "render" / "html" / "assets"
VENDORED = {
    "uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    "LICENSE": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
}
"""SHA-256 of the files of uPlot 1.6.32, as it was published."""

ATTACKS = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\" onmouseover=\"alert(1)",
    "' autofocus onfocus='alert(1)",
    "--><svg/onload=alert(1)><!--",
    "</title></style><script src=//evil.example></script>",
    "javascript:alert(1)",
    "&lt;script&gt;",
    "\u202egnp.exe\u2066 \u200bx\u2028y\u2029z \x00\x1b[31m \ud800",
)  # fmt: skip
KINDS = {
    "fail": evidence(),
    "several": evidence(record(), passed(subject="login"), undecided()),
    "undecided": evidence(undecided(), code=ExitCode.UNDECIDED),
    "unfinished": unfinished(),
}


@pytest.mark.parametrize("kind", KINDS)
def test_page_is_well_formed_and_embeds_the_evidence_as_it_is(kind, tmp_path):
    text = page_of(KINDS[kind])
    page = Page(text)
    assert page.open == []
    assert page.data("tm-evidence") == report_document(KINDS[kind])
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    (tmp_path / "page.html").write_text(text, encoding="utf-8")
    assert load(tmp_path / "page.html").exit_code is KINDS[kind].exit_code
    assert read_report(page.data("tm-evidence")).exit_code is KINDS[kind].exit_code


def test_outcome_reasons_and_tables_need_no_script():
    seen = Page(page_of(evidence())).visible
    for word in (
        "the gate failed (exit 2, FAIL)", "2 (FAIL)", "read the reasons", "fails on FAIL, WARN",
        "p95 118 ms, baseline 92 ms, +28.7 %", "+24.1 to +33.4", "5 / 15", "p95<100ms",
        "the run has no p99.9", "one worker was lost", "5d00", "run 41, 2h older (pinned)", "503",
        "99.60 %", "23,904", "planned 60 to 200", "2026-03-01 11:59:00 UTC", "nightly, main",
    ):  # fmt: skip
        assert word in seen


def test_every_run_of_several_has_a_section_and_a_line():
    page = Page(page_of(KINDS["several"]))
    links = [attributes["href"] for attributes in page.all("a")]
    assert links[1:] == ["#run-0", "#run-1", "#run-2"]
    assert {attributes.get("id") for attributes in page.all("section")} >= {"run-0", "run-1"}
    assert "the history has no entry of run 81c2" in page.visible


def test_page_of_a_gate_that_did_not_end_says_undecided():
    page = Page(page_of(unfinished()))
    assert "tm did not come to its end" in page.visible
    assert "5 (UNDECIDED)" in page.visible
    assert "PASS" not in page.visible


def colours(found):
    page = Page(page_of(found))
    marks = [attributes["class"] for attributes in page.all("span") if "class" in attributes]
    return page.all("section")[0]["class"].removeprefix("outcome "), marks[0]


@pytest.mark.parametrize(
    ("verdict", "text", "colour"),
    [
        (Verdict.PASS, "PASS", "pass"),
        (Verdict.FAIL, "FAIL", "fail"),
        (Verdict.UNKNOWN, "GOOD", "unknown"),
        (Verdict.UNKNOWN, "PASS\u200b", "unknown"),
        (None, None, "unknown"),
    ],
)
def test_nothing_but_a_known_pass_is_green(verdict, text, colour):
    """Without a gate all of these exit with 0."""
    ours = result(verdict=verdict, verdict_text=text)
    end = Decided(decide(ours, Gate()), None, ours)
    one = Record("trafficmorph", "checkout", ending=end)
    alone = GateOutcome((one,), Gate(), ExitCode.OK, MADE)
    assert end.decision.exit_code is ExitCode.OK
    assert colours(alone) == (colour, f"mark {colour}")
    assert colours(replace(alone, records=(one, one))) == ("unknown", "mark unknown")


def test_a_lost_report_is_not_green():
    assert colours(evidence(passed())) == ("fail", "mark fail")
    assert colours(evidence(passed(), code=ExitCode.OK)) == ("pass", "mark pass")
    assert colours(evidence(passed(), code=ExitCode.OUTPUT)) == ("unknown", "mark unknown")


def test_two_targets_are_told_apart_by_name():
    duet = result(basis=Basis(against="http://localhost:8081/checkout"))
    seen = Page(page_of(evidence(record(duet)))).visible
    assert "This run and its other target" in seen
    assert "http://localhost:8081/checkout, under the same load" in seen


def test_run_without_series_has_no_chart_and_no_empty_heading():
    page = Page(page_of(evidence(record(result(series=()), baseline(series=())))))
    assert page.all("figure") == []
    assert "Over time" not in page.visible


def test_run_without_failures_says_so_instead_of_drawing_nothing():
    whole = series(failing=False)
    page = Page(page_of(evidence(record(result(series=whole), baseline(series=whole)))))
    assert len(page.all("figure")) == 2
    assert "Failed requests over time: none at any moment" in page.visible


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_text_becomes_markup(attack):
    found = hostile(attack)
    page, plain = Page(page_of(found)), Page(page_of(hostile("word")))
    assert [name for name, _ in page.elements] == [name for name, _ in plain.elements]
    for (_, here), (_, there) in zip(page.elements, plain.elements, strict=True):
        assert here.keys() == there.keys()
    assert page.data("tm-evidence") == report_document(found)
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b\u2028\u2029\x00\x1b]", page.visible)


def test_no_random_text_becomes_markup():
    chance = random.Random(5)
    usual = [name for name, _ in Page(page_of(hostile("word"))).elements]
    for _ in range(20):
        word = hostile_text(chance) or "x"
        names = [name for name, _ in Page(page_of(hostile(word))).elements if name != "code"]
        assert names == [name for name in usual if name != "code"], repr(word)


def test_nothing_in_the_page_names_an_address_to_fetch():
    page = Page(page_of(hostile("http://evil.example/x.js")))
    for _, attributes in page.elements:
        assert "src" not in attributes
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        href = attributes.get("href") or "#"
        assert href.startswith("#") or href == "data:,"
    style = next(text for tag, text in page.texts if tag == "style")
    assert "url(" not in style
    assert "@import" not in style


def test_policy_allows_our_style_and_script_and_nothing_else():
    page = Page(page_of(evidence()))
    policy = next(
        attributes["content"]
        for attributes in page.all("meta")
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    script = [text for tag, text in page.texts if tag == "script"][-1]
    style = next(text for tag, text in page.texts if tag == "style")
    assert rules == {
        "default-src": "'none'", "script-src": f"'{_digest(script)}'",
        "style-src": f"'{_digest(style)}'", "img-src": "data:", "base-uri": "'none'",
        "form-action": "'none'",
    }  # fmt: skip


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@pytest.mark.parametrize("name", VENDORED)
def test_charting_library_is_the_published_one(name):
    content = (ASSETS / "uplot" / name).read_bytes()
    assert hashlib.sha256(content).hexdigest() == VENDORED[name]


def test_page_carries_the_licence_of_the_charting_library():
    assert "Copyright (c) 2022 Leon Sorokin" in page_of(unfinished())


def test_headings_descend_one_by_one_and_every_table_has_a_caption():
    for found in KINDS.values():
        page = Page(page_of(found))
        levels = [int(name[1]) for name, _ in page.elements if re.fullmatch("h[1-6]", name)]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert max(after - before for before, after in pairwise(levels)) == 1
        assert len(page.all("caption")) == len(page.all("table"))
        assert all("scope" in attributes for attributes in page.all("th"))


def test_figures_are_described_and_hold_their_numbers():
    page = Page(page_of(evidence()))
    plots = [attributes for attributes in page.all("div") if attributes.get("class") == "plot"]
    captions = {attributes["id"] for attributes in page.all("figcaption")}
    assert [plot["data-chart"] for plot in plots] == ["rates", "times", "errors"]
    assert {plot["data-about"] for plot in plots} == captions
    assert "Response time: the highest value of each bucket" in page.visible


def test_a_run_of_two_days_makes_a_chart_of_two_thousand_points():
    ours, theirs = series(34_560, slower=1.3), series(34_560)
    drawn = chart_data([record(result(series=ours), baseline(series=theirs))])[0]
    assert len(drawn["ours"]["t"]) == len(drawn["theirs"]["p99"]) == 2000
    assert max(drawn["ours"]["p99"]) == pytest.approx(max(m.p99 for m in ours), rel=1e-5)


def test_report_flag_writes_the_page(gate, tm, server):
    from tests.services.trafficmorph import row

    server.until_ended().scan(row(autoVerdict="FAIL")).detail(autoVerdict="FAIL").detail(5)
    words = ("runs", "start", "42", "--wait", "--fail-on", "FAIL", "--report", "html=out.html")
    assert gate(*words).exit_code == ExitCode.FAIL
    page = Page((tm.cwd / "out.html").read_text(encoding="utf-8"))
    assert "the gate failed (exit 2, FAIL)" in page.visible
    assert tm("report", "eval", "out.html").exit_code == ExitCode.FAIL
