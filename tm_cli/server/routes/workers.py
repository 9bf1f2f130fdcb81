"""Where agents join: a WebSocket on the server's own port, behind the guard."""

from __future__ import annotations

import logging

from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket, WebSocketDisconnect

from tm_cli import __version__
from tm_cli.server.web.bodies import Refusal
from tm_cli.server.web.guard import refusal_response
from tm_cli.server.web.services import Services
from tm_cli.server.workers.agent_protocol import agent_refusal, region_refusal
from tm_cli.values.text import sanitize

logger = logging.getLogger(__name__)


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
        await connection.serve(wire.receive, wire.send)
    except ConnectionError as error:
        logger.info("agent %s disconnected: %s", connection.label, error)
    finally:
        agents.leave(connection)


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
    """Sends and receives texts; raises ConnectionError once the connection is closed."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket

    async def accept(self) -> None:
        try:
            await self._websocket.accept()
        except (WebSocketDisconnect, RuntimeError, OSError):
            raise ConnectionError("it was closed") from None

    async def receive(self) -> str:
        try:
            return await self._websocket.receive_text()
        except (WebSocketDisconnect, RuntimeError):
            raise ConnectionError("it was closed") from None
        except KeyError:
            raise ConnectionError("it sent no text") from None

    async def send(self, text: str) -> None:
        try:
            await self._websocket.send_text(text)
        except (WebSocketDisconnect, RuntimeError, OSError):
            raise ConnectionError("it was closed") from None
