"""Where agents join and their workers' tunnels begin: WebSockets on the server's own port."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import TypeVar

from starlette.requests import HTTPConnection
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from tm_cli import __version__
from tm_cli.server.web.bodies import Refusal
from tm_cli.server.web.guard import refusal_response
from tm_cli.server.web.services import Services
from tm_cli.server.workers.agent_protocol import (
    PATH,
    SECRET_HEADER,
    TUNNELS,
    agent_refusal,
    region_refusal,
)
from tm_cli.values.text import sanitize

logger = logging.getLogger(__name__)
_Result = TypeVar("_Result")
_CLOSED = "its connection was closed"


async def join(websocket: WebSocket) -> None:
    agents = Services.of(websocket).agents
    try:
        region, name = _introduction(websocket)
        connection = agents.join(region, name)
    except Refusal as refusal:
        await websocket.send_denial_response(refusal_response(refusal))
        return
    wire = _Wire(websocket)
    try:
        await wire.accept()
        logger.info("agent %s connected", connection.label)
        await connection.serve(wire.receive_text, wire.send_text)
    except ConnectionError as error:
        logger.info("agent %s disconnected: %s", connection.label, error)
    finally:
        agents.leave(connection)


async def carry(websocket: WebSocket) -> None:
    """Connect a worker with the master of its run, which must have given it a ticket."""
    secret = websocket.headers.get(SECRET_HEADER, "")
    try:
        worker = Services.of(websocket).agents.worker_for(websocket.path_params["run"], secret)
    except Refusal as refusal:
        await websocket.send_denial_response(refusal_response(refusal))
        return
    wire = _Wire(websocket)
    try:
        await wire.accept()
    except ConnectionError as error:
        worker.end(str(error))
        return
    await worker.carry(wire)


ROUTES = [WebSocketRoute(f"/{PATH}", join), WebSocketRoute(f"/{TUNNELS}/{{run}}", carry)]


def _introduction(connection: HTTPConnection) -> tuple[str, str]:
    query = connection.query_params
    region, name, version = (query.get(field, "") for field in ("region", "name", "version"))
    if version != __version__:  # all workers of a run must number its requests alike
        raise Refusal(
            f"the agent is tm {sanitize(version, longest=40) or '?'}, the server tm {__version__}: "
            "both need the same version"
        )
    if refusal := region_refusal(region) or agent_refusal(name):
        raise Refusal(refusal)
    return region, name


class _Wire:
    """Sends and receives messages; raises ConnectionError once the connection is closed.

    The reason is the peer's, if it has given one.
    """

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket

    async def accept(self) -> None:
        await self._call(self._websocket.accept())

    async def receive_text(self) -> str:
        return await self._call(self._websocket.receive_text())

    async def receive_bytes(self) -> bytes:
        return await self._call(self._websocket.receive_bytes())

    async def send_text(self, text: str) -> None:
        await self._call(self._websocket.send_text(text))

    async def send_bytes(self, data: bytes) -> None:
        await self._call(self._websocket.send_bytes(data))

    async def _call(self, step: Awaitable[_Result]) -> _Result:
        try:
            return await step
        except WebSocketDisconnect as end:
            raise ConnectionError(sanitize(end.reason) or _CLOSED) from None
        except (RuntimeError, OSError):
            raise ConnectionError(_CLOSED) from None
        except KeyError:
            raise ConnectionError("it sent a message of the wrong kind") from None
