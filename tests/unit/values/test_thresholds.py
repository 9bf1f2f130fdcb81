"""Limits of a verdict as people write them."""

from __future__ import annotations

import math

import pytest

from tm_cli.values.thresholds import BOUNDS, format_threshold, read_thresholds


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
        ({"p99": {"9": {"warn": 1}}}, 'write "p99.9" in quotes'),
        ({"p95": "10%"}, "gate.p95 must be false or a pair"),
        ({"p95": True}, "gate.p95 must be false or a pair"),
        ({"p95": None}, "gate.p95 must be false or a pair"),
        ({"p95": {}}, "names neither warn nor fail"),
        ({"p95": {"warn": 30, "fail": 25}}, "gate.p95 warns at 30, which is above its fail"),
        ({"p95": {"warn": True}}, "gate.p95.warn must be a number"),
        ({"p95": {"warn": None}}, "gate.p95.warn must be a number"),
        ({"p95": {"warn": "10 ms"}}, "gate.p95.warn must be a number"),
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


@pytest.mark.parametrize("key", BOUNDS)
def test_every_limit_can_be_shown(key):
    assert format_threshold(key, {"warn": 1, "fail": 2.5}).startswith("warn 1 ")
    assert format_threshold(key, False) == "never"


def test_floor_and_requests_are_shown_with_their_units():
    assert format_threshold("floorMs", 5) == "5 ms"
    assert format_threshold("minRequests", 100) == "100"
