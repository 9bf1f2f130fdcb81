"""A report is read back whole, or refused: nothing in a file can turn red into green."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.report.made_evidence import ALL
from tm_cli.gate.outcome import replay
from tm_cli.report.reader import InvalidReport, read_report
from tm_cli.report.writer import as_document, report_document

OTHERS = (None, 0, "PASS", "OK", True, False, [], {})


def document(name: str) -> Any:
    return json.loads(json.dumps(report_document(ALL[name])))


@pytest.mark.parametrize("name", ALL)
def test_what_was_written_is_read_back(name):
    again = read_report(document(name))
    assert report_document(again) == report_document(ALL[name])


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every key and item of a document; of long lists the first item."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*path, key)
            yield from places(inner, (*path, key))
    elif isinstance(value, list) and value:
        yield (*path, 0)
        yield from places(value[0], (*path, 0))


def changed(original: Any, path: tuple[Any, ...], new: Any) -> Any:
    found = inner = copy.deepcopy(original)
    for step in path[:-1]:
        inner = inner[step]
    if new is DROPPED:
        del inner[path[-1]]
    else:
        inner[path[-1]] = new
    return found


DROPPED = object()


@pytest.mark.parametrize("name", [name for name, found in ALL.items() if found.exit_code != 0])
def test_no_single_change_makes_a_red_report_green(name):
    original = document(name)
    tried = refused = 0
    for path in places(original):
        for new in (DROPPED, *OTHERS):
            tried += 1
            try:
                found = read_report(changed(original, path, new))
            except InvalidReport:
                refused += 1
                continue
            assert found.exit_code != 0, (path, new)
            assert replay(found, found.gate).exit_code != 0, (path, new)
    assert refused > tried / 4


@pytest.mark.parametrize(
    "path",
    [
        ("data", "verdict"),
        ("data", "fail_on_match"),
        ("data", "verdict_pending"),
        ("data", "metrics"),
        ("data", "baseline"),
        ("data", "checks"),
        ("data", "decision"),
        ("data", "decision", "judged"),
        ("data", "final"),
        ("data", "facts"),
        ("data", "earlier_runs"),
        ("data", "abandoned"),
        ("data", "started"),
        ("report", "gate"),
        ("report", "gate", "fail_on"),
        ("report", "gate", "checks"),
        ("report", "made_at"),
        ("exit_code",),
        ("exit_name",),
        ("schema_version",),
        ("report",),
    ],
    ids=lambda path: ".".join(path),
)
def test_what_a_decision_rests_on_must_be_there_even_in_a_good_report(path):
    with pytest.raises(InvalidReport):
        read_report(changed(document("pass"), path, DROPPED))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("data", "verdict"), "FAIL"),
        (("data", "verdict"), "pass"),
        (("data", "verdict"), None),
        (("data", "final"), True),
        (("data", "run_id"), 8),
        (("data", "fail_on_match"), None),
        (("data", "fail_on_match"), True),
        (("data", "metrics", "latencyQuantiles", "p95"), 400.0),
        (("data", "metrics", "latencyQuantiles", "p95"), "21"),
        (("data", "metrics", "successRate"), 90),
        (("data", "baseline"), None),
        (("data", "checks", 0, "passed"), False),
        (("data", "checks", 0, "check"), "p95<500ms"),
        (("data", "decision", "judged"), False),
        (("data", "decision", "exit_code"), 2),
        (("data", "abandoned"), True),
        (("report", "gate", "fail_on"), ["PASS"]),
        (("report", "gate", "checks"), []),
        (("report", "gate", "checks"), ["p95<1ms", "errors<1%", "p99<+10%"]),
        (("report", "made_at"), "2026-03-01T12:05:00"),
        (("exit_code",), 5),
        (("exit_code",), True),
        (("exit_code",), 0.0),
        (("schema_version",), 2),
        (("schema_version",), True),
        (("data",), {"runs": []}),
        (("data",), None),
    ],
    ids=str,
)
def test_contradiction_in_a_good_report_is_refused(path, value):
    with pytest.raises(InvalidReport):
        read_report(changed(document("pass"), path, value))


def test_document_of_json_output_says_what_is_missing():
    with pytest.raises(InvalidReport, match="--report json=FILE"):
        read_report(as_document(ALL["pass"]))


@pytest.mark.parametrize("found", [None, [], "x", 3, {}, {"schema_version": 1}])
def test_anything_else_is_refused(found):
    with pytest.raises(InvalidReport):
        read_report(found)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("data", "decision", "judged"), 1, "data.decision.judged: expected true or false"),
        (("data", "checks", 0, "check"), 7, "data.checks[0].check: expected a text"),
        (
            ("data", "comparisons", 0, "value"),
            "7",
            "comparisons[0].value: expected a finite number",
        ),
        (("data", "course", "p95", 0), [], "data.course.p95[0]: expected a finite number"),
        (("data", "run_id"), True, "data.run_id: expected a number or a text"),
        (("data", "facts"), [], "data.facts: expected an object"),
        (("data", "notes"), {}, "data.notes: expected a list"),
        (("report", "gate", "fail_on", 0), "PASS", "gate.fail_on[0]: PASS cannot fail a gate"),
        (("report", "gate", "confirm"), -1, "report.gate.confirm: expected at least 0"),
        (("exit_code",), 9, "exit_code: unknown exit code"),
        (("schema_version",), 2, "schema_version: 2 is not supported, this tm reads 1"),
        (("data",), {"runs": []}, "data.runs: expected at least 1 item"),
        (("data", "waited"), DROPPED, "data.waited: missing"),
    ],
    ids=lambda value: ".".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_message_names_the_wrong_key(path, value, message):
    with pytest.raises(InvalidReport) as refusal:
        read_report(changed(document("pass"), path, value))
    assert message in str(refusal.value)


def test_message_names_the_run_of_several():
    path = ("data", "runs", 1, "decision", "hint")
    with pytest.raises(InvalidReport, match=r"data\.runs\[1\]\.decision\.hint: expected a text"):
        read_report(changed(document("several"), path, 7))
