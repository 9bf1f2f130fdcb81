"""Publishes the OpenAPI document of the API."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tm_cli.server.web.bodies import Refusal
from tm_cli.server.web.guard import DESCRIPTION_PATHS

if TYPE_CHECKING:
    from tm_cli.server.openapi.document import ApiDescription


class DescriptionRoutes:
    """The routes of the document about `operations`; it is made when it is first asked for."""

    def __init__(self, operations: Sequence[BaseRoute]) -> None:
        self._operations = operations

    @cached_property
    def _description(self) -> ApiDescription:
        from tm_cli.server.openapi.document import ApiDescription

        return ApiDescription(self._operations)

    async def get_json(self, request: Request) -> Response:
        content = await asyncio.to_thread(lambda: self._description.json)
        return Response(content, media_type="application/json")

    async def get_yaml(self, request: Request) -> Response:
        content = await asyncio.to_thread(lambda: self._description.yaml)
        return Response(content, media_type="application/yaml")

    async def refuse(self, request: Request) -> Response:
        """The document without a group, which no server of this API gives."""
        raise Refusal(f"Only group v1 is described: {DESCRIPTION_PATHS[0]}", status=403)

    @property
    def routes(self) -> list[Route]:
        json_path, yaml_path = DESCRIPTION_PATHS
        return [
            Route(json_path, self.get_json, methods=["GET"]),
            Route(yaml_path, self.get_yaml, methods=["GET"]),
            Route("/v3/api-docs", self.refuse, methods=["GET"]),
            Route("/v3/api-docs.yaml", self.refuse, methods=["GET"]),
        ]
