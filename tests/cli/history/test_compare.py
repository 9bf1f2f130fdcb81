"""`tm history compare`: the server compares, or tm does and says so."""

from __future__ import annotations

import json

import pytest

from tests.services.trafficmorph import comparison, detail
from tm_cli.exit_codes import ExitCode

SIDES = {
    "runA": {"id": 9, "profileName": "checkout", "startedAt": "2026-03-02T12:00:00Z"},
    "runB": {"id": 7, "profileName": "checkout", "startedAt": "2026-03-01T12:00:00Z"},
}
ANSWER = {
    **SIDES,
    "latency": {},
    "comparisons": [
        comparison(),
        comparison("p50", change=0.4, ciLow=-0.2, ciHigh=1.0, verdict="PASS", significant=False),
        comparison("errors", unit="%", value=0.5, baseline=0.1, change=0.4, than="reference"),
    ],
}
CONTRACT = {
    **SIDES,
    "latency": {
        "p95": {
            "meanA": 26.0, "meanB": 20.0, "delta": 6.0, "deltaPercent": 30.0, "tStat": 4.1,
            "pValue": 0.002, "degreesOfFreedom": 20, "significant": True, "boxA": {}, "boxB": {},
        }
    },
    "successComparison": {"valueA": 99.0, "valueB": 100.0, "delta": -1.0, "bootstrap": None},
    "errorComparison": {
        "valueA": 1.0, "valueB": 0.0, "delta": 1.0,
        "bootstrap": {"bins": [], "significant": True, "pValue": 0.01},
    },
    "responseCodeComparisons": {"503": {"valueA": 6, "valueB": 0, "delta": 6, "bootstrap": None}},
}  # fmt: skip


def compared(server, document=ANSWER):
    query = {"runA": "9", "runB": "7"}
    return server.answer("GET", "/history/compare", document, query=query)


def test_table_shows_change_interval_limits_and_verdict(gate, server):
    compared(server)
    shown = gate("history", "compare", "9", "7").stdout
    lines = shown.splitlines()
    assert lines[0] == "checkout: run 9 compared with run 7"
    assert "A: run 9" in lines[2]
    p95 = next(line for line in lines if line.split()[0] == "p95")
    for words in ("26 ms", "20 ms", "+30.0 % *", "+24.5 to +35.5", "<0.001", "5 / 15", "FAIL"):
        assert words in p95
    assert "+0.40 % *" not in shown
    assert "errors (reference)" in shown
    assert "+0.40 pt" in shown


def test_json_is_the_servers_document(gate, server):
    for flags in (("--json",), ("--format", "json")):
        compared(server)
        data = gate("history", "compare", "9", "7", *flags).json["data"]
        assert data["compared_by"] == "server"
        assert data["comparisons"] == ANSWER["comparisons"]


def test_markdown_is_a_table_for_a_comment(gate, server):
    compared(server)
    lines = gate("history", "compare", "9", "7", "--format", "markdown").stdout.splitlines()
    assert lines[0] == "### checkout: run 9 compared with run 7"
    table = [line for line in lines if line.startswith("|")]
    assert len({line.count("|") for line in table}) == 1
    assert "**FAIL**" in table[2]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("a | b", "a \\| b"),
        ("`code`", "\\`code\\`"),
        ("<img src=x>", "&lt;img src=x&gt;"),
        ("[a](javascript:b)", "\\[a\\](javascript:b)"),
        ("@someone #12", "@<!-- -->someone \\#<!-- -->12"),
        ("see GH-12, gh-3 and o/r#4", "see GH-<!-- -->12, gh-<!-- -->3 and o/r\\#<!-- -->4"),
        ("!12 &12 %12 ~12", "!<!-- -->12 &amp;<!-- -->12 %<!-- -->12 \\~<!-- -->12"),
        ("HIGH-12, +5 % of 20", "HIGH-12, +5 % of 20"),
        ("http://evil.example", "http:<!-- -->//evil.example"),
        ("a\n\n# b", "a \\# b"),
    ],
)
def test_hostile_names_stay_text_in_markdown(gate, server, said, shown):
    document = {**ANSWER, "comparisons": [comparison(said)]}
    compared(server, document)
    printed = gate("history", "compare", "9", "7", "--format", "markdown").stdout
    assert f"| {shown} |" in printed


def test_contracts_own_fields_are_shown_where_there_are_no_others(gate, server):
    compared(server, CONTRACT)
    shown = gate("history", "compare", "9", "7").stdout
    assert "p95 (mean of buckets)" in shown
    assert "+30.0 % *" in shown
    assert "* larger than the noise within the runs" in shown
    rows = [line for line in shown.splitlines() if line.startswith(("  success", "  responses"))]
    assert rows[0].split()[1:5] == ["99.00", "%", "100.00", "%"]
    assert rows[1].split()[2:6] == ["6.00", "%", "0.00", "%"]
    assert "-1.0 pt" in rows[0]


@pytest.mark.parametrize("document", [{}, {"runA": 1, "latency": 7, "comparisons": [1, {}]}])
def test_answer_that_says_nothing_breaks_nothing(gate, server, document):
    compared(server, document)
    assert "named no comparison" in gate("history", "compare", "9", "7").stdout


def plain(server, newer=None, older=None, status=404, error="Not found"):
    server.error("GET", "/history/compare", status, error)
    server.answer("GET", "/history/7", detail(7, createdAt="2026-03-01T12:00:00Z", **(older or {})))
    server.answer("GET", "/history/9", detail(9, createdAt="2026-03-02T12:00:00Z", **(newer or {})))


def test_older_servers_runs_are_compared_by_tm_which_says_so(gate, server):
    plain(server, newer={"totalErrors": 6, "latencyQuantiles": json.dumps({"p95": 23.2})})
    result = gate("history", "compare", "7", "9")
    assert result.exit_code == ExitCode.OK
    assert "does not compare runs" in result.stderr
    lines = {line.split()[0]: line for line in result.stdout.splitlines()[3:]}
    assert "WARN" in lines["totalErrors"]
    assert "+100.0 %" in lines["totalErrors"]
    assert "WARN" in lines["p95"]
    assert "WARN" not in lines["avgRps"]
    assert "p50" not in lines


def test_plain_difference_puts_the_newer_run_first(gate, server):
    plain(server, newer={"avgRps": 12.0}, older={"avgRps": 0.0})
    data = gate("history", "compare", "7", "9", "--json").json["data"]
    assert data["compared_by"] == "tm"
    assert (data["runA"]["id"], data["runB"]["id"]) == (9, 7)
    rate = next(item for item in data["comparisons"] if item["metric"] == "avgRps")
    assert rate["change"] is None
    assert rate["reason"] == "+12 from nothing"


@pytest.mark.parametrize(("newer", "marked"), [(89.0, True), (90.0, False), (100.0, False)])
def test_fall_of_the_success_rate_is_marked_above_a_tenth(gate, server, newer, marked):
    plain(server, newer={"successRate": newer}, older={"successRate": 99.5})
    data = gate("history", "compare", "7", "9", "--json").json["data"]
    rate = next(item for item in data["comparisons"] if item["metric"] == "successRate")
    assert (rate["verdict"] == "WARN") is marked
    assert rate["change"] == pytest.approx(newer - 99.5)


@pytest.mark.parametrize("status", [404, 400])
def test_runs_of_two_profiles_are_not_compared(gate, server, status):
    plain(server, newer={"profileId": 43}, status=status)
    result = gate("history", "compare", "7", "9", "--json")
    assert result.exit_code == ExitCode.ERROR
    assert result.json["error"]["code"] == "not_comparable"
    assert result.json["error"]["message"] == "runs 7 and 9 are of different profiles"


@pytest.mark.parametrize("status", [404, 400])
def test_run_that_is_not_there_is_named(gate, server, status):
    server.error("GET", "/history/compare", status, "Run history not found").detail(7)
    server.error("GET", "/history/9", 400, "Run history not found")
    result = gate("history", "compare", "7", "9")
    assert result.exit_code == ExitCode.ERROR
    assert "run 9 is not in the history" in result.stderr
    assert "tm history list" in result.stderr


def test_other_refusal_of_the_server_is_passed_on(gate, server):
    plain(server, status=400, error="runs of 2024 are gone")
    result = gate("history", "compare", "7", "9")
    assert result.exit_code == ExitCode.ERROR
    assert "runs of 2024 are gone" in result.stderr


@pytest.mark.parametrize(
    "argv",
    [
        ("7", "7"),
        ("9", "7", "--format", "html"),
        ("9", "7", "--format", "markdown", "--json"),
        ("0", "7"),
    ],
)
def test_wrong_words_send_nothing(gate, server, argv):
    assert gate("history", "compare", *argv).exit_code == ExitCode.USAGE
    assert not server.requests
