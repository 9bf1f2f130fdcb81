"""What every request and WebSocket handshake passes first: host, origin, key, rate."""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tm_cli.runtime.announcement import CHALLENGE, IDENTITY_PATH, proof_of_identity
from tm_cli.server.web.bodies import Refusal
from tm_cli.server.web.connections import mark_authenticated
from tm_cli.values.sliding_window import SlidingWindow
from tm_cli.values.urls import DEFAULT_PORTS

DESCRIPTION_PATHS = ("/v3/api-docs/v1", "/v3/api-docs.yaml/v1")
"""The OpenAPI document, as JSON and as YAML."""
_PUBLIC_PATHS = (IDENTITY_PATH, *DESCRIPTION_PATHS)
_UNLIMITED_PATHS = ("/tm/lease", "/tm/agent", "/tm/worker/")
_HOSTS = ("localhost", "127.0.0.1", "[::1]")
_FULL = "Too many clients are connected; try again when some of them have ended"
_VERSIONS = ("1.0", "1.1")


def digest_of(key: str) -> str:
    """The stored digest of a key: 256 random bits need only one round of SHA-256."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(frozen=True, slots=True)
class Guard:
    """ASGI middleware. A web page in the user's browser must not get in, nor another user.

    The host is checked first, because a rebound DNS name makes a foreign page look like our own.
    `names` are hosts in addition to the loopback ones, with or without a port; `is_open` also
    admits the address at which the client has reached the server.
    """

    app: ASGIApp
    port: int
    key_digest: str
    window: SlidingWindow | None = None
    scheme: str = "http"
    names: Sequence[str] = ()
    is_open: bool = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request or the WebSocket handshake on, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            return
        send = _with_safe_headers(send)
        try:
            self._check(Headers(scope=scope), scope, self._own_hosts(scope))
        except Refusal as refusal:
            await refusal_response(refusal)(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _check(self, headers: Headers, scope: Scope, own_hosts: set[str]) -> None:
        if scope.get("http_version") not in _VERSIONS:
            raise Refusal("This server speaks HTTP/1.1", status=505)
        self._check_host(headers, own_hosts)
        self._check_origin(headers, own_hosts)
        if self._is_public(scope):
            return
        self._check_key(headers)
        if not mark_authenticated(scope):
            raise Refusal(_FULL, status=503, headers={"Retry-After": "1"})
        if self.window is None or scope["path"].startswith(_UNLIMITED_PATHS):
            return
        if (delay := self.window.delay()) > 0:
            seconds = str(math.ceil(delay))
            raise Refusal("Rate limit exceeded", status=429, headers={"Retry-After": seconds})
        self.window.count()

    def _is_public(self, scope: Scope) -> bool:
        """Whether this is a request for what needs no key on this machine."""
        return (
            scope["type"] == "http"
            and scope["method"] == "GET"
            and scope["path"] in _PUBLIC_PATHS
            and self.scheme == "http"
        )

    def _check_host(self, headers: Headers, own_hosts: set[str]) -> None:
        hosts = headers.getlist("host")
        if len(hosts) != 1:
            raise Refusal("The request needs exactly one Host header")
        if hosts[0].lower() not in own_hosts:
            raise Refusal(self._wrong_host, status=421)

    @property
    def _wrong_host(self) -> str:
        if self.is_open or self.names:
            return "This server does not go by that name; tm serve --hostname adds one"
        return "This server answers on loopback only"

    def _check_origin(self, headers: Headers, own_hosts: set[str]) -> None:
        own = {f"{self.scheme}://{host}" for host in own_hosts}
        foreign = any(origin.lower() not in own for origin in headers.getlist("origin"))
        sites = {site.lower() for site in headers.getlist("sec-fetch-site")}
        if foreign or sites - {"none", "same-origin"}:
            raise Refusal("Requests from web pages are refused", status=403)

    def _own_hosts(self, scope: Scope) -> set[str]:
        hosts = set(_HOSTS)
        if self.is_open and scope.get("server"):
            address = str(scope["server"][0])
            hosts.add(f"[{address}]" if ":" in address else address)
        bare = hosts if self.port == DEFAULT_PORTS[self.scheme] else set()
        return {f"{host}:{self.port}" for host in hosts} | bare | self._own_names()

    def _own_names(self) -> set[str]:
        names = {name.lower() for name in self.names}
        return names | {f"{name}:{self.port}" for name in names}

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
    return JSONResponse(refusal.envelope, refusal.status, headers=refusal.headers)


def _with_safe_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"].endswith("http.response.start"):
            headers = MutableHeaders(scope=message)
            headers["X-Content-Type-Options"] = "nosniff"
            headers["Cache-Control"] = "no-store"
        await send(message)

    return send_with_headers


@dataclass(frozen=True, slots=True)
class IdentityProof:
    """Answers challenges with the key."""

    key: str = field(repr=False)

    def prove(self, query: QueryParams, scope: Scope) -> str:
        """Return the proof for the challenge of a request; raises Refusal when it has none.

        The address is the one of the connection, not what the request calls it.
        """
        challenge = query.get("challenge", "")
        if not CHALLENGE.fullmatch(challenge):
            raise Refusal("challenge must be 64 hexadecimal digits")
        host, port = scope["server"]
        return proof_of_identity(self.key.encode(), challenge, str(host), int(port))
