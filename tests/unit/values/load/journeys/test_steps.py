import re
from typing import Any

import pytest

from tm_cli.values.documents import InvalidDocument, format_path
from tm_cli.values.load.journeys.checks import read_checks
from tm_cli.values.load.journeys.steps import (
    absolute_urls,
    longest_thinking,
    read_redirects,
    read_steps,
    requests_in_a_visit,
    unfilled_macro,
)

WRITTEN = [
    {
        "name": "login",
        "request": "post /login",
        "headers": {"Accept": "application/json"},
        "body": {"user": "$$user$$"},
        "checks": {
            "status": 200,
            "body": "ok",
            "header": {"Content-Type": "json"},
            "json": {"$.ok": True},
            "maxTime": "500ms",
            "size": {"max": "1MB"},
        },
        "extract": {"token": {"json": "$.token"}, "id": {"regex": r"id=(\d+)"}},
    },
    {"think": "1s..3s"},
    {"request": "/products/$$id$$", "weight": 9, "continueOnError": True, "followRedirects": True},
    {"request": "GET https://api.example:8443/x?y=1", "weight": 1},
    {"think": 2},
]
READ = [
    {
        "name": "login",
        "request": "POST /login",
        "headers": {"Accept": "application/json", "Content-Type": "application/json"},
        "body": '{"user": "$$user$$"}',
        "checks": {
            "status": [200],
            "body": {"contains": "ok"},
            "header": {"Content-Type": "json"},
            "json": {"$.ok": True},
            "maxTime": 0.5,
            "size": {"max": 1_000_000},
        },
        "extract": {"token": {"json": "$.token"}, "id": {"regex": r"id=(\d+)"}},
    },
    {"think": [1.0, 3.0]},
    {
        "request": "GET /products/$$id$$",
        "weight": 9,
        "continueOnError": True,
        "followRedirects": 5,
    },
    {"request": "GET https://api.example:8443/x?y=1", "weight": 1},
    {"think": [2.0, 2.0]},
]


def test_steps_are_read_in_the_form_of_the_api() -> None:
    assert read_steps(WRITTEN) == READ


def test_reading_what_was_read_changes_nothing() -> None:
    assert read_steps(READ) == READ


@pytest.mark.parametrize(
    ("body", "headers", "sent"),
    [
        ({"a": 1}, {}, {"Content-Type": "application/json"}),
        ([1], {"X": "1"}, {"X": "1", "Content-Type": "application/json"}),
        ({"a": 1}, {"content-type": "a/b"}, {"content-type": "a/b"}),
        ('{"a": 1}', {}, {}),
    ],
)
def test_body_that_is_written_as_a_document_is_sent_as_json(
    body: Any, headers: dict[str, str], sent: dict[str, str]
) -> None:
    (step,) = read_steps([{"request": "POST /", "body": body, "headers": headers}])
    assert step["headers"] == sent


def test_length_of_a_visit_counts_one_of_those_that_are_drawn() -> None:
    assert requests_in_a_visit(READ) == 2
    assert longest_thinking(READ) == 5.0
    one = {"request": "/"}
    drawn = {"request": "/", "weight": 1}
    assert requests_in_a_visit([one, one]) == 2
    assert requests_in_a_visit([drawn, drawn, one, drawn]) == 3
    assert requests_in_a_visit([drawn, {"think": [1, 1]}, drawn]) == 2


def test_origins_of_absolute_urls_are_listed_once() -> None:
    assert absolute_urls([*READ, *READ]) == ["https://api.example:8443/"]


@pytest.mark.parametrize(
    ("steps", "where", "words"),
    [
        ({}, "", "a list of 1 to 100 steps"),
        ([], "", "a list of 1 to 100 steps"),
        ([{"request": "/"}] * 101, "", "a list of 1 to 100 steps"),
        (["GET /"], "[0]", "a step such as"),
        ([{"think": 1}], "", "no step with a request"),
        ([{"request": "/"}, {"extracts": {}}], "[1].extracts", "did you mean extract?"),
        ([{"request": "/", "foo": 1}], "[0].foo", "the keys are name, request"),
        ([{"url": "/"}], "[0].url", "request: GET /products"),
        ([{"name": "x"}], "[0]", "has no request"),
        ([{"request": "/", "think": 1}], "[0].request", "a step of its own"),
        ([{"think": 1, "weight": 1}], "[0].weight", "a step of its own"),
        ([{"request": "GTE /"}], "[0].request", "did you mean GET?"),
        ([{"request": "GET / HTTP/1.1"}], "[0].request", "METHOD and path"),
        ([{"request": ""}], "[0].request", "METHOD and path"),
        ([{"request": "products"}], "[0].request", "begins with /"),
        ([{"request": "//evil.example/"}], "[0].request", "begins with /"),
        ([{"request": "GET ws://localhost/"}], "[0].request", "not supported yet"),
        ([{"request": "GET grpc://localhost/"}], "[0].request", "not supported yet"),
        ([{"request": "GET http://u:p@localhost/"}], "[0].request", "credentials"),
        ([{"request": "GET http://$$host$$/"}], "[0].request", "macro in its host"),
        ([{"request": "GET /#x"}], "[0].request", "fragment"),
        ([{"request": "/", "name": "a\nb"}], "[0].name", "cannot be shown"),
        ([{"request": "/", "name": "\x1b[31mred"}], "[0].name", "cannot be shown"),
        ([{"request": "/", "name": " "}], "[0].name", "a name of at most 100"),
        ([{"request": "/", "headers": {"A b": "c"}}], "[0].headers.A b", "name of a header"),
        ([{"request": "/", "headers": {"A": "b\r\nC: d"}}], "[0].headers.A", "cannot stand"),
        ([{"request": "/", "headers": {"A": "€"}}], "[0].headers.A", "cannot stand"),
        (
            [{"request": "/", "headers": {"Content-Length": "1"}}],
            "[0].headers.Content-Length",
            "load generator",
        ),
        ([{"request": "/", "weight": 0}], "[0].weight", "a number above 0"),
        ([{"request": "/", "continueOnError": "yes"}], "[0].continueOnError", "true or false"),
        ([{"request": "/", "followRedirects": 21}], "[0].followRedirects", "from 0 to 20"),
        ([{"think": "3s..1s"}], "[0].think", "the shorter time first"),
        ([{"think": "soon"}], "[0].think", "a duration"),
        ([{"think": -1}], "[0].think", "a duration"),
        ([{"think": "1s..2s..3s"}], "[0].think", "a range"),
        ([{"request": "/"}, *[{"think": "10m"}] * 2], "", "takes up to 1200s to think"),
        ([{"request": "/", "extract": {"a b": {}}}], "[0].extract.a b", "not a name"),
        ([{"request": "/", "extract": {"a": {}}}], "[0].extract.a", "one of {json"),
        (
            [{"request": "/", "extract": {"a": {"json": "a"}}}],
            "[0].extract.a.json",
            "begins with $",
        ),
        (
            [{"request": "/", "extract": {"a": {"header": "A", "json": "$.a"}}}],
            "[0].extract.a",
            "one of {json",
        ),
        (
            [{"request": "/", "extract": {"a": {"regex": "("}}}],
            "[0].extract.a.regex",
            "unterminated",
        ),
        ([{"request": "/", "checks": {"status": 500}}], "[0].checks.status", "others are errors"),
        (
            [{"request": "/", "checks": {"stauts": 200}}],
            "[0].checks.stauts",
            "did you mean status?",
        ),
        ([{"request": "/", "checks": {"json": {"ok": 1}}}], "[0].checks.json.ok", "begins with $"),
        ([{"request": "/", "checks": {"maxTime": 0}}], "[0].checks.maxTime", "more than no time"),
        ([{"request": "/", "checks": {"maxTime": 500}}], "[0].checks.maxTime", "at most 10s"),
        ([{"request": "/", "checks": {"maxTime": "11s"}}], "[0].checks.maxTime", "at most 10s"),
        ([{"request": "/", "checks": {"size": "1MB"}}], "[0].checks.size", "bounds such as"),
        (
            [{"request": "/", "checks": {"size": {"min": "2KB", "max": 1}}}],
            "[0].checks.size",
            "a min above its max",
        ),
        ([{"request": "/", "checks": {"body": 5}}], "[0].checks.body", "text"),
        ([{"request": "/", "checks": {"body": ""}}], "[0].checks.body", "characters"),
        ([{"request": "/", "checks": []}], "[0].checks", "a mapping such as"),
    ],
)
def test_error_names_the_place_and_what_is_expected(steps: Any, where: str, words: str) -> None:
    with pytest.raises(InvalidDocument, match=re.escape(words)) as raised:
        read_steps(steps)
    assert format_path(raised.value.path) == where


@pytest.mark.parametrize(("written", "count"), [(True, 5), (False, 0), (0, 0), (3, 3), (20, 20)])
def test_redirects_are_a_number_or_a_wish(written: Any, count: int) -> None:
    assert read_redirects(written) == count


@pytest.mark.parametrize(
    ("written", "size"),
    [(5, 5), ("5", 5), ("5B", 5), ("1KB", 1000), ("1.5 KiB", 1536), ("2MiB", 2_097_152)],
)
def test_sizes_have_units(written: Any, size: int) -> None:
    assert read_checks({"size": {"max": written}}) == {"size": {"max": size}}


def test_macro_needs_a_step_before_it_that_extracts_it() -> None:
    login = {"request": "POST /login", "extract": {"token": {"json": "$.token"}}}
    use = {"request": "GET /", "headers": {"Authorization": "Bearer $$token$$"}}
    assert unfilled_macro([login, use]) is None
    assert unfilled_macro([use, login]) == (
        ("steps", 0, "headers", "Authorization"),
        "$$token$$",
    )
    assert unfilled_macro([use], known={"token"}) is None
    assert unfilled_macro([{"request": "GET /$$x$$"}]) == (("steps", 0, "request"), "$$x$$")
    assert unfilled_macro([{"request": "GET /", "body": "$$x$$"}]) == (
        ("steps", 0, "body"),
        "$$x$$",
    )
