"""Capture sources: what is configured, and the files that can be read."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tm_cli.server.capture_sources.remote import SourceDefinition
from tm_cli.server.store.capture_sources import SourceRecord
from tm_cli.server.validation import wire_time
from tm_cli.server.web.services import Services, path_id, whole_number

_DEFAULT_LIMIT = 100
_MAX_LIMIT = 1000


async def list_capture_sources(request: Request) -> Response:
    found = Services.of(request).capture_sources.all()
    return JSONResponse([_source(record, source) for record, source in found])


async def list_capture_source_files(request: Request) -> Response:
    """The newest captures of a source; `limit` is clamped to what is allowed."""
    limit = whole_number(request.query_params.get("limit", str(_DEFAULT_LIMIT)), "limit", bits=32)
    limit = min(max(limit, 1), _MAX_LIMIT)
    files = await Services.of(request).capture_sources.files(path_id(request), limit)
    return JSONResponse(
        [
            {"path": file.path, "size": file.size, "modifiedAt": wire_time(file.modified_at)}
            for file in files
        ]
    )


def _source(record: SourceRecord, source: SourceDefinition) -> dict[str, object]:
    # the official Python client cannot read a null time
    listed = {"lastListedAt": record.last_listed_at} if record.last_listed_at else {}
    return listed | {
        "id": record.id,
        "name": record.name,
        "kind": source.kind,
        "rootPath": source.root_path,
        "lastError": record.last_error,
        "createdAt": record.created_at,
        "updatedAt": record.updated_at,
    }


ROUTES = [
    Route("/capture-sources", list_capture_sources, methods=["GET"]),
    Route("/capture-sources/{id}/files", list_capture_source_files, methods=["GET"]),
]
