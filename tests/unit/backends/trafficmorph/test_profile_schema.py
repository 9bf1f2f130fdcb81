"""The JSON Schema accepts what the reader accepts, and refuses what it refuses by itself."""

import json

import pytest
from jsonschema import Draft7Validator

from tests.cli.test_document_corpus import READ
from tm_cli.backends.trafficmorph.profile_documents import (
    ALIASES,
    AS_TEXT,
    OPTIONAL,
    REQUIRED,
    examine,
)
from tm_cli.backends.trafficmorph.profile_schema import profile_schema
from tm_cli.values.documents import matches, parse_yaml

SCHEMA = Draft7Validator(profile_schema())
BASE = {
    "name": "a",
    "duration": 60,
    "endpointUrl": "http://localhost/${TOKEN}",
    "points": [[0, 5], [10, 5]],
}
ANYTHING = [
    *(None, True, False, 0, 1, 5, 10, 60, 59.5, -1, 200, 1e12, 1.1, 2),
    *("", " ", "x", "10s", "5 min", "1h30m", "5x", "10", "400ms", "GET", "get", "SPLINE", "WARN"),
    *(
        "http://localhost/",
        "HTTPS://x.example",
        "ftp://x",
        "a b",
        "x" * 130,
        "x" * 60_000,
        "1.1",
        "2",
    ),
    *([], ["a"], [1], [[0, 1]], {}, {"a": 1}, {"a": "b"}, {"a b": "c"}, {"a": [1]}),
]
VALUES = {
    "points": [
        [[0, 1], [10, 2]],
        [{"x": 0, "y": 1}, [5, 2.5]],
        [{"x": 0, "y": 1}, {"x": 0, "y": 1, "z": 2}],
        [[0, -1], [1, 1]],
        [[0, 1], ["1", 1]],
        [[0, 1], [True, 1]],
        [[0, 1, 2], [1, 1]],
    ],
    "requestHeaders": [
        {"A": 1, "B": None, "C": True, "D": 1.5},
        [{"name": "A", "value": "b"}],
        [{"name": "A"}],
        [{"name": "A B", "value": "b"}],
        {"A": "b\nc"},
        {"A": {}},
    ],
    "gate": [
        {"p95": {"warn": "10%", "fail": [25, "400ms"]}},
        {"p95": False, "p99.9": {"failMs": 5}},
        {"p95": 5},
        {"p95": {}},
        {"p95": {"fail": "400ms"}, "errors": {"fail": "400ms"}},
        {"p95": {"fail": [False, "2 s"]}},
        {"p95[10s..20s]": {"fail": 1}, "errors[..5s]": False},
        {"throughput[0s..5s]": {"fail": 1}},
        {"p95": {"warn": -1}},
        {"p95": {"warn": True}},
        {"floor": "5ms", "minRequests": 5, "expectStatus": [200, 302]},
        {"floorMs": "5%"},
        {"minRequests": 1.5},
        {"expectStatus": 404},
        {"expectStatus": []},
        {"steps": {"a": {"p95": 5, "errors": "1%", "floor": "5ms"}, "b": False}},
        {"steps": {"a": {"p95": "400ms", "throughput": 5}}},
        {"steps": {}},
        {"steps": {"a": {}}},
        {"p97": {"warn": 1}},
    ],
    "checks": [
        {"status": 200, "maxTime": "500ms", "body": 5, "header": {"A": 1}},
        {"status": [200, 404]},
        {"body": {"contains": "a", "lacks": 1, "regex": "[a-z]"}},
        {"body": {"is": "a"}},
        {"maxTime": 0},
        {"maxTime": 11},
        {"size": {"max": "1MB", "min": 5}},
        {"size": {"max": "1XB"}},
        {"json": {"$.a": 1}},
    ],
    "steps": [
        [{"request": "GET /a", "headers": {"A": 1}, "body": {"a": 1}, "weight": 2}],
        [{"request": "/a"}, {"think": "1s..3s"}, {"think": [1, 2]}, {"think": 5}],
        [{"think": 5}],
        [{"request": "/a", "think": 5}],
        [{"request": "GET /a /b"}],
        [{"request": "/a", "weight": 0}],
        [{"request": "/a", "name": ""}],
        [{"request": "/a", "extract": {"t": {"json": "$.t"}}}],
        [{"request": "/a", "extract": {"t": {"json": "$.t", "header": "A"}}}],
        [{"request": "/a", "extract": {"t t": {"json": "$.t"}}}],
        [{"request": "/a", "wait": 5}],
    ],
    "metrics": [
        {"cpu": "sum(x)", "mem": {"query": "m", "prometheus": "http://p", "headers": {"A": "b"}}},
        {"cpu": {"prometheus": "x"}},
        {"cpu": {"query": "x", "headers": None}},
        {"cpu": {"query": "x", "headers": 0}},
        {"cpu": {"query": "x", "headers": "a"}},
        {"1a": "x"},
    ],
    "data": [{"csv": "a,b\n1,2\n", "mode": "row"}, {"file": 5}, {"csv": "a\n1\n", "mode": "x"}],
    "clientCertificate": [
        {"cert": "a.pem", "key": "b.pem", "password": "${A}"},
        {"cert": "a.pem", "password": "secret"},
        {"key": "a.pem"},
    ],
    "tokenCommand": [["./a", "b"], ["./a", 1], ""],
    "schedule": [
        {"mode": "ONCE", "timezone": "UTC", "slots": []},
        {"mode": "PERIODIC", "slots": [{"dayOfWeek": 7, "time": "23:59", "enabled": True}]},
        {"mode": None, "slots": None},
        {"mode": "WEEKLY"},
        {"slots": {}},
        {"slots": ["mon 06:30"]},
        {"slots": [{"dayOfWeek": 0, "time": "06:30"}]},
        {"slots": [{"dayOfWeek": True, "time": "06:30"}]},
        {"slots": [{"dayOfWeek": 1, "time": "24:30"}]},
        {"slots": [{"time": "06:30"}]},
    ],
    "autoAlertCooldownMinutes": [10_080, 10_081],
    "httpVersion": ["2.0", 1.0, 3],
}
ONLY_THE_READER = {
    "a point beyond the duration": {"points": [[0, 1], [99, 1]]},
    "a duration that is too short": {"duration": "5s"},
    "too long a wait": {"waitForTarget": "2h"},
    "warm-up that is no multiple": {"warmup": "7s"},
    "a file that is not there": {"data": "gone.csv"},
    "headers in broken text": {"requestHeaders": "[}]"},
    "a query with steps": {"endpointUrl": "http://x/?a", "steps": [{"request": "/"}]},
    "steps and a body": {"steps": [{"request": "/"}], "requestPayload": "a"},
    "a warning above the failure": {"gate": {"p95": {"warn": 5, "fail": 2}}},
    "a stretch outside of the curve": {"gate": {"p95[10s..90s]": {"fail": 1}}},
    "an unknown method of a step": {"steps": [{"request": "GTE /"}]},
    "a pattern that is none": {"checks": {"body": {"regex": "("}}},
    "a token that is never used": {"endpointUrl": "http://x/", "tokenCommand": "./a"},
}


def as_text(value, path=()):
    """Make text of what a file has where the reader takes its characters."""
    if isinstance(value, dict):
        return {key: as_text(inner, (*path, key)) for key, inner in value.items()}
    if isinstance(value, list):
        return [as_text(inner, (*path, index)) for index, inner in enumerate(value)]
    is_text = matches(path, AS_TEXT) and not (value is None and len(path) == 1)
    return json.dumps(value) if is_text and not isinstance(value, str) else value


def verdicts(changes, tmp_path):
    """What reader and schema say of a file with these values."""
    document = {**BASE, **changes}
    problems = examine(as_text(document), tmp_path)[1]
    return not problems, SCHEMA.is_valid(document), [str(each) for each in problems]


def test_the_schema_is_one_and_has_the_keys_of_the_reader():
    Draft7Validator.check_schema(profile_schema())
    assert set(profile_schema()["properties"]) == {*REQUIRED, *OPTIONAL, *ALIASES}


BETWEEN_VALUES = (
    *(
        "beyond the duration",
        "leaves nothing",
        "needs a tokenCommand",
        "is not a file",
        "step with",
    ),
    *("needs a column", "is too long", "httpVersion is 1.0"),
)
OF_TEXT = (
    *("at most an hour", "a multiple of 5s", "10s to 48h", "a whole number of seconds"),
    *("10s or more", "be read"),
)
"""What a reader says that no schema can; the second of durations and names that are texts."""


@pytest.mark.parametrize("key", [*REQUIRED, *OPTIONAL, *ALIASES, "unknown", "x-own"])
def test_schema_and_reader_agree_on_each_value(key, tmp_path):
    wrong = []
    for value in [*ANYTHING, *VALUES.get(ALIASES.get(key, key), ())]:
        accepted, valid, said = verdicts({key: value}, tmp_path)
        excused = (*BETWEEN_VALUES, *(OF_TEXT if isinstance(value, str) else ()))
        is_its_own = said and any(words in said[0] for words in excused)
        if accepted != valid and not (valid and is_its_own):
            wrong.append((value, accepted, valid, said))
    assert not wrong


@pytest.mark.parametrize("name", ONLY_THE_READER)
def test_what_depends_on_other_values_only_the_reader_finds(name, tmp_path):
    assert verdicts(ONLY_THE_READER[name], tmp_path)[:2] == (False, True)


@pytest.mark.parametrize("key", REQUIRED)
def test_a_missing_key_is_refused_by_both(key, tmp_path):
    document = {name: value for name, value in BASE.items() if name != key}
    assert examine(document, tmp_path)[1]
    assert not SCHEMA.is_valid(document)


@pytest.mark.parametrize("name", READ)
def test_documents_that_are_read_are_valid(name):
    assert not list(SCHEMA.iter_errors(parse_yaml(READ[name][0].removeprefix("\ufeff"))))
