"""A server that answers as the published reference of job runs shows, and with nothing more.

Lists are bare arrays, what is shown without a body has none, an error is a sentence with the id of
the request, and a list needs the project. What the page does not mention is overlooked.
"""

from __future__ import annotations

import json
from typing import Any

from tests.services.strait.api import Api, Problem, Reply, Request, as_json
from tests.services.strait.world import PROJECT, World, parse

RUN_FIELDS = {
    "id", "job_id", "project_id", "status", "attempt", "payload", "result", "metadata", "error",
    "triggered_by", "scheduled_at", "started_at", "finished_at", "heartbeat_at", "next_retry_at",
    "expires_at", "parent_run_id", "priority", "idempotency_key", "job_version",
    "workflow_step_run_id", "max_attempts_override", "timeout_secs_override", "retry_backoff",
    "retry_initial_delay_secs", "retry_max_delay_secs", "execution_trace", "debug_mode",
    "continuation_of", "lineage_depth", "tags", "job_version_id", "created_by", "batch_id",
    "concurrency_key", "created_at",
}  # fmt: skip
"""The members of a run on the page."""

NEEDS_PROJECT = {
    ("GET", "/v1/jobs"),
    ("GET", "/v1/runs"),
    ("GET", "/v1/runs/dlq"),
    ("POST", "/v1/runs/bulk-cancel-all"),
}
KNOWN_FILTERS = {
    "status", "metadata_key", "metadata_value", "limit", "cursor", "triggered_by", "batch_id",
    "payload_contains",
}  # fmt: skip
REQUEST_ID = "host/page-000007"


def nothing(status: int) -> Reply:
    return Reply(status)


def as_run(status: int, reply: Reply) -> Reply:
    return as_json(status, on_page(reply.document))


def on_page(run: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in run.items() if name in RUN_FIELDS}


class ReferencePageApi(Api):
    def __init__(self, world: World, **options: Any) -> None:
        super().__init__(world, **options)
        self.frees_keys = self.pauses = True

    def _guarded(self, request: Request, route: str | None) -> Reply:
        reply = super()._guarded(request, route)
        if reply.status < 400 or not reply.body.startswith(b"{"):
            return reply
        error = {"error": reply.document["error"]["message"], "request_id": REQUEST_ID}
        return Reply(reply.status, json.dumps(error).encode(), reply.headers)

    def _check(self, request: Request, route: str) -> None:
        super()._check(request, route)
        needs_project = (request.method, request.path) in NEEDS_PROJECT
        if needs_project and request.one("project_id") != PROJECT:
            raise Problem(400, "project_id is required")

    def _page(
        self, request: Request, items: list[dict[str, Any]], *, ignores_cursor: bool = False
    ) -> Reply:
        if request.path == "/v1/runs":
            cursor, limit = request.one("cursor"), int(request.one("limit") or 50)
            before = parse(cursor) if cursor else None
            items = [item for item in items if before is None or parse(item["created_at"]) < before]
            items = items[:limit]
        are_runs = any("job_id" in item for item in items)
        return as_json(200, [on_page(item) for item in items] if are_runs else items)

    def list_jobs(self, request: Request) -> Reply:
        return super().list_jobs(Request(request.method, request.path))

    def list_runs(self, request: Request) -> Reply:
        known = {name: value for name, value in request.query.items() if name in KNOWN_FILTERS}
        return super().list_runs(Request(request.method, request.path, known))

    def get_run(self, request: Request) -> Reply:
        return as_run(200, super().get_run(request))

    def trigger(self, request: Request) -> Reply:
        reply = super().trigger(request)
        run = self.world.runs.get(reply.document.get("id", ""))
        return reply if run is None else as_json(202, on_page(run.document))

    def trigger_many(self, request: Request) -> Reply:
        answer = super().trigger_many(request).document
        return as_json(201, {name: answer[name] for name in ("results", "total", "created")})

    def cancel(self, request: Request) -> Reply:
        super().cancel(request)
        return nothing(204)

    def replay(self, request: Request) -> Reply:
        return as_run(202, super().replay(request))

    def revive(self, request: Request) -> Reply:
        return as_run(202, super().revive(request))

    def pause(self, request: Request) -> Reply:
        return as_run(200, super().pause(request))

    def resume(self, request: Request) -> Reply:
        return as_run(200, super().resume(request))

    def restart(self, request: Request) -> Reply:
        preset = request.document.get("machine_preset")
        if preset is not None and preset not in {"small", "large-2x"}:
            raise Problem(400, "unknown machine preset")
        return as_run(200, super().restart(request))

    def reschedule(self, request: Request) -> Reply:
        return as_run(200, super().reschedule(request))

    def set_debug(self, request: Request) -> Reply:
        super().set_debug(request)
        return nothing(200)

    def entries(self, request: Request) -> Reply:
        super().entries(request)
        return nothing(200)

    def bundle(self, request: Request) -> Reply:
        bundle = super().bundle(request).document
        del bundle["resource_snapshots"]
        run = on_page(bundle["run"])
        return as_json(200, {**bundle, "run": run, "usage": [], "tool_calls": []})

    def gone(self, request: Request) -> Reply:
        """Nothing is gone here: each has an array, of what it cost or of calls."""
        run, name = self._run(request), request.path.split("/")[4]
        more = {"cost_microusd": 5} if name == "usage" else {"tool_name": "search"}
        return as_json(200, [{"id": "1", "run_id": run.id, **more}])

    def bulk_replay(self, request: Request) -> Reply:
        answer = super().bulk_replay(request).document
        made = [
            self.world.runs[item["new_run_id"]]
            for item in answer["results"]
            if "new_run_id" in item
        ]
        return as_json(200, [on_page(run.document) for run in made])

    def bulk_cancel_all(self, request: Request) -> Reply:
        ids = super().bulk_cancel_all(request).document["run_ids"] or []
        results = [{"id": run_id, "status": "canceled"} for run_id in ids]
        count = len(ids)
        return as_json(200, {"results": results, "total": count, "canceled": count, "failed": 0})

    def bulk_revive(self, request: Request) -> Reply:
        answer = super().bulk_revive(request).document
        runs = [on_page(run) for run in answer["replayed"]]
        return as_json(200, {"replayed": runs, "count": answer["count"]})
