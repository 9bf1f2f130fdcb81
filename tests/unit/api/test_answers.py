"""What an answer means, as a table."""

from __future__ import annotations

import pytest

from tm_cli.api.errors import HttpError, InvalidResponse
from tm_cli.api.responses import RawAnswer, parse_response

JSON = {"content-type": "application/json"}


def answer(status=200, content=b"{}", headers=JSON):
    return RawAnswer("GET http://host/x", status, headers, content)


@pytest.mark.parametrize(
    ("status", "content", "headers", "document"),
    [
        (200, b"[1]", JSON, [1]),
        (201, b"{}", {"content-type": "application/problem+json; charset=utf-8"}, {}),
        (204, b"", {}, None),
    ],
)
def test_good_answer(status, content, headers, document):
    assert parse_response(answer(status, content, headers)) == document


@pytest.mark.parametrize(
    ("status", "content", "headers"),
    [
        (203, b"{}", JSON),
        (206, b"{}", JSON),
        (299, b"{}", JSON),
        (101, b"", {}),
        (301, b"", {"location": "https://evil.example/"}),
        (304, b"", {}),
        (200, b"{}", {}),
        (200, b"{}", {"content-type": "text/html"}),
        (200, b"{", JSON),
    ],
)
def test_answer_that_the_api_cannot_have_sent(status, content, headers):
    with pytest.raises(InvalidResponse):
        parse_response(answer(status, content, headers))


@pytest.mark.parametrize("status", [200, 201, 202])
def test_empty_answer_is_one_only_where_the_api_has_such(status):
    for content in (b"", b"\r\n"):
        assert parse_response(answer(status, content, {}), accepts_empty=True) is None
        with pytest.raises(InvalidResponse):
            parse_response(answer(status, content, {}))
    with pytest.raises(InvalidResponse):
        parse_response(answer(status, b"ok", {}), accepts_empty=True)


@pytest.mark.parametrize(
    ("status", "content", "message", "from_api"),
    [
        (400, b'{"error": "Profile not found"}', "Profile not found (HTTP 400)", True),
        (403, b'{"error": "no", "code": "PLAN"}', "no (HTTP 403, code=PLAN)", True),
        (500, b'{"message": "broken"}', "broken (HTTP 500)", False),
        (502, b"<html>", "the server answered HTTP 502", False),
        (500, b'{"error": 7, "code": 8}', "the server answered HTTP 500", False),
        (500, b"[]", "the server answered HTTP 500", False),
    ],
)
def test_error_is_explained_as_far_as_the_body_goes(status, content, message, from_api):
    with pytest.raises(HttpError) as caught:
        parse_response(answer(status, content))
    assert (caught.value.message, caught.value.from_api) == (message, from_api)
