"""Instant queries of a Prometheus server (GET /api/v1/query), whose answers are hostile text.

The address may hold credentials: messages name its host alone.
"""

from __future__ import annotations

import base64
import http.client
import math
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from tm_cli.api import strict_json
from tm_cli.api.transport import USER_AGENT, verification
from tm_cli.values.text import sanitize
from tm_cli.values.urls import port_of

TIMEOUT = 5.0
LARGEST_ANSWER = 1024 * 1024
_LONGEST_TEXT = 200


class QueryFailed(Exception):
    """There is no number; the text says why."""


@dataclass(frozen=True, slots=True)
class PrometheusQuery:
    """A query that results in one number, and the server that is asked; `headers` may be secret."""

    name: str
    url: str
    query: str
    headers: Mapping[str, str] = field(default_factory=dict)
    ca_file: str | None = None

    @property
    def place(self) -> str:
        """The server's host and port."""
        return sanitize(urlsplit(self.url).netloc.rpartition("@")[2])

    def read(self) -> float:
        """Return the value now; raises QueryFailed."""
        try:
            status, body = self._get()
        except (OSError, http.client.HTTPException) as problem:
            text = getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
            raise QueryFailed(f"{self.place}: {sanitize(text, longest=_LONGEST_TEXT)}") from None
        if len(body) > LARGEST_ANSWER:
            raise QueryFailed(f"{self.place}: the answer is too large")
        try:
            document = strict_json.parse_answer(body)
        except ValueError:
            raise QueryFailed(f"{self.place}: status {status}, and no JSON") from None
        return self._number(document, status)

    def _get(self) -> tuple[int, bytes]:
        parts = urlsplit(self.url)
        connection = _connect(parts.scheme, parts.hostname or "", port_of(parts), self._trust())
        path = f"{parts.path.rstrip('/')}/api/v1/query?query={quote(self.query, safe='')}"
        headers = {"User-Agent": USER_AGENT, **self.headers}
        if parts.username is not None:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers["Authorization"] = f"Basic {base64.b64encode(user.encode()).decode()}"
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read(LARGEST_ANSWER + 1)
        finally:
            connection.close()

    def _trust(self) -> ssl.SSLContext | None:
        found = verification(self.url, self.ca_file)
        return found if isinstance(found, ssl.SSLContext) else None

    def _number(self, document: Any, status: int) -> float:
        if not isinstance(document, Mapping) or document.get("status") != "success":
            said = document.get("error") if isinstance(document, Mapping) else None
            text = sanitize(said or "no answer of Prometheus", longest=_LONGEST_TEXT)
            raise QueryFailed(f"{self.place}: status {status}: {text}")
        data = document.get("data")
        kind, result = (
            (data.get("resultType"), data.get("result")) if isinstance(data, Mapping) else (0, 0)
        )
        if kind == "vector" and isinstance(result, list):
            if len(result) != 1:
                count = len(result) or "no"
                raise QueryFailed(f"the query has {count} results; sum(...) or max(...) has one")
            result = result[0].get("value") if isinstance(result[0], Mapping) else None
        if kind not in ("vector", "scalar") or not isinstance(result, list) or len(result) != 2:
            raise QueryFailed(f"{self.place}: the result is no number")
        return _as_float(result[1])


def _as_float(text: Any) -> float:
    try:
        value = float(text) if isinstance(text, str) and len(text) <= 40 else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise QueryFailed(f"the result is {sanitize(text, longest=40)}")
    return value


def _connect(
    scheme: str, host: str, port: int, trust: ssl.SSLContext | None
) -> http.client.HTTPConnection:
    if scheme.lower() == "https":
        return http.client.HTTPSConnection(host, port, timeout=TIMEOUT, context=trust)
    return http.client.HTTPConnection(host, port, timeout=TIMEOUT)
