"""`--assert` on what a job returned, and `--max-duration`."""

import pytest

from tm_cli.backends.strait.conditions import (
    SECONDS,
    NotThere,
    follow,
    parse_longest,
    parse_path,
    parse_result_check,
)
from tm_cli.gate.model import Result
from tm_cli.values.verdict import Verdict

RETURNED = {
    "score": 0.93,
    "state": "done",
    "ok": True,
    "none": None,
    "items": [{"id": 7}, {"id": 8}],
    "odd name": {"it's": 1},
    "größe": 3,
    "huge": 10**30,
}


def judged(text, **facts):
    shown = {"result": RETURNED, **facts}
    return parse_result_check(text).judge(Result("r", Verdict.PASS, "PASS", facts=shown), None)


@pytest.mark.parametrize(
    ("text", "passed"),
    [
        ("score>=0.9", True),
        ("$.score > 0.95", False),
        ('$.state == "done"', True),
        ("state==done", True),
        ("state!=done", False),
        ("ok == true", True),
        ("ok == 1", False),
        ("ok != 1", True),
        ("none == null", True),
        ("items[0].id == 7", True),
        ("$['items'][-1]['id'] >= 8", True),
        ('$["odd name"]["it\'s"] <= 1', True),
        ("größe < 4", True),
        ("huge > 1e29", True),
        ("items == 1", False),
        ("score == 0.93", True),
        ("missing > 1", None),
        ("items[2].id > 1", None),
        ("state > 1", None),
        ("ok > 0", None),
        ("score.deeper > 1", None),
    ],
)
def test_check_on_the_result(text, passed):
    assert judged(text).passed is passed


def test_whole_result_can_be_compared():
    assert judged("$ == 3", result=3).passed is True
    assert judged("$[1] == b", result=["a", "b"]).passed is True


def test_run_without_result_is_not_measured():
    outcome = parse_result_check("score>1").judge(Result("r", Verdict.PASS, "PASS"), None)
    assert outcome.passed is None
    assert "no result" in outcome.reason


def test_null_is_a_result():
    assert judged("$ == null", result=None).passed is True


def test_hostile_value_is_harmless_in_the_reason():
    outcome = judged("state == x", result={"state": "\x1b[31m::error::x" + "y" * 900})
    assert outcome.passed is False
    assert "\x1b" not in outcome.reason
    assert len(outcome.reason) < 200


@pytest.mark.parametrize(
    "text",
    [
        "",
        "score",
        "score=1",
        "score>",
        "score>high",
        "score >= true",
        "1 < score",
        "score==[1]",
        "score==NaN",
        "ok==True",
        "score>1e999",
        "score>" + "9" * 400,
        "score>" + "9" * 5000,
        "score==" + "[" * 100_000,
        "items[*].id==1",
        "items[01]==1",
        "a..b==1",
        "a b==1",
        '$["a\\q"]==1',
        "state==two words",
    ],
)
def test_what_is_no_check_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        parse_result_check(text)


def test_path_ends_where_the_comparison_begins():
    assert parse_path("$.a['b'][0]>=1") == (("a", "b", 0), ">=1")
    assert parse_path("a-b_c.d == 1") == (("a-b_c", "d"), " == 1")


@pytest.mark.parametrize("steps", [("a",), (2,), (-3,), ("0",)])
def test_path_that_leads_nowhere_is_told(steps):
    with pytest.raises(NotThere):
        follow([1, 2], steps)


@pytest.mark.parametrize(
    ("took", "passed"),
    [
        (299.0, True),
        (300.0, True),
        (300.1, False),
        (None, None),
        (-1.0, None),
        (float("nan"), None),
    ],
)
def test_longest_duration(took, passed):
    result = Result("r", Verdict.PASS, "PASS", metrics={SECONDS: took})
    assert parse_longest("5m").judge(result, None).passed is passed


@pytest.mark.parametrize("text", ["0", "-1s", "soon", ""])
def test_duration_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        parse_longest(text)
