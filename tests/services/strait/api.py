"""The world's API as a Strait server speaks it: a request in; status, headers and bytes out."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.services.strait.world import (
    KEY_LIFE,
    PROJECT,
    REPLAYABLE,
    TERMINAL,
    Illegal,
    Run,
    World,
    parse,
    payload_hash,
)

KEY = "strait_" + "0123456789abcdef" * 4

CODES = {
    400: "bad_request",
    401: "authentication_required",
    403: "forbidden",
    404: "not_found",
    409: "conflict",
    422: "validation_failed",
    429: "rate_limited",
    503: "service_unavailable",
}
STATUSES = {
    "delayed", "queued", "dequeued", "executing", "waiting", "paused", "replay_staged",
    "completed", "failed", "timed_out", "crashed", "system_failed", "canceled", "expired",
    "dead_letter",
}  # fmt: skip
KEEPS_KEYS = {400, 402, 404, 409, 410, 422, 429}
"""Refusals of the server itself that leave an idempotency key in use."""

BEFORE_KEYS = (b"being processed", b"admission control", b"authentications")
"""In answers that the server gives before it looks at the key, or frees it afterwards."""

LIMITS = {"global": (100, 60), "trigger": (10, 60), "bulk": (5, 60)}
"""Requests in so many seconds from one address."""

TRIGGER = "POST /v1/jobs/{job}/trigger"
BULK_TRIGGER = f"{TRIGGER}/bulk"
IN_PROGRESS = "a request with this idempotency key is currently being processed"


@dataclass
class Request:
    """One request; header names are lower-case, and `query` has a list for each name."""

    method: str
    path: str
    query: Mapping[str, list[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def one(self, name: str) -> str | None:
        values = self.query.get(name)
        return values[0] if values else None

    @property
    def document(self) -> dict[str, Any]:
        if not self.body:
            return {}
        found = json.loads(self.body)
        if not isinstance(found, dict):
            raise ValueError("not an object")
        return found


@dataclass
class Reply:
    """A complete answer; `stream` names the channel of an answer that goes on."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    stream: tuple[str, str] | None = None

    @property
    def document(self) -> Any:
        return json.loads(self.body)


class Problem(Exception):
    """An error in the normal envelope."""

    def __init__(self, status: int, message: str, *details: str, **headers: str) -> None:
        super().__init__(message)
        self.status, self.message, self.details = status, message, details
        self.headers = headers


def as_json(status: int, document: Any, **headers: str) -> Reply:
    shown = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(
        status,
        json.dumps(document).encode(),
        {"Content-Type": "application/json", "X-API-Version": "v1", **shown},
    )


def envelope(problem: Problem) -> Reply:
    """Like the server, 5xx hide their message, and unusual statuses carry `internal_error`."""
    hidden = problem.status >= 500 and problem.status != 503
    error: dict[str, Any] = {
        "code": CODES.get(problem.status, "internal_error"),
        "message": "internal server error" if hidden else problem.message,
    }
    if problem.details:
        error["details"] = list(problem.details)
    body = {"error": error, "request_id": "host/abc-000042"}
    return as_json(problem.status, body, **problem.headers)


class Api:
    """Answers requests, with all their effects on the world.

    `fault` plans answers in place of the true ones, before or (`after`) once the request has had
    its effect. `limited` turns the limiters on, and `scopes` are those of the key. A request that
    is refused leaves its idempotency key taken for a day, and no run can be paused, as on the real
    server; `frees_keys` and `pauses` are what its pages publish.
    """

    frees_keys = False

    def __init__(self, world: World, *, limited: bool = False) -> None:
        self.world = world
        self.limited = limited
        self.scopes = {"*"}
        self.log: list[Request] = []
        self.faults: dict[str, list[tuple[Reply | None, bool]]] = defaultdict(list)
        self.older = False
        self.pauses = False
        self._sent: dict[tuple[str, float], int] = defaultdict(int)
        self._cache: dict[tuple[str, str], tuple[Reply, Any]] = {}
        self._taken: dict[tuple[str, str], datetime] = {}
        self._failures = 0

    def fault(self, route: str, reply: Reply | None, *, after: bool = False) -> None:
        """Answer the next request to `METHOD /template` so; None hangs up."""
        self.faults[route].append((reply, after))

    def answer(self, request: Request) -> Reply | None:
        """Return the answer, None for a connection that breaks."""
        self.log.append(request)
        self.world.settle()
        route = route_of(request.method, request.path)
        planned = self.faults[route or ""]
        reply, after = planned.pop(0) if planned else (None, None)
        if after is None or after:
            true_reply = self._guarded(request, route)
            if after is None:
                return true_reply
        elif reply is not None:
            self.note_refusal(request, route, reply)
        return reply

    def _guarded(self, request: Request, route: str | None) -> Reply:
        try:
            if limited := self._limit(request, "global"):
                return limited
            if route is None:
                if any(path_matches(template, request.path) for _, template in ROUTES):
                    return Reply(405)
                return Reply(404, b"404 page not found\n", {"Content-Type": "text/plain"})
            self._check(request, route)
            if route == TRIGGER and (known := self._known(request)):
                return known
            kind = {TRIGGER: "trigger", BULK_TRIGGER: "bulk"}.get(route)
            if kind and (limited := self._limit(request, kind)):
                self.note_refusal(request, route, limited)
                return limited
            handler = ROUTES[tuple(route.split(" ", 1))]  # type: ignore[index]
            return getattr(self, handler.__name__)(request)  # type: ignore[no-any-return]
        except Problem as problem:
            refusal = problem
        except Illegal as problem:
            refusal = Problem(409, str(problem))
        except (ValueError, TypeError) as problem:
            refusal = Problem(400, f"invalid request body: {problem}")
        self.note_refusal(request, route, envelope(refusal))
        return envelope(refusal)

    def note_refusal(self, request: Request, route: str | None, reply: Reply) -> None:
        """Keep the key of a refused trigger as that of one in progress: only below 500."""
        key = key_of(request)
        if route != TRIGGER or not key or self.frees_keys:
            return
        if any(text in reply.body for text in BEFORE_KEYS):
            return
        is_plain = reply.headers.get("Content-Type", "").startswith("text/plain")
        is_of_server = reply.status == 429 if is_plain else b'"error"' in reply.body
        if is_of_server and reply.status in KEEPS_KEYS:
            self._taken.setdefault((request.path, key), self.world.now())

    def _limit(self, request: Request, kind: str) -> Reply | None:
        """Estimate a sliding window from two fixed ones, as if the first was filled evenly."""
        if request.path == "/health":
            return None
        most, seconds = LIMITS[kind]
        window, within = divmod(self.world.now().timestamp(), seconds)
        before, count = self._sent[kind, window - 1], self._sent[kind, window]
        if self.limited and round(before * (1 - within / seconds) + count) >= most:
            headers = {"Content-Type": "text/plain", "Retry-After": str(seconds)}
            return Reply(429, b"Too Many Requests\n", headers)
        self._sent[kind, window] += 1
        return None

    def _check(self, request: Request, route: str) -> None:
        accept = request.headers.get("accept", "*/*")
        is_stream = "/stream" in route
        if not is_stream and accept not in {"*/*", "application/*", "application/json"}:
            raise Problem(406, "not acceptable")
        kind = request.headers.get("content-type")
        if kind is not None and kind.partition(";")[0] != "application/json":
            raise Problem(415, "unsupported media type")
        if self._failures >= 10:
            raise Problem(429, "too many failed authentications", Retry_After="60")
        if request.headers.get("authorization") != f"Bearer {KEY}":
            self._failures += 1
            raise Problem(401, "invalid API key")
        scope = "jobs" if route.split(" ")[1].startswith("/v1/jobs") else "runs"
        verb = "read" if request.method == "GET" else "write"
        if "/trigger" in route:
            verb = "trigger"
        if not self.scopes & {"*", f"{scope}:{verb}"}:
            raise Problem(403, f"insufficient permissions: requires {scope}:{verb}")

    # Jobs.

    def list_jobs(self, request: Request) -> Reply:
        jobs = sorted(self.world.jobs.values(), key=lambda job: job["created_at"], reverse=True)
        if (slug := request.one("slug")) is not None:
            jobs = [job for job in jobs if job["slug"] == slug]
        return self._page(request, jobs)

    def get_job(self, request: Request) -> Reply:
        return as_json(200, self._job(request))

    def create_job(self, request: Request) -> Reply:
        body = request.document
        for name in ("project_id", "name", "slug", "endpoint_url"):
            if not body.get(name):
                raise Problem(422, "validation failed", f"{name}: failed on 'required'")
        if any(job["slug"] == body["slug"] for job in self.world.jobs.values()):
            raise Problem(409, "slug already exists")
        return as_json(201, self.world.add_job(**body))

    def _job(self, request: Request) -> dict[str, Any]:
        job = self.world.jobs.get(request.path.split("/")[3])
        if job is None:
            raise Problem(404, "job not found")
        return job

    def trigger(self, request: Request) -> Reply:
        key = key_of(request)
        reply = self._trigger(request, key)
        if key and reply.status < 300:
            self._cache[request.path, key] = (reply, self.world.text(self.world.now()))
        return reply

    def _known(self, request: Request) -> Reply | None:
        """The answer to a key that was used before; it counts against no limit of triggers."""
        key, now = key_of(request), self.world.now()
        if key is None:
            return None
        if len(key) > 256:
            raise Problem(400, "idempotency key too long")
        cached, taken = self._cache.get((request.path, key)), self._taken.get((request.path, key))
        if cached and parse(cached[1]) + KEY_LIFE > now:
            headers = {**cached[0].headers, "Idempotency-Replayed": "true"}
            return Reply(cached[0].status, cached[0].body, headers)
        if taken and taken + KEY_LIFE > now:
            return envelope(Problem(409, IN_PROGRESS))
        return None

    def _trigger(self, request: Request, key: str | None) -> Reply:
        job, body = self._job(request), request.document
        payload = body.get("payload", {})
        self._check_trigger(job, body)
        if body.get("dry_run"):
            shown = {name: job[name] for name in ("id", "name", "slug", "timeout_secs")}
            expires = self.world.text(self.world.now())
            answer = {"job": shown, "payload": payload, "payload_hash": payload_hash(payload)}
            return as_json(200, {**answer, "expires_at": expires})
        if key and (old := self.world.run_under(job["id"], key)):
            return as_json(200, {"id": old.id, "status": old.status, "idempotency_hit": True})
        if job.get("debounce_window_secs"):
            at = self.world.now() + timedelta(seconds=job["debounce_window_secs"])
            return as_json(201, {"debounced": True, "fire_at": self.world.text(at)})
        if job.get("batch_window_secs"):
            return as_json(201, {"buffered": True})
        run = None
        if window := job.get("dedup_window_secs"):
            run = self.world.run_with(job["id"], payload, window=window)
        run = run or self.world.make_run(job["id"], **self._wishes(body, key))
        answer = {"id": run.id, "status": run.status, "payload_hash": payload_hash(payload)}
        return as_json(201, {**answer, "idempotency_hit": False})

    def _check_trigger(self, job: Mapping[str, Any], body: Mapping[str, Any]) -> None:
        if not job["enabled"]:
            raise Problem(400, "job is disabled")
        if job["paused"]:
            raise Problem(409, "job is paused")
        if not 0 <= body.get("priority", 0) <= 10:
            raise Problem(422, "validation failed", "priority: failed on 'max'")
        if len(body.get("tags", {})) > 20:
            raise Problem(400, "too many tags")
        if "scheduled_at" in body and parse(body["scheduled_at"]) < self.world.now():
            raise Problem(400, "scheduled_at is in the past")

    def _wishes(self, body: Mapping[str, Any], key: str | None) -> dict[str, Any]:
        names = ("payload", "tags", "priority", "scheduled_at", "concurrency_key")
        wishes = {name: body.get(name) for name in names}
        return {**wishes, "payload": body.get("payload", {}), "idempotency_key": key}

    def trigger_many(self, request: Request) -> Reply:
        job, items = self._job(request), request.document.get("items")
        if not isinstance(items, list) or not 1 <= len(items) <= 500:
            raise Problem(422, "validation failed", "items: failed on 'min'")
        batch, results, created = self.world.new_id(), [], 0
        for item in items:
            key = item.get("idempotency_key")
            old = self.world.run_under(job["id"], key) if key else None
            wishes = {**self._wishes(item, key), "batch_id": batch}
            run = old or self.world.make_run(job["id"], **wishes)
            created += old is None
            results.append({"id": run.id, "status": run.status, "idempotency_hit": bool(old)})
        answer = {"batch_id": batch, "results": results, "total": len(results)}
        return as_json(201, {**answer, "created": created})

    # Runs.

    def _run(self, request: Request) -> Run:
        run = self.world.runs.get(request.path.split("/")[3])
        if run is None:
            raise Problem(404, "run not found")
        return run

    def list_runs(self, request: Request) -> Reply:
        wanted = [*request.query.get("status", []), *request.query.get("statuses", [])]
        if unknown := set(wanted) - STATUSES:
            raise Problem(400, f"unknown status {min(unknown)}")
        if request.one("error_class") == "dlq_overflow":
            raise Problem(400, "unknown error class")
        if request.one("tag_key") and request.one("metadata_key"):
            raise Problem(400, "tag and metadata filters cannot be combined")
        runs = [run.document for run in self.world.runs.values()]
        found = [run for run in runs if self._matches(run, request, wanted)]
        return self._page(request, newest_first(found))

    def _matches(self, run: Mapping[str, Any], request: Request, wanted: list[str]) -> bool:
        plain = ("triggered_by", "batch_id", "execution_mode", "error_class")
        if wanted and run["status"] not in wanted:
            return False
        if any(request.one(name) not in (None, run.get(name)) for name in plain):
            return False
        for kind, member in (("tag", "tags"), ("metadata", "metadata")):
            if (key := request.one(f"{kind}_key")) is not None:
                own = run.get(member, {})
                if key not in own or request.one(f"{kind}_value") not in (None, own[key]):
                    return False
        part = request.one("payload_contains")
        if part is None:
            return True
        payload, needle = run.get("payload"), json.loads(part)
        return isinstance(payload, dict) and needle.items() <= payload.items()

    def list_dead_letters(self, request: Request) -> Reply:
        runs = [run.document for run in self.world.runs.values() if run.status == "dead_letter"]
        return self._page(request, newest_first(runs))

    def get_run(self, request: Request) -> Reply:
        return as_json(200, self.world.seen(self._run(request)))

    def cancel(self, request: Request) -> Reply:
        run = self._run(request)
        if run.status in TERMINAL:
            raise Problem(400, "run is already in terminal state")
        self.world.cancel(run)
        return as_json(200, run.document)

    def replay(self, request: Request) -> Reply:
        run = self._run(request)
        if run.status not in REPLAYABLE:
            raise Problem(400, "run is not replayable")
        if (number := request.one("from_checkpoint")) is not None:
            checkpoints = self.world.parts.get((run.id, "checkpoints"), [])
            if int(number) not in [item["sequence"] for item in checkpoints]:
                raise Problem(404, "checkpoint not found")
        return as_json(201, self._copied(run).document)

    def _copied(self, run: Run) -> Run:
        kept = {name: run.document.get(name) for name in ("payload", "tags", "priority")}
        return self.world.make_run(run.job_id, triggered_by="retry", **kept)

    def revive(self, request: Request) -> Reply:
        run = self._run(request)
        if run.status != "dead_letter":
            raise Problem(409, "run is not in dead letter state")
        self.world.revive(run)
        return as_json(200, run.document)

    def pause(self, request: Request) -> Reply:
        run = self._run(request)
        if run.status != "paused":
            self._needs(run, "pause", "executing")
            if not self.pauses:
                raise Problem(409, "failed to pause run")
            self.world.move(run, "paused")
            run.due = None
        return as_json(200, run.document)

    def resume(self, request: Request) -> Reply:
        run = self._run(request)
        self._needs(run, "resume", "paused")
        self._queue_again(run)
        return as_json(200, run.document)

    def restart(self, request: Request) -> Reply:
        run = self._run(request)
        self._needs(run, "restart", "executing", "paused")
        self._queue_again(run)
        return as_json(200, run.document)

    def _queue_again(self, run: Run) -> None:
        self.world.move(run, "queued")
        run.due = self.world.now() + timedelta(seconds=run.course.queued)

    def _needs(self, run: Run, verb: str, *statuses: str) -> None:
        if run.status not in statuses:
            raise Problem(400, f"cannot {verb} run in status {run.status}")

    def reschedule(self, request: Request) -> Reply:
        run, body = self._run(request), request.document
        if not body.get("scheduled_at"):
            raise Problem(422, "validation failed", "scheduled_at: failed on 'required'")
        if run.status not in {"delayed", "queued"} or run.document.get("started_at"):
            raise Problem(404, "run not found or not eligible for rescheduling")
        at = parse(body["scheduled_at"])
        status = "delayed" if at > self.world.now() else "queued"
        run.document.update(status=status, scheduled_at=body["scheduled_at"])
        run.document.update({"payload": body["payload"]} if "payload" in body else {})
        run.due = max(at, self.world.now()) + timedelta(seconds=run.course.queued)
        return as_json(200, run.document)

    def set_debug(self, request: Request) -> Reply:
        self._run(request).document["debug_mode"] = request.document.get("debug_mode") is True
        return as_json(200, {"status": "ok"})

    def reset_key(self, request: Request) -> Reply:
        run = self._run(request)
        run.document.pop("idempotency_key", None)
        return as_json(200, {"status": "reset", "run_id": run.id})

    # What a run leaves behind.

    def children(self, request: Request) -> Reply:
        run = self._run(request)
        runs = [item.document for item in self.world.runs.values()]
        found = [item for item in runs if item.get("parent_run_id") == run.id]
        return self._page(request, sorted(found, key=lambda item: item["created_at"]))

    def lineage(self, request: Request) -> Reply:
        """The cursor is ignored, yet one is sent: following it would go on for ever."""
        found = self.world.lineage(self._run(request))
        return self._page(request, [run.document for run in found], ignores_cursor=True)

    def part(self, request: Request) -> Reply:
        run, name = self._run(request), request.path.split("/")[4]
        items = self.world.parts.get((run.id, name), [])
        for filtered in ("level", "type"):
            if (value := request.one(filtered)) is not None:
                items = [item for item in items if item.get(filtered) == value]
        return self._page(request, items)

    def entries(self, request: Request) -> Reply:
        run, name = self._run(request), request.path.split("/")[4]
        return as_json(200, self.world.parts.get((run.id, name)))

    def bundle(self, request: Request) -> Reply:
        run = self._run(request)
        names = ("events", "checkpoints", "outputs")
        parts = {name: self.world.parts.get((run.id, name), []) for name in names}
        return as_json(200, {"run": run.document, **parts, "resource_snapshots": []})

    def dependencies(self, request: Request) -> Reply:
        run = self._run(request)
        found = {"run_id": run.id, "job_id": run.job_id, "status": run.status}
        return as_json(200, {**found, "dependencies": [], "dependencies_satisfied": True})

    def gone(self, request: Request) -> Reply:
        """Older servers have it; on newer ones the path does not exist."""
        run = self.world.runs.get(request.path.split("/")[3])
        if self.older and run is not None:
            return as_json(200, [{"run_id": run.id, "cost_microusd": 5}])
        return Reply(404, b"404 page not found\n", {"Content-Type": "text/plain"})

    def stream(self, request: Request) -> Reply:
        run, rest = self._run(request), request.path.split("/")[5:]
        channel = rest[0] if rest else "status"
        if run.status in TERMINAL and channel != "logs":
            raise Problem(410, "run is in terminal state")
        return Reply(200, stream=(run.id, channel))

    # Many runs at once.

    def bulk_cancel(self, request: Request) -> Reply:
        ids, results = request.document.get("run_ids"), []
        if not ids:
            raise Problem(422, "validation failed", "run_ids: failed on 'required'")
        if len(ids) > 100:
            raise Problem(400, "too many runs")
        for run_id in ids:
            run = self.world.runs.get(run_id)
            if run is None or run.status in TERMINAL:
                results.append({"id": run_id, "status": "failed", "error": "cannot cancel"})
            else:
                self.world.cancel(run)
                results.append({"id": run_id, "status": "canceled"})
        failed = sum(item["status"] == "failed" for item in results)
        answer = {"results": results, "total": len(results), "failed": failed}
        return as_json(200, {**answer, "canceled": len(results) - failed})

    def bulk_cancel_all(self, request: Request) -> Reply:
        body = request.document
        filters = {
            name: body[name]
            for name in ("job_id", "batch_id", "triggered_by", "status")
            if name in body
        }
        if not filters:
            raise Problem(400, "at least one filter is required")
        canceled = []
        for run in self.world.runs.values():
            if run.status not in TERMINAL and filters.items() <= run.document.items():
                self.world.cancel(run)
                canceled.append(run.id)
        return as_json(200, {"canceled": len(canceled), "run_ids": canceled or None})

    def bulk_replay(self, request: Request) -> Reply:
        ids, results = request.document.get("run_ids") or [], []
        if not 1 <= len(ids) <= 100:
            raise Problem(422, "validation failed", "run_ids: failed on 'max'")
        for run_id in ids:
            run, result = self.world.runs.get(run_id), {"original_run_id": run_id}
            if run is None:
                results.append({**result, "status": "failed", "error": "run not found"})
            elif run.status not in REPLAYABLE:
                results.append({**result, "status": "skipped", "error": "not replayable"})
            else:
                made = self._copied(run)
                results.append({**result, "status": "replayed", "new_run_id": made.id})
        replayed = sum(item["status"] == "replayed" for item in results)
        return as_json(200, {"results": results, "total": len(ids), "replayed": replayed})

    def bulk_revive(self, request: Request) -> Reply:
        body = request.document
        ids, project = body.get("run_ids"), body.get("project_id")
        if bool(ids) == bool(project) or len(ids or []) > 500:
            raise Problem(422, "exactly one of run_ids and project_id is required")
        if project and project != PROJECT:
            raise Problem(403, "another project")
        runs = [run for run in self.world.runs.values() if not ids or run.id in ids]
        if ids and len(runs) < len(ids):
            raise Problem(404, "run not found")
        dead = [run for run in runs if run.status == "dead_letter"][: body.get("limit", 100)]
        if not dead:
            raise Problem(409, "no runs in dead letter state")
        for run in dead:
            self.world.revive(run, through="replay_staged")
            self.world.move(run, "queued")
        return as_json(200, {"replayed": [run.document for run in dead], "count": len(dead)})

    def health(self, request: Request) -> Reply:
        return as_json(200, {"status": "ok", "version": "1.0.0"})

    def _page(
        self, request: Request, items: list[dict[str, Any]], *, ignores_cursor: bool = False
    ) -> Reply:
        """One page; a cursor always means "made before", whichever way the list is sorted."""
        limit = request.one("limit") or "50"
        if not limit.isdigit() or int(limit) < 1:
            raise Problem(400, "limit must be a positive integer")
        size = min(int(limit), 100)
        if (cursor := request.one("cursor")) is not None and not ignores_cursor:
            before = parse(cursor)
            items = [item for item in items if parse(item["created_at"]) < before]
        page: dict[str, Any] = {"data": items[:size], "has_more": len(items) > size}
        if page["has_more"]:
            page["next_cursor"] = items[size - 1]["created_at"]
        return as_json(200, page)


def newest_first(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(items, key=lambda item: (item["created_at"], item["id"]), reverse=True)


ROUTES: dict[tuple[str, str], Callable[[Api, Request], Reply]] = {
    ("GET", "/health"): Api.health,
    ("GET", "/v1/jobs"): Api.list_jobs,
    ("POST", "/v1/jobs"): Api.create_job,
    ("GET", "/v1/jobs/{job}"): Api.get_job,
    ("POST", "/v1/jobs/{job}/trigger"): Api.trigger,
    ("POST", "/v1/jobs/{job}/trigger/bulk"): Api.trigger_many,
    ("GET", "/v1/runs"): Api.list_runs,
    ("GET", "/v1/runs/dlq"): Api.list_dead_letters,
    ("POST", "/v1/runs/bulk-cancel"): Api.bulk_cancel,
    ("POST", "/v1/runs/bulk-cancel-all"): Api.bulk_cancel_all,
    ("POST", "/v1/runs/bulk-replay"): Api.bulk_replay,
    ("POST", "/v1/runs/bulk-dlq-replay"): Api.bulk_revive,
    ("GET", "/v1/runs/{run}"): Api.get_run,
    ("DELETE", "/v1/runs/{run}"): Api.cancel,
    ("POST", "/v1/runs/{run}/replay"): Api.replay,
    ("POST", "/v1/runs/{run}/dlq-replay"): Api.revive,
    ("POST", "/v1/runs/{run}/debug"): Api.set_debug,
    ("DELETE", "/v1/runs/{run}/idempotency-key"): Api.reset_key,
    ("POST", "/v1/runs/{run}/reschedule"): Api.reschedule,
    ("POST", "/v1/runs/{run}/pause"): Api.pause,
    ("POST", "/v1/runs/{run}/resume"): Api.resume,
    ("POST", "/v1/runs/{run}/restart"): Api.restart,
    ("GET", "/v1/runs/{run}/children"): Api.children,
    ("GET", "/v1/runs/{run}/lineage"): Api.lineage,
    ("GET", "/v1/runs/{run}/events"): Api.part,
    ("GET", "/v1/runs/{run}/checkpoints"): Api.part,
    ("GET", "/v1/runs/{run}/outputs"): Api.part,
    ("GET", "/v1/runs/{run}/state"): Api.entries,
    ("GET", "/v1/runs/{run}/resources"): Api.entries,
    ("GET", "/v1/runs/{run}/debug-bundle"): Api.bundle,
    ("GET", "/v1/runs/{run}/dependency-status"): Api.dependencies,
    ("GET", "/v1/runs/{run}/usage"): Api.gone,
    ("GET", "/v1/runs/{run}/tool-calls"): Api.gone,
    ("GET", "/v1/runs/{run}/stream"): Api.stream,
    ("GET", "/v1/runs/{run}/stream/chunks"): Api.stream,
    ("GET", "/v1/runs/{run}/stream/logs"): Api.stream,
}
"""Every endpoint of the contract; a literal path stands before the template it would fit."""


def key_of(request: Request) -> str | None:
    """The idempotency key of a request."""
    headers = request.headers
    return headers.get("idempotency-key") or headers.get("x-idempotency-key") or None


def path_matches(template: str, path: str) -> bool:
    wanted, given = template.split("/"), path.split("/")
    return len(wanted) == len(given) and all(
        part == own or (part.startswith("{") and own)
        for part, own in zip(wanted, given, strict=True)
    )


def route_of(method: str, path: str) -> str | None:
    """`METHOD /template` of a request, None when there is no such endpoint."""
    for known, template in ROUTES:
        if known == method and path_matches(template, path):
            return f"{method} {template}"
    return None
