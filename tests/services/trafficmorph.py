"""A TrafficMorph server for tests: real payloads, answered in a given order."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pytest_httpserver import HTTPServer
from pytest_httpserver.httpserver import UNDEFINED
from werkzeug.wrappers import Response

KEY = "tm_test-key-1234567890"
RUN = "6f0d2c1e-8a4b-4c39-9d51-0c8d5a3c7b21"
OTHER_RUN = "0b9e7a44-1f52-4a0e-b7a3-5d2f9c6e8d10"
PROFILE = 42
TOKEN = "0123456789abcdef"
OWN_TAG = f"tm-{TOKEN}"


def profile(**changes: Any) -> dict[str, Any]:
    return {
        "id": PROFILE,
        "name": "checkout",
        "duration": 60,
        "loop": False,
        "targetUrl": "https://shop.example/checkout",
        "httpMethod": "POST",
        "points": [{"x": 0, "y": 10}, {"x": 60, "y": 10}],
        "callbackSecret": "s3cret",
        "createdAt": "2026-02-01T09:00:00Z",
        "schedule": None,
        "status": "IDLE",
        **changes,
    }


def status(state: str = "RUNNING", **changes: Any) -> dict[str, Any]:
    return {
        "profileId": PROFILE,
        "runId": RUN,
        "status": state,
        "region": "local",
        "elapsedSeconds": 20.0,
        "durationSeconds": 60.0,
        "requestsSent": 200,
        "responseCodeCounts": {"200": 199, "503": 1},
        "currentRps": 9.8,
        "recentBuckets": [
            {"t": 17.5, "rps": 9.8, "okRatio": 0.99, "badRatio": 0.01, "p50Ms": 8.0, "p95Ms": 21.0}
        ],
        "generatorSaturated": False,
        "downstreamSaturated": False,
        "flakyDispatch": False,
        "tags": [],
        **changes,
    }


def row(number: int = 7, **changes: Any) -> dict[str, Any]:
    """A history row as the list shows it; `number` is its history id."""
    return {
        "id": number,
        "runId": RUN,
        "profileId": PROFILE,
        "profileName": "checkout",
        "startedAt": "2026-03-01T12:00:01Z",
        "finishedAt": "2026-03-01T12:01:01Z",
        "createdAt": "2026-03-01T12:01:02Z",
        "durationSeconds": 60,
        "totalRequests": 600,
        "totalErrors": 3,
        "avgRps": 10.0,
        "peakRps": 12.0,
        "successRate": 99.5,
        "autoVerdict": "PASS",
        "autoVerdictReasons": json.dumps(["p95 21 ms, baseline 20 ms, +5 %, limit +25 %"]),
        "triggeredBy": "api",
        "region": "local",
        "tags": [],
        **changes,
    }


def detail(number: int = 7, **changes: Any) -> dict[str, Any]:
    """The same row in detail; eight fields are JSON as text."""
    return row(
        number,
        **{
            "targetUrl": "https://shop.example/checkout",
            "responseCodes": json.dumps({"200": 597, "503": 3}),
            "latencyQuantiles": json.dumps({"p50": 8.1, "p95": 21.0, "p99": 34.5}),
            "rpsSeries": "[]",
            "latencySeries": "[]",
            "secondaryStats": None,
            "scriptStats": None,
            "autoCompareSnapshot": "{}",
            "autoCompareBaselineRunId": 5,
            **changes,
        },
    )


def comparison(metric: str = "p95", **changes: Any) -> dict[str, Any]:
    """One item of a snapshot or of an answer to compare."""
    return {
        "metric": metric,
        "unit": "ms",
        "value": 26.0,
        "baseline": 20.0,
        "change": 30.0,
        "ciLow": 24.5,
        "ciHigh": 35.5,
        "pValue": 0.0004,
        "noise": 4.2,
        "warn": 5.0,
        "fail": 15.0,
        "verdict": "FAIL",
        "significant": True,
        "than": "baseline",
        "reason": "p95 26 ms, baseline 20 ms, +30 %, limit +15 %",
        **changes,
    }


def verdict_snapshot(*comparisons: Mapping[str, Any], **changes: Any) -> str:
    """What `autoCompareSnapshot` holds on the embedded server."""
    return json.dumps(
        {
            "version": 2,
            "method": "runs",
            "baseline": 5,
            "baselineChoice": "pinned",
            "baselineAgeSeconds": 7200.0,
            "reference": 2,
            "limits": {},
            "comparisons": list(comparisons or (comparison(),)),
            **changes,
        }
    )


def series(middle: float = 20.0) -> dict[str, str]:
    """The two series of a detail: a minute, whose seventh bucket is the slowest."""
    times = [2.5 + 5 * n for n in range(12)]
    rates = [
        {"t": t, "rps": 10.0, "planned": 10.0, "okRatio": 1.0, "badRatio": 0.05 if t == 47.5 else 0}
        for t in times
    ]
    latencies = [
        {"t": t, "p50": middle / 2, "p95": middle, "p99": middle * (9 if t == 32.5 else 1.5)}
        for t in times
    ]
    return {"rpsSeries": json.dumps(rates), "latencySeries": json.dumps(latencies)}


def other_side(**changes: Any) -> dict[str, Any]:
    """The other target of a duet, as a detail has it."""
    found = {name: json.loads(text) for name, text in series(18.0).items()}
    return {
        "targetUrl": "https://old.shop.example/checkout",
        "totalRequests": 300,
        "totalErrors": 0,
        "latencyQuantiles": {"p50": 8.0, "p95": 20.0, "p99": 33.0},
        "responseCodes": {"200": 300},
        **found,
        **changes,
    }


def page(*rows: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "content": list(rows),
        "page": 0,
        "size": 20,
        "totalElements": len(rows),
        "totalPages": 1,
    }


class ScriptedServer:
    """Expects requests one after the other; anything else fails the test."""

    def __init__(self, server: HTTPServer) -> None:
        self._server = server
        self.url = server.url_for("/")
        self.key = KEY
        self.requests = server.log

    def answer(
        self,
        method: str,
        path: str,
        document: Any = None,
        *,
        code: int = 200,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        text: str | bytes | None = None,
        content_type: str = "application/json",
        prefix: str = "/api/v1",
    ) -> ScriptedServer:
        """Answer the next request, which must be this one, with `document` or raw `text`."""
        expectation = self._server.expect_ordered_request(
            prefix + path,
            method=method,
            headers={"X-Api-Key": self.key},
            query_string=dict(query) if query is not None else None,
            json=body if body is not None else UNDEFINED,
        )
        payload = text if text is not None else json.dumps(document)
        expectation.respond_with_response(
            Response(payload, status=code, headers=dict(headers or {}), content_type=content_type)
        )
        return self

    def profile(self, **changes: Any) -> ScriptedServer:
        return self.answer("GET", f"/profiles/{PROFILE}", profile(**changes))

    def snapshot(self, *rows: Mapping[str, Any]) -> ScriptedServer:
        query = {"profileId": str(PROFILE), "triggeredBy": "api", "size": "1", "page": "0"}
        return self.answer("GET", "/history", page(*rows), query=query)

    def start(self, run_id: str | None = RUN, **answer: Any) -> ScriptedServer:
        document = {"runId": run_id, "status": "RUNNING", "profileId": PROFILE}
        return self.answer(
            "POST", f"/profiles/{PROFILE}/start", answer.pop("document", document), **answer
        )

    def status(self, state: str = "RUNNING", **changes: Any) -> ScriptedServer:
        return self.answer("GET", f"/profiles/{PROFILE}/status", status(state, **changes))

    def scan(self, *rows: Mapping[str, Any], number: int = 0) -> ScriptedServer:
        query = {
            "profileId": str(PROFILE),
            "triggeredBy": "api",
            "size": "20",
            "page": str(number),
        }
        return self.answer("GET", "/history", page(*rows), query=query)

    def detail(self, number: int = 7, **changes: Any) -> ScriptedServer:
        return self.answer("GET", f"/history/{number}", detail(number, **changes))

    def until_ended(self) -> ScriptedServer:
        """Profile, snapshot, start, one look at the run, and its end."""
        return self.profile().snapshot().start().status().status("COMPLETED")

    def features(self, **features: bool) -> ScriptedServer:
        """The account, whose server can do these."""
        limits = {"apiRequestsPerMinute": 600}
        return self.answer("GET", "/account", {"limits": limits, "features": features})

    def error(self, method: str, path: str, status: int, error: str, **more: Any) -> ScriptedServer:
        headers = more.pop("headers", None)
        return self.answer(method, path, {"error": error, **more}, code=status, headers=headers)
