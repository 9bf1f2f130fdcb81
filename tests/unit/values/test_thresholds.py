"""Limits of a verdict as people write them."""

from __future__ import annotations

import math

import pytest

from tm_cli.values.thresholds import (
    BOUNDS,
    InvalidThreshold,
    format_threshold,
    read_thresholds,
    stretch_problem,
)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ({}, {}),
        ({"p95": {"warn": 10, "fail": 25}}, {"p95": {"warn": 10, "fail": 25}}),
        ({"p95": {"warn": "10%", "fail": "12.5 %"}}, {"p95": {"warn": 10, "fail": 12.5}}),
        ({"p99.9": {"fail": 60.0}}, {"p99.9": {"fail": 60}}),
        ({"p50": False}, {"p50": False}),
        ({"errors": {"warn": "0.1"}}, {"errors": {"warn": 0.1}}),
        ({"floor": "5ms"}, {"floorMs": 5}),
        ({"floor": "0.5 s"}, {"floorMs": 500}),
        ({"floorMs": 2.5}, {"floorMs": 2.5}),
        ({"minRequests": 100}, {"minRequests": 100}),
        ({"p95": {"warn": False, "fail": 5}}, {"p95": {"warn": False, "fail": 5}}),
        ({"throughput": {"warn": 0, "fail": 0}}, {"throughput": {"warn": 0, "fail": 0}}),
        ({"p95": {"fail": "400ms"}}, {"p95": {"failMs": 400}}),
        ({"p95": {"warn": "0.3 s", "fail": "1s"}}, {"p95": {"warnMs": 300, "failMs": 1000}}),
        (
            {"p95": {"warn": "10%", "fail": ["25%", "400ms"]}},
            {"p95": {"warn": 10, "fail": 25, "failMs": 400}},
        ),
        ({"p99": {"fail": ["2s", False]}}, {"p99": {"fail": False, "failMs": 2000}}),
        ({"p99": {"fail": ["2s"]}}, {"p99": {"failMs": 2000}}),
        ({"p95": {"failMs": False}}, {"p95": {"failMs": False}}),
        ({"p95[60s..90s]": {"fail": "20%"}}, {"p95[60s..90s]": {"fail": 20}}),
        (
            {"steps": {"/checkout": {"p95": "10%", "p99": {"fail": "400ms"}, "errors": 1}}},
            {
                "steps": {
                    "/checkout": {
                        "p95": {"fail": 10},
                        "p99": {"failMs": 400},
                        "errors": {"fail": 1},
                    }
                }
            },
        ),
        (
            {"steps": {"a  b": {"p95": "1s"}, 5: False}},
            {"steps": {"a b": {"p95": {"failMs": 1000}}, "5": False}},
        ),
        (
            {"steps": {"x": {"p95": ["10%", "1s"], "floor": "5ms"}}},
            {"steps": {"x": {"p95": {"fail": 10, "failMs": 1000}, "floorMs": 5}}},
        ),
        ({"steps": {"x": {"p50": False}}}, {"steps": {"x": {"p50": False}}}),
        ({"steps": False}, {"steps": False}),
        ({"p95[1m..1m30s]": {"fail": "800ms"}}, {"p95[60s..90s]": {"failMs": 800}}),
        ({"p99.9 [ 60 .. ]": {"warn": 5}}, {"p99.9[60s..]": {"warn": 5}}),
        ({"errors[..30s]": {"fail": "1%"}}, {"errors[0s..30s]": {"fail": 1}}),
        ({"allErrors[5s..10s]": {"fail": 50}}, {"allErrors[5s..10s]": {"fail": 50}}),
        ({"p50[0s..5s]": False}, {"p50[0s..5s]": False}),
    ],
)
def test_limits_become_what_the_api_takes(written, read):
    assert read_thresholds(written) == read
    assert read_thresholds(read_thresholds(written)) == read


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (None, "gate must be a table"),
        ([], "gate must be a table"),
        ({"p909": {"warn": 1}}, "unknown key 'gate.p909'; did you mean p99"),
        ({"all_errors": {"warn": 1}}, "did you mean allErrors"),
        ({"xyzzy": 1}, "the keys are p50"),
        ({"p95": {"wran": 1}}, "'gate.p95.wran'; did you mean warn"),
        ({"steps": 5}, "gate.steps must be false or a table such as"),
        ({"steps": {}}, "gate.steps must be false or a table such as"),
        ({"steps": {"/cart": 5}}, "gate.steps./cart must be false or a table such as"),
        ({"steps": {"/cart": {"p59": 5}}}, "'gate.steps./cart.p59'; did you mean p9"),
        ({"steps": {"/cart": {"shortfall": 5}}}, "unknown key 'gate.steps./cart.shortfall'"),
        ({"steps": {"/cart": {"p95": True}}}, "gate.steps./cart.p95 must be false or a pair"),
        ({"steps": {"/cart": {"p95": None}}}, "gate.steps./cart.p95 must be false or a pair"),
        ({"steps": {"/cart": {"p95": "fast"}}}, "gate.steps./cart.p95.fail must be a number"),
        ({"steps": {"/cart": {"p95": {"warn": 9, "fail": 5}}}}, "gate.steps./cart.p95 warns at 9"),
        ({"steps": {"a b": False, "a  b": False}}, "gate.steps has the step a b twice"),
        ({"steps": {str(n): False for n in range(201)}}, "gate.steps has more than 200 steps"),
        ({"stesp": {}}, "'gate.stesp'; did you mean steps"),
        ({"p99": {"9": {"warn": 1}}}, 'write "p99.9" in quotes'),
        ({"p95": "10%"}, "gate.p95 must be false or a pair"),
        ({"p95": True}, "gate.p95 must be false or a pair"),
        ({"p95": None}, "gate.p95 must be false or a pair"),
        ({"p95": {}}, "names neither warn nor fail"),
        ({"p95": {"warn": 30, "fail": 25}}, "gate.p95 warns at 30, which is above its fail"),
        ({"p95": {"warn": True}}, "gate.p95.warn must be a number"),
        ({"p95": {"warn": None}}, "gate.p95.warn must be a number"),
        ({"errors": {"warn": "10 ms"}}, "gate.errors.warn must be a number, e.g. 10 or '10%'"),
        ({"errors": {"failMs": 10}}, "unknown key 'gate.errors.failMs'"),
        ({"p95": {"warn": "10 min"}}, "must be a number, e.g. 10, '10%' or '400ms'"),
        ({"p95": {"fail": "1s", "failMs": 500}}, "gate.p95.failMs is there under two names"),
        ({"p95[" + " " * 10_000 + "x": {"fail": 1}}, "a stretch is written as in p95[60s..90s]"),
        ({"p95": {"fail": []}}, "gate.p95.fail must be a number"),
        ({"p95": {"fail": ["10%", "20%"]}}, "may have one limit in % and one in ms or s"),
        ({"p95": {"fail": ["1s", "2s", "5%"]}}, "may have one limit in % and one in ms or s"),
        ({"p95": {"fail": "10%", "wran": ["1s"]}}, "'gate.p95.wran'; did you mean warn"),
        ({"p95": {"warn": "500ms", "fail": "400ms"}}, "warns at 500 ms, which is above its fail"),
        ({"p95[60s..90s": {"fail": 1}}, "gate.p95[60s..90s: a stretch is written as in p95[60s"),
        ({"p95[60s]": {"fail": 1}}, "a stretch is written as in p95[60s..90s]"),
        ({"p95[60s..90s]x": {"fail": 1}}, "a stretch is written as in p95[60s..90s]"),
        ({"p95[62s..90s]": {"fail": 1}}, "at a multiple of 5s, 62s is none"),
        ({"p95[1s..soon]": {"fail": 1}}, "gate.p95[1s..soon]: "),
        ({"p95[90s..60s]": {"fail": 1}}, "the stretch ends before it begins"),
        ({"p95[0s..0s]": {"fail": 1}}, "the stretch ends before it begins"),
        ({"throughput[0s..5s]": {"fail": 1}}, "the keys with a stretch are p50, p95"),
        ({"p59[0s..5s]": {"fail": 1}}, "unknown key 'gate.p59[0s..5s]'; did you mean p9"),
        ({"p95[0s..5s]": {}}, "gate.p95[0s..5s] names neither warn nor fail"),
        ({"p95[60s..90s]": {"fail": 1}, "p95[60s..1m30s]": {"fail": 1}}, "under two names"),
        ({"p95": {"warn": -1}}, "gate.p95.warn is -1"),
        ({"p95": {"warn": math.nan}}, "gate.p95.warn is nan"),
        ({"p95": {"fail": math.inf}}, "gate.p95.fail is inf"),
        ({"p95": {"fail": "1e999"}}, "gate.p95.fail must be a number"),
        ({"p95": {"fail": 10**400}}, "gate.p95.fail is too large"),
        ({"p95": {"fail": -(10**400)}}, "gate.p95.fail is too large"),
        ({"floorMs": "5"}, "gate.floorMs must be a number"),
        ({"floorMs": False}, "gate.floorMs must be a number"),
        ({"floor": 1, "floorMs": 2}, "gate.floorMs is there under two names"),
        ({"minRequests": 1.5}, "must be a whole number"),
        ({"minRequests": "100"}, "gate.minRequests must be a number"),
        ({3: 4}, "unknown key 'gate.3'"),
    ],
)
def test_what_is_no_limit_is_refused_with_its_key(written, words):
    with pytest.raises(ValueError) as caught:
        read_thresholds(written)
    assert words in str(caught.value)


def test_a_problem_has_the_keys_that_lead_to_it():
    with pytest.raises(InvalidThreshold) as caught:
        read_thresholds({"p95[1m..90s]": {"wran": 1}})
    assert caught.value.path == ("p95[1m..90s]", "wran")


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("p95", None),
        ("p95[5s..60s]", None),
        ("p95[55s..]", None),
        ("p95[55s..65s]", "ends after the curve, which takes 60s"),
        ("p95[60s..]", "ends after the curve"),
        ("p95[0s..30s]", "begins in the warm-up of 5s"),
    ],
)
def test_a_stretch_lies_in_what_is_judged_of_the_curve(key, words):
    problem = stretch_problem(key, duration=60, warmup=5)
    assert problem is None if words is None else words in problem


@pytest.mark.parametrize("key", BOUNDS)
def test_every_limit_can_be_shown(key):
    assert format_threshold(key, {"warn": 1, "fail": 2.5}).startswith("warn 1 ")
    assert format_threshold(key, False) == "never"


def test_absolute_limits_are_shown_next_to_relative_ones():
    both = {"warn": 10, "fail": 25, "failMs": 400}
    assert format_threshold("p95", both) == "warn 10 %, fail 25 % or 400 ms"
    assert format_threshold("p95[60s..90s]", {"failMs": 800}) == "fail 800 ms"


def test_thresholds_of_steps_are_shown_by_step_and_clean():
    steps = {"/cart": {"p95": {"fail": 10}, "floorMs": 5}, "a\x1b[31m": False}
    shown = "/cart: p95 fail 10 %, floorMs 5 ms; a [31m: not judged"
    assert format_threshold("steps", steps) == shown
    assert format_threshold("steps", False) == "never"


def test_floor_and_requests_are_shown_with_their_units():
    assert format_threshold("floorMs", 5) == "5 ms"
    assert format_threshold("minRequests", 100) == "100"
