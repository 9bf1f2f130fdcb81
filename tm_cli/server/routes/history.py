"""History: list, read, delete, filters, compare."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tm_cli.server.profiles import display_name
from tm_cli.server.runs.stretches import stopped_after
from tm_cli.server.runs.verdicts import comparison
from tm_cli.server.store.history import HistoryFilter
from tm_cli.server.store.stored_rows import StoredRow, damage
from tm_cli.server.validation import read_time
from tm_cli.server.web.bodies import Refusal
from tm_cli.server.web.services import Services, path_id, whole_number

DEFAULT_SIZE = 20
MAX_SIZE = 100


@dataclass(frozen=True, slots=True)
class Listing:
    """Which rows, and which page of them."""

    wanted: HistoryFilter
    page: int
    size: int


def read_listing(query: QueryParams) -> Listing:
    """Read the query; unknown parameters are ignored, unusable values refused."""
    wanted = HistoryFilter(
        profile_id=_number(query, "profileId"),
        triggered_by=query.get("triggeredBy") or None,
        region=query.get("region") or None,
        verdict=query.get("autoVerdict") or None,
        tag=query.get("tag") or None,
        run_id_prefix=query.get("runId") or None,
        created_from=_instant(query, "from"),
        created_to=_instant(query, "to"),
    )
    page = _number(query, "page", bits=32) or 0
    if page < 0:
        raise Refusal("page must not be negative")
    size = _number(query, "size", bits=32)
    clamped = DEFAULT_SIZE if size is None else min(max(size, 1), MAX_SIZE)
    return Listing(wanted, page, clamped)


def _number(query: QueryParams, name: str, *, bits: int = 64) -> int | None:
    text = query.get(name)
    return whole_number(text, name, bits=bits) if text else None


def _instant(query: QueryParams, name: str) -> datetime | None:
    text = query.get(name)
    if not text:
        return None
    try:
        return read_time(text)
    except (ValueError, OverflowError) as error:
        raise Refusal(f"{name} must be a time with offset: {error}") from error


async def list_history(request: Request) -> Response:
    listing = read_listing(request.query_params)
    history = Services.of(request).history
    rows, total = history.page(listing.wanted, page=listing.page, size=listing.size)
    return JSONResponse(
        {
            "content": [summary(row) for row in rows],
            "page": listing.page,
            "size": listing.size,
            "totalElements": total,
            "totalPages": -(-total // listing.size),
        }
    )


async def get_history_item(request: Request) -> Response:
    row = Services.of(request).history.find(path_id(request))
    if row is None:
        raise Refusal("Run history not found")
    return JSONResponse(detail(row))


async def delete_run(request: Request) -> Response:
    if not Services.of(request).history.delete(path_id(request)):
        raise Refusal("Run history not found")
    return Response(status_code=204)


async def list_history_filters(request: Request) -> Response:
    facets = Services.of(request).history.facets()
    return JSONResponse(
        {
            "profiles": [{"id": number, "name": name} for number, name in facets.profiles],
            "regions": facets.regions,
            "tags": facets.tags,
            "triggeredBy": ["api", "manual", "scheduled"],
            "autoVerdicts": ["PASS", "WARN", "FAIL", "NO_BASELINE"],
        }
    )


async def compare_runs(request: Request) -> Response:
    services = Services.of(request)
    ids = [_run_id(request, name) for name in ("runA", "runB")]
    if ids[0] == ids[1]:
        raise Refusal("runA and runB are the same run")
    rows = [row for number in ids if (row := services.history.find(number)) is not None]
    if len(rows) < len(ids):
        raise Refusal("Run history not found", status=404)
    if rows[0]["profile_id"] != rows[1]["profile_id"]:
        raise Refusal("runA and runB are runs of different profiles")
    for row in rows:
        if row["damaged"]:
            raise Refusal(f"Run {row['id']} cannot be compared: {damage(row)}")
    older, newer = sorted(rows, key=lambda row: (row["created_at"], row["id"]))
    try:
        document = await asyncio.to_thread(comparison, services.judge, newer, older)
    except ValueError as error:
        raise Refusal(f"These runs cannot be compared: {error}") from None
    return JSONResponse(document)


def _run_id(request: Request, name: str) -> int:
    text = request.query_params.get(name)
    if not text:
        raise Refusal(f"{name} is missing")
    return whole_number(text, name)


def summary(row: StoredRow) -> dict[str, Any]:
    return {
        "id": row["id"],
        "runId": row["run_id"],
        "profileId": row["profile_id"],
        "profileName": row["profile_name"],
        "startedAt": row["started_at"],
        "finishedAt": row["finished_at"],
        "createdAt": row["created_at"],
        "durationSeconds": row["duration_seconds"],
        "totalRequests": row["total_requests"],
        "totalErrors": row["total_errors"],
        "avgRps": row["avg_rps"],
        "peakRps": row["peak_rps"],
        "successRate": row["success_rate"],
        "autoVerdict": row["auto_verdict"],
        "autoVerdictReasons": row["auto_verdict_reasons"],
        "triggeredBy": row["triggered_by"],
        "region": row["region"],
        "regionDisplayName": display_name(row["region"]),
        "tags": json.loads(row["tags"]),
        "outcome": row["outcome"],
        "stoppedAfterSeconds": stopped_after(row),
        "curveSeconds": row["duration"],
        "againstUrl": row["against_url"],
        "latencyQuantiles": row["latency_quantiles"],
        "loadFingerprint": row["fingerprint"],
        "latencyChanges": _latency_changes(row["auto_compare_snapshot"]),
    }


_QUANTILES = ("p50", "p95", "p99")


def _latency_changes(snapshot: str | None) -> dict[str, float] | None:
    """Return the changes in percent since what the run was compared with; None: nothing."""
    items = json.loads(snapshot).get("comparisons") if snapshot else None
    changes: dict[str, float] = {}
    for item in items if isinstance(items, list) else ():
        name, change = item.get("metric"), item.get("change")
        if name in _QUANTILES and isinstance(change, int | float):
            changes.setdefault(name, change)
    return changes or None


def detail(row: StoredRow) -> dict[str, Any]:
    """A row with its series; JSON columns are texts, as the API contract has it."""
    return summary(row) | {
        "targetUrl": row["target_url"],
        "responseCodes": row["response_codes"],
        "rpsSeries": row["rps_series"],
        "latencySeries": row["latency_series"],
        "secondaryStats": row["secondary_stats"],
        "scriptStats": row["script_stats"],
        "autoCompareSnapshot": row["auto_compare_snapshot"],
        "autoCompareBaselineRunId": row["auto_compare_baseline_run_id"],
        "plannedRequests": row["planned"],
        "sentRequests": row["sent"],
        "shortfall": row["shortfall"],
        "generatorSaturated": bool(row["generator_saturated"]),
        "downstreamSaturated": bool(row["downstream_saturated"]),
        "flakyDispatch": bool(row["flaky_dispatch"]),
        "against": _against(row),
        "notes": json.loads(row["notes"]),
        "addresses": json.loads(row["addresses"]),
        "protocol": json.loads(row["traits"]).get("protocol"),
        "bodies": json.loads(row["bodies"]),
        "repeated": row["repeated"],
        "warmupSeconds": row["warmup"],
        "judged": json.loads(row["judged"]) if row["judged"] else None,
        "cpuPressure": row["cpu_pressure"],
        "steps": _steps(json.loads(row["steps"])),
    }


def _steps(results: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": name, **step} for name, step in results.items()]


def _against(row: StoredRow) -> dict[str, Any] | None:
    if row["against"] is None:
        return None
    results: dict[str, Any] = json.loads(row["against"])
    results["steps"] = _steps(results.get("steps") or {})
    return {"targetUrl": row["against_url"], **results}


ROUTES = [
    Route("/history", list_history, methods=["GET"]),
    Route("/history/filters", list_history_filters, methods=["GET"]),
    Route("/history/compare", compare_runs, methods=["GET"]),
    Route("/history/{id}", get_history_item, methods=["GET"]),
    Route("/history/{id}", delete_run, methods=["DELETE"]),
]
