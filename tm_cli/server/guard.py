"""What every request passes before it is routed: host, origin, key, rate."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tm_cli.server.rate import SlidingWindow
from tm_cli.server.refusal import Refusal

UNLIMITED_PATHS = ("/tm/lease",)
_HOSTS = ("localhost", "127.0.0.1", "[::1]")


def digest_of(key: str) -> str:
    """What is stored of a key; it has 256 random bits, so one round of SHA-256 is enough."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(frozen=True, slots=True)
class Guard:
    """ASGI middleware. A web page in the user's browser must not get in, nor another user.

    The host is checked first, because a rebound DNS name makes a foreign page look like our own.
    """

    app: ASGIApp
    port: int
    key_digest: str
    window: SlidingWindow

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it with a refusal."""
        if scope["type"] != "http":
            return
        send = _with_safe_headers(send)
        try:
            self._check(Headers(scope=scope), scope["path"])
        except Refusal as refusal:
            await refusal_response(refusal)(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _check(self, headers: Headers, path: str) -> None:
        self._check_host(headers)
        self._check_origin(headers)
        self._check_key(headers)
        if path in UNLIMITED_PATHS:
            return
        wait = self.window.admit()
        if wait is not None:
            raise Refusal("Rate limit exceeded", status=429, headers={"Retry-After": str(wait)})

    def _check_host(self, headers: Headers) -> None:
        hosts = headers.getlist("host")
        if len(hosts) != 1:
            raise Refusal("The request needs exactly one Host header")
        if hosts[0].lower() not in self._own_hosts():
            raise Refusal("This server answers on loopback only", status=421)

    def _check_origin(self, headers: Headers) -> None:
        own = {f"http://{host}" for host in self._own_hosts()}
        foreign = any(origin.lower() not in own for origin in headers.getlist("origin"))
        site = headers.get("sec-fetch-site", "none").lower()
        if foreign or site not in ("none", "same-origin"):
            raise Refusal("Requests from web pages are refused", status=403)

    def _own_hosts(self) -> set[str]:
        bare = set(_HOSTS) if self.port == 80 else set()
        return {f"{host}:{self.port}" for host in _HOSTS} | bare

    def _check_key(self, headers: Headers) -> None:
        if not hmac.compare_digest(digest_of(_sent_key(headers)), self.key_digest):
            raise Refusal("Authentication required", status=401, code="AUTH_REQUIRED")


def _sent_key(headers: Headers) -> str:
    """The key of a request; X-Api-Key wins over a bearer token."""
    key = headers.get("x-api-key")
    if key is not None:
        return key
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def refusal_response(refusal: Refusal) -> JSONResponse:
    """The answer for a refusal."""
    return JSONResponse(refusal.envelope, refusal.status, headers=refusal.headers)


def _with_safe_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["X-Content-Type-Options"] = "nosniff"
            headers["Cache-Control"] = "no-store"
        await send(message)

    return send_with_headers
