"""The world's API as a TrafficMorph server speaks it: a request in, status, headers, bytes out."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from datetime import timedelta
from functools import cache, lru_cache
from typing import Any

from tests.simulation.clock import EPOCH
from tests.simulation.documents import spelt
from tests.simulation.messages import Reply, Request
from tests.simulation.trafficmorph.world import PROFILE, Row, Run, World

PREFIX = "/api/v1/"
DETAIL = {
    "latencyQuantiles": '{"p50": 8.1, "p95": 21.0}',
    "autoVerdictReasons": '["p95 21 ms, baseline 20 ms"]',
}


@cache
def endpoint_of(method: str, path: str) -> str:
    """Name what a request asks for."""
    parts = path.removeprefix(PREFIX).split("/")
    match method, parts:
        case "POST", ["profiles", _, "start" | "runs"]:
            return "start"
        case "POST", ["profiles", _, "stop"]:
            return "stop"
        case "GET", ["profiles", _, "status"]:
            return "status"
        case "GET", ["profiles", _]:
            return "profile"
        case "GET", ["history"]:
            return "history"
        case "GET", ["history", _]:
            return "detail"
    return "other"


class Api:
    """Answers requests; `style` above 0 spells the same documents differently."""

    def __init__(self, world: World, *, style: int = 0) -> None:
        self._world = world
        self._style = random.Random(style) if style else None

    def endpoint_of(self, request: Request) -> str:
        """Name what a request asks for: the rows of the coverage table."""
        return endpoint_of(request.method, request.path)

    def answer(self, request: Request) -> Reply:
        """Answer one request, with all its effects on the world."""
        path, body = request.path, request.body
        parts = path.removeprefix(PREFIX).split("/")
        if parts[0] == "profiles" and len(parts) > 1 and parts[1] != str(PROFILE):
            return self.error(400, "Profile not found")
        match self.endpoint_of(request):
            case "start":
                run = self._world.start(ours=True, tags=tuple((body or {}).get("tags", ())))
                return self.document(control(run.run_id, "RUNNING"))
            case "stop":
                self._world.stop()
                return self.document(control(None, "IDLE"))
            case "status" if self._world.truth.has_status:
                return self.document(self._status())
            case "profile":
                return self.document(self._profile())
            case "history":
                return self.document(self._page(request.query))
            case "detail":
                return self._detail(parts[1])
        return self.error(404, "Not Found")

    def document(self, document: Any) -> Reply:
        return Reply(200, spelt(document, self._style))

    def error(self, status: int, text: str, **more: Any) -> Reply:
        return Reply(status, json.dumps({"error": text, **more}).encode())

    def _seen_run(self) -> Run | None:
        """The active run, or the one before the start while the replica is behind."""
        self._world.settle()
        run = self._world.active
        if run and run.ours and self._world.now() < run.began + self._world.truth.status_lag:
            return self._world.before_start
        return run

    def _state(self, run: Run | None) -> str:
        if run is None:
            return "IDLE"
        if run.ended is not None:
            return "COMPLETED"
        return "PAUSED" if run.paused_at is not None else "RUNNING"

    def _status(self) -> dict[str, Any]:
        run = self._seen_run()
        played = run.played(self._world.now()) if run else 0.0
        return {
            "profileId": PROFILE,
            "runId": run.run_id if run else None,
            "status": self._state(run),
            "region": "local" if run else None,
            "elapsedSeconds": round(played, 3),
            "durationSeconds": run.duration if run else 0.0,
            "requestsSent": int(played * 10),
            "responseCodeCounts": {"200": int(played * 10)},
            "currentRps": 10.0 if run else None,
            "recentBuckets": self._buckets(played),
            "generatorSaturated": False,
            "downstreamSaturated": False,
            "flakyDispatch": False,
            "tags": list(run.tags) if run else [],
        }

    def _buckets(self, played: float) -> list[dict[str, Any]]:
        """The newest twelve, the last of which still fills."""
        slow = self._world.truth.slow_from
        if slow is None:
            return []
        starts = [5.0 * n for n in range(int(played // 5) + 1)][-12:]
        return [
            {"t": at + 2.5, "rps": 10.0, "badRatio": 0.0, "p95Ms": 3000.0 if at >= slow else 20.0}
            for at in starts
        ]

    def _profile(self) -> dict[str, Any]:
        return {
            "id": PROFILE,
            "name": "checkout",
            "duration": self._world.truth.duration,
            "loop": False,
            "targetUrl": "https://shop.example/checkout",
            "points": [{"x": 0, "y": 10}, {"x": self._world.truth.duration, "y": 10}],
            "callbackSecret": "s3cret-of-the-profile",
            "status": self._state(self._seen_run()),
        }

    def _page(self, query: Mapping[str, str]) -> dict[str, Any]:
        page, size = int(query.get("page", 0)), int(query.get("size", 20))
        lag = self._world.truth.history_lag
        rows = [row for row in self._world.visible_rows(lag) if _matches(row, query)]
        at = self._world.now() - lag
        return {
            "content": [self._row(row, at) for row in rows[page * size : (page + 1) * size]],
            "page": page,
            "size": size,
            "totalElements": len(rows),
            "totalPages": -(-len(rows) // size),
        }

    def _row(self, row: Row, at: float) -> dict[str, Any]:
        document = {
            "id": row.number,
            "runId": row.run.run_id if self._world.truth.names_rows else None,
            "profileId": row.profile,
            "profileName": "checkout",
            "startedAt": instant(row.run.began),
            "finishedAt": instant(row.run.ended or row.created),
            "createdAt": instant(row.created),
            "totalRequests": 200,
            "totalErrors": 1,
            "avgRps": 10.0,
            "peakRps": 11.0,
            "successRate": 99.5,
            "autoVerdict": row.verdict(at),
            "triggeredBy": row.trigger,
        }
        return document if row.outcome is None else {**document, "outcome": row.outcome}

    def _detail(self, number: str) -> Reply:
        for row in self._world.visible_rows(0.0):
            if str(row.number) == number:
                return self.document({**self._row(row, self._world.now()), **DETAIL})
        return self.error(400, "Run history not found")


def control(run_id: str | None, status: str) -> dict[str, Any]:
    return {"runId": run_id, "status": status, "profileId": PROFILE}


@lru_cache(10_000)
def instant(seconds: float) -> str:
    return (EPOCH + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def _matches(row: Row, query: Mapping[str, str]) -> bool:
    return query.get("profileId", str(row.profile)) == str(row.profile) and (
        query.get("triggeredBy", row.trigger) == row.trigger
    )
