"""Queries of Prometheus: one number, or a reason, whatever the server answers."""

from __future__ import annotations

import json

import pytest
from werkzeug.wrappers import Response

from tm_cli.api.prometheus import LARGEST_ANSWER, PrometheusQuery, QueryFailed

SECRET = "hunter2-secret"


def vector(*values):
    result = [{"metric": {}, "value": [1.0, value]} for value in values]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


@pytest.fixture
def ask(httpserver):
    def run(answer, status=200, **changes):
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        httpserver.expect_request("/prom/api/v1/query").respond_with_data(body, status)
        url = httpserver.url_for("/prom").replace("://", f"://ada:{SECRET}@")
        return PrometheusQuery("db", url, 'sum(a{b="c&d"})', **changes).read()

    return run


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        (vector("41.5"), 41.5),
        (vector("-1e3"), -1000.0),
        ({"status": "success", "data": {"resultType": "scalar", "result": [1.0, "7"]}}, 7.0),
    ],
)
def test_number_is_read(ask, answer, value):
    assert ask(answer) == value


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        (vector(), 200, "the query has no results"),
        (vector("1", "2"), 200, "the query has 2 results; sum"),
        (vector("NaN"), 200, "the result is NaN"),
        (vector("+Inf"), 200, "the result is"),
        (vector("9" * 400), 200, "the result is"),
        (vector(1), 200, "the result is 1"),
        (
            {"status": "error", "error": "bad \x1b[2J query\n::error::x"},
            400,
            "400: bad  ?\\[2J query",
        ),
        ({"status": "success"}, 200, "no number"),
        ({"status": "success", "data": {"resultType": "matrix", "result": []}}, 200, "no number"),
        ({"status": "success", "data": {"resultType": "vector", "result": [7]}}, 200, "no number"),
        ([], 200, "no answer of Prometheus"),
        (b"<html>", 502, "status 502, and no JSON"),
        (b"[" * 100_000, 200, "no JSON"),
        (b" " * (LARGEST_ANSWER + 1), 200, "too large"),
    ],
)
def test_anything_else_is_a_reason_that_shows_no_secret(ask, answer, status, reason):
    with pytest.raises(QueryFailed, match=reason) as caught:
        ask(answer, status)
    text = str(caught.value)
    assert SECRET not in text
    assert text.isprintable()


def test_query_and_credentials_are_sent(httpserver):
    seen = []

    def answer(request):
        seen.append((request.args["query"], request.headers.get("Authorization")))
        return Response(json.dumps(vector("1")), content_type="application/json")

    httpserver.expect_request("/api/v1/query").respond_with_handler(answer)
    url = httpserver.url_for("/").rstrip("/")
    PrometheusQuery("a", url, 'x{y="z"}', {"Authorization": "Bearer t"}).read()
    PrometheusQuery("a", url.replace("://", "://u:p%40@"), "x").read()
    assert seen == [('x{y="z"}', "Bearer t"), ("x", "Basic dTpwQA==")]


def test_server_that_is_down_is_a_reason():
    query = PrometheusQuery("a", f"http://u:{SECRET}@127.0.0.1:1", "x")
    with pytest.raises(QueryFailed, match=r"127\.0\.0\.1:1: Connection refused") as caught:
        query.read()
    assert SECRET not in str(caught.value)
