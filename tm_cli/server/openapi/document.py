"""Puts the OpenAPI document together from the routes of the API and their declared operations."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from http import HTTPStatus
from typing import Any

from pydantic import TypeAdapter
from starlette.routing import BaseRoute, Route

from tm_cli.server.openapi.fields import Int64
from tm_cli.server.openapi.operations import OPERATIONS, Operation
from tm_cli.server.openapi.resources import ErrorEnvelope, UsageLimitError
from tm_cli.values.documents import to_yaml

PREFIX = "/api/v1"
STATUSES_OF_ALL = (401, 403, 429, 500, 503)
"""Refusals that every operation can answer with."""
_REFS = "#/components/schemas/{model}"
_Schema = dict[str, Any]


class ApiDescription:
    """The document of the API whose routes are `routes`, as JSON and as YAML."""

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        self._kinds = {key: OPERATIONS[key] for key in methods_of(routes) if key in OPERATIONS}

    @cached_property
    def json(self) -> bytes:
        return json.dumps(self.document).encode()

    @cached_property
    def yaml(self) -> bytes:
        return to_yaml(self.document).encode()

    @cached_property
    def document(self) -> _Schema:
        schemas, definitions = _schemas(self._kinds.values())
        paths: dict[str, _Schema] = {}
        for (method, path), operation in self._kinds.items():
            shown = paths.setdefault(PREFIX + _public(path), {})
            shown[method.lower()] = self._described(operation, path, schemas)
        return {
            "openapi": "3.1.0",
            "info": {"title": "TrafficMorph API of the embedded server of tm", "version": "v1"},
            "servers": [{"url": "/"}],
            "security": [{"apiKey": []}, {"bearer": []}],
            "tags": [{"name": name} for name in dict.fromkeys(o.tag for o in self._kinds.values())],
            "paths": paths,
            "components": {
                "schemas": definitions,
                "securitySchemes": {
                    "apiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
                    "bearer": {"type": "http", "scheme": "bearer"},
                },
            },
        }

    def _described(
        self, operation: Operation, path: str, schemas: Mapping[Any, _Schema]
    ) -> _Schema:
        described: _Schema = {
            "operationId": operation.id,
            "tags": [operation.tag],
            "summary": operation.summary,
            "parameters": [*_path_parameters(path), *_query_parameters(operation)],
        }
        if operation.body is not None:
            kind = "multipart/form-data" if operation.is_form else "application/json"
            described["requestBody"] = {
                "required": not operation.is_body_optional,
                "content": {kind: {"schema": schemas[operation.id, "validation"]}},
            }
        success: _Schema = {"description": HTTPStatus(operation.status).phrase}
        if operation.answer is not None:
            success["content"] = _content(schemas[operation.id, "serialization"])
        if operation.creates:
            success["links"] = self._links(operation.creates)
        described["responses"] = {str(operation.status): success} | {
            str(status): _refusal(status) for status in refusals_of(operation)
        }
        return described

    def _links(self, collection: str) -> _Schema:
        """The operations of an object that has just been made, which take its id."""
        start = collection + "/{id}"
        return {
            operation.id: {"operationId": operation.id, "parameters": {"id": "$response.body#/id"}}
            for (_, path), operation in self._kinds.items()
            if path.startswith(start)
        }


def refusals_of(operation: Operation) -> list[int]:
    too_long = {HTTPStatus.REQUEST_ENTITY_TOO_LARGE.value} if operation.body else set()
    return sorted({*operation.refusals, *STATUSES_OF_ALL, *too_long})


def methods_of(routes: Iterable[BaseRoute]) -> Iterator[tuple[str, str]]:
    for route in routes:
        if isinstance(route, Route):
            for method in sorted(set(route.methods or ()) - {"HEAD"}):
                yield method, route.path


def _schemas(operations: Iterable[Operation]) -> tuple[dict[Any, _Schema], _Schema]:
    """The schemas by operation and direction, and the definitions that they refer to."""
    inputs: list[Any] = [
        ("ErrorEnvelope", "serialization", TypeAdapter(ErrorEnvelope)),
        ("UsageLimitError", "serialization", TypeAdapter(UsageLimitError)),
    ]
    for operation in operations:
        if operation.answer is not None:
            inputs.append((operation.id, "serialization", TypeAdapter(operation.answer)))
        if operation.body is not None:
            inputs.append((operation.id, "validation", TypeAdapter(operation.body)))
    found, rest = TypeAdapter.json_schemas(inputs, ref_template=_REFS)
    definitions = {name: _published(item) for name, item in rest["$defs"].items()}
    return dict(found), definitions


def _published(schema: Any) -> Any:
    """The schema without derived titles, and open to the properties of newer servers."""
    if isinstance(schema, list):
        return [_published(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: {name: _published(item) for name, item in value.items()}
        if key == "properties"
        else _published(value)
        for key, value in schema.items()
        if (key, value) != ("additionalProperties", False)
        and not (key == "title" and isinstance(value, str))
    }


def _public(path: str) -> str:
    return path.replace("{run_id}", "{runId}")


def _path_parameters(path: str) -> Iterator[_Schema]:
    for name in re.findall(r"\{(\w+)\}", _public(path)):
        kind: Any = Int64 if name == "id" else str
        schema = TypeAdapter(kind).json_schema()
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _query_parameters(operation: Operation) -> Iterator[_Schema]:
    for parameter in operation.query:
        schema = TypeAdapter(parameter.kind).json_schema()
        if parameter.default is not None:
            schema["default"] = parameter.default
        yield {
            "name": parameter.name,
            "in": "query",
            "required": parameter.is_required,
            "description": parameter.summary,
            "schema": schema,
        }


def _content(schema: _Schema) -> _Schema:
    return {"application/json": {"schema": schema}}


def _refusal(status: int) -> _Schema:
    schema: _Schema = {"$ref": _REFS.format(model="ErrorEnvelope")}
    if status == HTTPStatus.CONFLICT:
        schema = {"$ref": _REFS.format(model="UsageLimitError")}
    described: _Schema = {"description": HTTPStatus(status).phrase, "content": _content(schema)}
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        whole = {"type": "integer", "minimum": 1}
        described["headers"] = {
            "Retry-After": {"description": "seconds", "required": True, "schema": whole}
        }
    return described
