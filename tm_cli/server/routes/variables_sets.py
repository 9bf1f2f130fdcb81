"""Variables sets: CSV data that profiles attach, and that runs fill into their requests."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tm_cli.server.profiles import DataSource, Wire
from tm_cli.server.store.variables_sets import VariablesSet, facts_of
from tm_cli.server.validation import wire_time
from tm_cli.server.web.bodies import MAX_PROFILE_BYTES, Refusal, read_model
from tm_cli.server.web.schemas import Name
from tm_cli.server.web.services import Services, path_id
from tm_cli.values.load.data_sets import LONGEST_CSV, Mode
from tm_cli.values.text import sanitize


class CreateBody(Wire):
    """The body of `POST /variables-sets`."""

    name: Name
    mode: Mode
    csv_content: Annotated[str, Field(json_schema_extra={"minLength": 1, "format": "csv"})]


class RenameBody(Wire):
    """The body of `PATCH /variables-sets/{id}`."""

    name: Name


class ModeBody(Wire):
    """The body of `PATCH /variables-sets/{id}/mode`."""

    mode: Mode


async def list_sets(request: Request) -> Response:
    found = await asyncio.to_thread(Services.of(request).variables_sets.all)
    return JSONResponse([_view(each) for each in found])


async def create_set(request: Request) -> Response:
    services = Services.of(request)
    body = await _read_body(request)
    source = DataSource(name=body.name, mode=body.mode, csv=body.csv_content)
    await _check(source, "csvContent")
    if services.variables_sets.id_of(body.name) is not None:
        raise _taken(body.name)
    services.quota.check_variables_sets(services.variables_sets.count() + 1)
    return JSONResponse(_view(services.variables_sets.add(source)), 201)


async def _read_body(request: Request) -> CreateBody:
    """Read the body; what is longer than any set counts as a set that is too long."""
    try:
        return await read_model(request, CreateBody, most=MAX_PROFILE_BYTES)
    except Refusal as refusal:
        if refusal.status == 413:
            raise Refusal(f"csvContent: it is longer than {LONGEST_CSV:,} bytes") from None
        raise


async def _check(source: DataSource, field: str) -> None:
    """Read CSV text outside the loop; raises `Refusal` with line and column."""
    try:
        await asyncio.to_thread(facts_of, source)
    except ValueError as problem:
        reason = str(problem).removeprefix(f"{sanitize(source.name)}: ")
        raise Refusal(f"{field}: {reason}") from None


async def get_set(request: Request) -> Response:
    return JSONResponse(_view(await _found(request)))


async def rename_set(request: Request) -> Response:
    """Change the name, unless another set has it."""
    services = Services.of(request)
    name = (await read_model(request, RenameBody)).name
    found = await _found(request)
    if services.variables_sets.id_of(name) not in (None, found.id):
        raise _taken(name)
    services.variables_sets.rename(found.id, name)
    return JSONResponse(_view(await _found(request)))


async def change_mode(request: Request) -> Response:
    """Change how the set is sampled, if its text has what the mode needs."""
    services = Services.of(request)
    mode = (await read_model(request, ModeBody)).mode
    found = await _found(request)
    source = services.variables_sets.source(found.id)
    if source is None:
        raise _not_found()
    await _check(DataSource(name=source.name, mode=mode, csv=source.csv), "mode")
    services.variables_sets.change_mode(found.id, mode)
    return JSONResponse(_view(await _found(request)))


async def delete_set(request: Request) -> Response:
    """Delete a set, unless a profile would then be without its data."""
    services = Services.of(request)
    set_id = path_id(request)
    name = services.variables_sets.name(set_id)
    if name is None:
        raise _not_found()
    profiles = [
        profile.fields.name
        for profile in services.profiles.all()
        if set_id in profile.fields.variables_set_ids
    ]
    if profiles:
        raise Refusal(f'Can\'t delete "{name}": it is attached to {", ".join(profiles)}')
    services.variables_sets.delete(set_id)
    return Response(status_code=204)


async def _found(request: Request) -> VariablesSet:
    found = await asyncio.to_thread(Services.of(request).variables_sets.find, path_id(request))
    if found is None:
        raise _not_found()
    return found


def _not_found() -> Refusal:
    return Refusal("Variables set not found")


def _taken(name: str) -> Refusal:
    return Refusal(f'A variables set with the name "{name}" already exists')


def _view(found: VariablesSet) -> dict[str, Any]:
    return {
        "id": found.id,
        "name": found.name,
        "mode": found.mode,
        "macroColumns": found.facts.columns,
        "weightColumn": found.facts.weight_column,
        "rowCount": found.facts.rows,
        "byteSize": found.facts.size,
        "createdAt": wire_time(found.created_at),
        "updatedAt": wire_time(found.updated_at),
    }


ROUTES = [
    Route("/variables-sets", list_sets, methods=["GET"]),
    Route("/variables-sets", create_set, methods=["POST"]),
    Route("/variables-sets/{id}", get_set, methods=["GET"]),
    Route("/variables-sets/{id}", rename_set, methods=["PATCH"]),
    Route("/variables-sets/{id}", delete_set, methods=["DELETE"]),
    Route("/variables-sets/{id}/mode", change_mode, methods=["PATCH"]),
]
