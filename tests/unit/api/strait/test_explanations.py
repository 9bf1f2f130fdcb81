"""Error bodies of every kind that the server, and what stands before it, may send."""

import pytest

from tm_cli.api.strait import read_strait_error


@pytest.mark.parametrize(
    ("document", "text", "code", "from_api"),
    [
        (
            {"error": {"code": "not_found", "message": "run not found"}, "request_id": "h/1"},
            "run not found",
            "not_found",
            True,
        ),
        (
            {"error": {"code": "validation_failed", "message": "no", "details": ["a: b", 5]}},
            "no: a: b",
            "validation_failed",
            True,
        ),
        ({"error": "as older servers write it"}, "as older servers write it", None, True),
        (
            {"code": "quota_exceeded", "kind": "runs", "message": "used up", "limit": 5},
            "used up",
            "quota_exceeded",
            True,
        ),
        ({"code": "service_degraded", "message": "later"}, "later", "service_degraded", True),
        ({"code": "of_a_gateway", "message": "no"}, "no", "of_a_gateway", False),
        ({"error": {"code": "conflict"}}, "conflict", "conflict", True),
        ({"error": {"message": "without code"}}, "without code", None, False),
        ({"error": {}}, None, None, False),
        ({"error": None}, None, None, False),
        ({"error": 5, "message": ["x"]}, None, None, False),
        (["error"], None, None, False),
        ("error", None, None, False),
        (None, None, None, False),
    ],
)
def test_explanation(document, text, code, from_api):
    found = read_strait_error(document)
    assert (found.text, found.code, found.from_api) == (text, code, from_api)
