"""The application: routes under `/api/v1`, lease, identity and agents, one error envelope."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, Router, WebSocketRoute

from tm_cli.runtime.announcement import IDENTITY_PATH
from tm_cli.server.routes import account, baselines, history, profiles, runs
from tm_cli.server.routes.workers import join
from tm_cli.server.web.bodies import Refusal
from tm_cli.server.web.guard import refusal_response
from tm_cli.server.web.services import Services
from tm_cli.server.workers.agent_protocol import PATH


async def lease(request: Request) -> Response:
    """Keep the server alive for as long as this response stays open."""
    leases = Services.of(request).leases
    if leases.is_closed:
        raise Refusal("The server is stopping", status=503)
    stream = leases.hold()
    await anext(stream)  # the lease counts before the response is sent
    return StreamingResponse(stream, media_type="text/plain")


async def identity(request: Request) -> Response:
    """Prove to clients that have not sent their key that this server has it."""
    proof = Services.of(request).identity.prove(request.query_params, request.scope)
    return PlainTextResponse(proof)


def create_app(services: Services) -> Starlette:
    operations = [
        *profiles.ROUTES,
        *runs.ROUTES,
        *baselines.ROUTES,
        *history.ROUTES,
        *account.ROUTES,
    ]
    api = Mount("/api/v1", app=Router(operations, redirect_slashes=False))
    app = Starlette(
        routes=[
            api,
            Route(IDENTITY_PATH, identity, methods=["GET"]),
            Route("/tm/lease", lease, methods=["GET"]),
            WebSocketRoute(f"/{PATH}", join),
        ],
        exception_handlers={
            Refusal: _refused,
            HTTPException: _not_routed,
            Exception: _broken,
        },
    )
    app.router.redirect_slashes = False
    app.state.services = services
    return app


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)  # noqa: S101 - registered for it
    return refusal_response(error)


async def _not_routed(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    return JSONResponse({"error": error.detail}, error.status_code, headers=error.headers)


async def _broken(request: Request, error: Exception) -> Response:
    """Answer for a bug; Starlette raises it again for the log."""
    return JSONResponse({"error": "Internal server error"}, 500)
