"""Checks beside the verdict: how they read, and what they say."""

from __future__ import annotations

import pytest

from tm_cli.gate.checks import Check, apply_check, parse_check

METRICS = {
    "totalRequests": 600,
    "avgRps": 49.5,
    "successRate": 99.5,
    "latencyQuantiles": {"p50": 8.0, "p95": 100.0, "p99.9": 250.0},
}


@pytest.mark.parametrize(
    ("text", "check"),
    [
        ("p95<400ms", ("p95", "<", 400.0, False)),
        (" p99.9 <= 1.5s ", ("p99.9", "<=", 1500.0, False)),
        ("errors<1%", ("errors", "<", 1.0, False)),
        ("success>=99.9%", ("success", ">=", 99.9, False)),
        ("rps>45", ("rps", ">", 45.0, False)),
        ("p99<+10%", ("p99", "<", 10.0, True)),
        ("rps>-5%", ("rps", ">", -5.0, True)),
        ("errors<+50%", ("errors", "<", 50.0, True)),
    ],
)
def test_check_is_read(text, check):
    assert parse_check(text) == Check(text.strip(), *check)


NO_CHECKS = """
p95 | p95< | p95<400 | p95=400ms | p95<400ms! | errors<1 | errors<1ms | rps>4% | p99<+10ms |
p99<+10 | p100<1ms | latency<1ms | p95<1e3ms | p95<nanms | p95<١ms
"""


@pytest.mark.parametrize("text", ["", *map(str.strip, NO_CHECKS.split("|"))])
def test_what_is_no_check_is_refused(text):
    with pytest.raises(ValueError):
        parse_check(text)


@pytest.mark.parametrize(
    ("text", "passed"),
    [
        ("p95<100ms", False),
        ("p95<=100ms", True),
        ("p95>99ms", True),
        ("p99.9<0.3s", True),
        ("errors<0.5%", False),
        ("errors<=0.5%", True),
        ("rps>=49.5", True),
        ("requests>600", False),
        ("p99<1s", None),
    ],
)
def test_absolute_check(text, passed):
    assert apply_check(parse_check(text), METRICS, None).passed is passed


@pytest.mark.parametrize(
    ("text", "before", "passed"),
    [
        ("p95<+10%", 95.0, True),
        ("p95<+10%", 90.0, False),
        ("p95<-10%", 120.0, True),
        ("p95<+10%", None, None),
        ("p95<+10%", "fast", None),
    ],
)
def test_relative_check_needs_a_measured_baseline(text, before, passed):
    baseline = {"latencyQuantiles": {"p95": before}}
    assert apply_check(parse_check(text), METRICS, baseline).passed is passed


def test_reason_tells_the_numbers():
    outcome = apply_check(parse_check("p95<+10%"), METRICS, {"latencyQuantiles": {"p95": 80.0}})
    assert outcome.reason == "p95<+10%: p95 is 100 ms, baseline 80 ms"


def test_reason_names_what_it_compares_with():
    check = parse_check("p95<+10%")
    there = {"latencyQuantiles": {"p95": 80.0}}
    outcome = apply_check(check, METRICS, there, than="other target")
    assert outcome.reason == "p95<+10%: p95 is 100 ms, other target 80 ms"
    outcome = apply_check(check, METRICS, None, than="other target")
    assert outcome.reason == "p95<+10%: there is no other target to compare with"


@pytest.mark.parametrize("value", [None, "12", True, [], {}])
def test_metric_that_is_no_number_is_not_measured(value):
    outcome = apply_check(parse_check("rps>1"), {"avgRps": value}, None)
    assert outcome.passed is None
