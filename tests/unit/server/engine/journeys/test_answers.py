import gzip
import json
import re
import sys
import time
import zlib
from typing import Any

import pytest

from tm_cli.server.engine.journeys.answers import (
    MOST_KEPT,
    Answer,
    Checks,
    Extraction,
    Unusable,
    extract,
    fields_of,
    is_same_json,
    search,
)
from tm_cli.values.load.journeys.checks import read_checks, read_extractions


def answer(
    body: str | bytes | None = "", status: int = 200, size: int | None = None, **headers: str
) -> Answer:
    data = body.encode() if isinstance(body, str) else body
    fields = [(name.replace("_", "-").lower(), value) for name, value in headers.items()]
    return Answer(status, fields, data, len(data or b"") if size is None else size)


def failure(checks: dict[str, Any], found: Answer, seconds: float = 0.1) -> str | None:
    read = Checks.of(read_checks(checks))
    assert read is not None
    return read.failure(found, seconds)


BODY = '{"ok": true, "items": [{"id": 7, "name": "größe"}], "none": null}'


@pytest.mark.parametrize(
    ("checks", "failed"),
    [
        ({"status": 200}, None),
        ({"status": [200, 201]}, None),
        ({"status": 201}, "status 200"),
        ({"body": "items"}, None),
        ({"body": "größe"}, None),
        ({"body": "missing"}, "body"),
        ({"body": {"contains": "items", "lacks": "error"}}, None),
        ({"body": {"lacks": "items"}}, "body"),
        ({"body": {"regex": r'"id": \d'}}, None),
        ({"body": {"regex": r"id: \d"}}, "body"),
        ({"header": {"content-TYPE": "json"}}, None),
        ({"header": {"Content-Type": "xml"}}, "header"),
        ({"header": {"X-Other": "json"}}, "header"),
        ({"json": {"$.ok": True, "$.items[0].id": 7, "$.none": None}}, None),
        ({"json": {"$.ok": 1}}, "json"),
        ({"json": {"$.items[0].id": 7.0}}, None),
        ({"json": {"$.items[0].id": "7"}}, "json"),
        ({"json": {"$.items[1].id": 7}}, "json"),
        ({"json": {"$.items": [{"id": 7, "name": "größe"}]}}, None),
        ({"maxTime": "100ms"}, None),
        ({"maxTime": "99ms"}, "time"),
        ({"size": {"min": 1, "max": 100}}, None),
        ({"size": {"min": 100}}, "size"),
        ({"size": {"max": 10}}, "size"),
        ({"maxTime": "1ms", "status": 201, "body": "missing"}, "status 200"),
    ],
)
def test_check_holds_or_is_named(checks: dict[str, Any], failed: str | None) -> None:
    found = answer(BODY, Content_Type="application/json")
    assert failure(checks, found) == (failed and f"CheckFailed {failed}")


def test_checks_of_the_head_need_no_body() -> None:
    head = read_checks({"status": 200, "header": {"A": "b"}, "size": {"max": 5}, "maxTime": 1})
    checks = Checks.of(head)
    assert checks is not None
    assert not checks.needs_body


@pytest.mark.parametrize(
    ("body", "coding", "failed"),
    [
        (gzip.compress(b"ready", mtime=0), "gzip", None),
        (zlib.compress(b"ready"), "Deflate", None),
        (b"ready", "identity", None),
        (b"", "gzip", "body"),
        (b"ready", "br", "body (unknown encoding)"),
        (b"ready", "gzip", "body (damaged encoding)"),
        (gzip.compress(b"ready", mtime=0)[:-1], "gzip", "body (damaged encoding)"),
        (gzip.compress(b"ready" + b" " * MOST_KEPT, mtime=0), "gzip", "body (over 2 MiB)"),
        (None, "identity", "body (over 2 MiB)"),
    ],
)
def test_compressed_body_is_decoded_within_bounds(
    body: bytes | None, coding: str, failed: str | None
) -> None:
    found = answer(body, Content_Encoding=coding)
    assert failure({"body": "ready"}, found) == (failed and f"CheckFailed {failed}")


@pytest.mark.parametrize(
    "body",
    ["", "{", "[" * 100_000, "9" * 100_000, "NaN x", '{"a":' * 50_000, '{"ok": true, "a": NaN}'],
    ids=["empty", "half", "deep-list", "long-number", "garbage", "deep-mapping", "no-number"],
)
def test_body_that_is_no_json_fails_with_its_reason(body: str) -> None:
    assert failure({"json": {"$.ok": True}}, answer(body)) == "CheckFailed json (not JSON)"


@pytest.mark.parametrize(
    ("charset", "body"),
    [
        ("utf-8", "größe".encode()),
        ("ISO-8859-1", "größe".encode("latin-1")),
        ('"windows-1252"', "größe".encode("cp1252")),
        ("unicode_escape", "größe".encode()),
        ("x" * 1000, "größe".encode()),
    ],
)
def test_charset_of_the_answer_counts(charset: str, body: bytes) -> None:
    found = answer(body, Content_Type=f"text/html; charset={charset}")
    assert failure({"body": "größe"}, found) is None


@pytest.mark.skipif(sys.platform == "win32", reason="no timer of processor time")
@pytest.mark.parametrize(
    ("pattern", "text"),
    [("(a+)+$", "a" * 60 + "b"), (r"(\w+\s?)*:", "word " * 40), (".*.*.*x$", "a" * 20_000)],
)
def test_regular_expression_cannot_hold_up_the_load(pattern: str, text: str) -> None:
    began = time.process_time()
    with pytest.raises(Unusable, match="too long"):
        search(re.compile(pattern), text)
    assert time.process_time() - began < 1
    assert search(re.compile("b"), "ab")


def test_search_that_takes_too_long_fails_the_check() -> None:
    if sys.platform != "win32":
        found = answer("a" * 60 + "b")
        failed = failure({"body": {"regex": "(a+)+$"}}, found)
        assert failed == "CheckFailed body (regex took too long)"


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        ([1, [2]], [1, [2.0]], True),
        ([1], [True], False),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"a": [None]}, {"a": [None]}, True),
        ("1", 1, False),
        (None, False, False),
    ],
)
def test_json_values_are_compared_by_the_rules_of_json(one: Any, other: Any, is_same: bool) -> None:
    assert is_same_json(one, other) is is_same


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ({"json": "$.token"}, "abc"),
        ({"json": "$.count"}, "3"),
        ({"json": "$.yes"}, "true"),
        ({"json": "$.list"}, '["ü", 1]'),
        ({"header": "x-csrf"}, "c1"),
        ({"header": "Set-Cookie"}, "a=1, b=2"),
        ({"regex": r'count": (\d)'}, "3"),
        ({"regex": r'count": \d'}, 'count": 3'),
    ],
)
def test_value_is_found_at_its_place(place: dict[str, str], value: str) -> None:
    body = json.dumps({"token": "abc", "count": 3, "yes": True, "list": ["ü", 1]})
    fields = [("x-csrf", "c1"), ("set-cookie", "a=1"), ("set-cookie", "b=2")]
    found = Answer(200, fields, body.encode(), len(body))
    variables: dict[str, str] = {}
    (wanted,) = Extraction.all_of(read_extractions({"x": place}))
    assert extract([wanted], found, variables) is None
    assert json.loads(variables["x"]) == json.loads(value) if "list" in str(place) else True
    assert variables["x"].replace("\\u00fc", "ü") == value


@pytest.mark.parametrize(
    ("place", "body", "reason"),
    [
        ({"json": "$.token"}, "{}", ""),
        ({"json": "$.token"}, '{"token": null}', ""),
        ({"json": "$.token"}, "<html>", " (not JSON)"),
        ({"json": "$.token"}, None, " (over 2 MiB)"),
        ({"header": "X-Csrf"}, "", ""),
        ({"regex": "x"}, "abc", ""),
        ({"regex": "(x)?a"}, "a", ""),
        ({"regex": ".*"}, "x" * 70_000, " (over 64 KiB)"),
    ],
)
def test_value_that_is_not_there_is_named(
    place: dict[str, str], body: str | None, reason: str
) -> None:
    wanted = Extraction.all_of(read_extractions({"id": place}))
    assert extract(wanted, answer(body), {}) == f"ExtractionFailed id{reason}"


def test_blanks_in_a_head_cannot_hold_up_the_load() -> None:
    began = time.process_time()
    assert fields_of(b"HTTP/1.1 200\r\nX:" + b" " * 30_000 + b"x\r\n y") == [("x", "x y")]
    assert time.process_time() - began < 1
